// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>

#include "base/result.hpp"
#include "nic/port.hpp"

struct rte_device;

namespace strictsend::nic::dpdk {

/// The arena, known to DPDK as external memory (rte_extmem_register) and mapped for a device's DMA
/// (rte_dev_dma_map): the first without the second makes a device send zeros or nothing. Undone by
/// the destructor, or the second by `unmap` before, once the device is closed and before it is
/// removed from its bus. Addresses on the bus are the virtual ones.
class DmaRegion {
 public:
  /// `is_virtual`: the device is software and needs no mapping.
  static Result<std::unique_ptr<DmaRegion>> map(const DmaMemory& memory, rte_device* device,
                                                const char* device_name, bool is_virtual);
  DmaRegion(const DmaRegion&) = delete;
  DmaRegion& operator=(const DmaRegion&) = delete;
  ~DmaRegion();

  /// Ends the device's access; afterwards nothing here refers to it. Idempotent.
  void unmap();

 private:
  explicit DmaRegion(const DmaMemory& memory) : memory_(memory) {}

  DmaMemory memory_;
  rte_device* mapped_for_ = nullptr;
};

}  // namespace strictsend::nic::dpdk
