// SPDX-License-Identifier: Apache-2.0
#include "nic/probe.hpp"

#include "nic/af_xdp/driver_probe.hpp"
#include "nic/af_xdp/interface_lock.hpp"
#include "nic/af_xdp/netdev.hpp"
#include "nic/af_xdp/program.hpp"
#include "nic/dpdk/nic_config.h"

namespace strictsend::nic {

Result<InterfaceProbe> probe_interface(const std::string& name) {
  const Result<af_xdp::InterfaceFacts> facts = af_xdp::inspect_interface(name);
  if (!facts) return tl::unexpected(facts.error());
  InterfaceProbe probe;
  probe.index = facts->index;
  probe.mtu_bytes = facts->mtu_bytes;
  probe.driver = facts->driver;
  probe.rx_queues = facts->rx_queues;
  probe.takes_pages = af_xdp::takes_pages(*facts);
  probe.attached = af_xdp::attached_program(facts->index);
  probe.held_by_pid = af_xdp::InterfaceLock::holder_of(facts->index);
  if (facts->features) {
    probe.native_xdp = facts->features->native_xdp;
    probe.zero_copy = facts->features->zero_copy;
    probe.zero_copy_max_segments = facts->features->zero_copy_max_segments;
    probe.zero_copy_checksum = facts->features->tx_checksum;
  } else if (!probe.attached && probe.held_by_pid == 0) {
    const af_xdp::TriedModes tried = af_xdp::try_modes(*facts);
    probe.native_xdp = tried.native_xdp;
    probe.zero_copy = tried.zero_copy;
  }
  return probe;
}

bool has_dpdk() {
  return STRICTSEND_HAVE_DPDK != 0;
}

}  // namespace strictsend::nic
