// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "nic/af_xdp/program.hpp"
#include "nic/port.hpp"

namespace strictsend::nic::af_xdp {

/// Who copies a packet's bytes before the device reads them.
enum class CopyMode : std::uint8_t {
  automatic,  ///< zero-copy where the driver has it, else copy
  zero_copy,
  copy,
};

struct AfXdpConfig {
  std::string interface_name;
  /// Receive/transmit queue pairs to take, in the order of Port::queue. They share one UMEM, and
  /// the receive frames are dealt out to them evenly.
  std::vector<std::uint32_t> queues = {0};
  /// Accept that the interface has more receive queues than are taken here: connections whose
  /// packets the device puts into the others are then not seen.
  bool allow_other_queues = false;
  std::uint32_t ring_entries = 2048;  ///< of the TX, RX and completion ring; a power of two
  CopyMode copy_mode = CopyMode::automatic;
  XdpHook hook = XdpHook::automatic;
  bool want_fragments = true;         ///< packets of several descriptors
  bool want_checksum_offload = true;  ///< transmit metadata
  std::uint32_t busy_poll_us = 0;     ///< preferred busy polling of the device's queue; 0: off
};

/// How many queues there would be to take, counted from 0: `wanted`, or all of the interface for 0.
/// Fails where it has not so many.
Result<std::uint32_t> queues_to_serve(const std::string& interface_name, std::uint32_t wanted);

/// Opens an interface of the calling thread's network namespace. `memory` outlives the port, is
/// registered whole and must not be write-protected yet; frame 0 is never sent from.
Result<std::unique_ptr<Port>> open_port(const AfXdpConfig& config, const DmaMemory& memory);

/// Takes off what an ended engine has left, unless a running one has the interface; whether there
/// was any.
Result<bool> clear_interface(const std::string& interface_name);

}  // namespace strictsend::nic::af_xdp
