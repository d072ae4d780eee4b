// SPDX-License-Identifier: Apache-2.0
#include "nic/probe.hpp"

#include "pagecache/io_ring.hpp"
#include "pagecache/mapping_probe.hpp"
#include <strictsend/probe.hpp>

namespace strictsend {

Result<InterfaceProbe> probe_interface(const std::string& name) {
  return nic::probe_interface(name);
}

Result<bool> probe_write_protection() {
  return pagecache::try_mapping();
}

Result<void> probe_file_loading() {
  const auto ring = pagecache::IoRing::create();
  if (!ring) return tl::unexpected(ring.error());
  return {};
}

bool probe_dpdk_support() {
  return nic::has_dpdk();
}

}  // namespace strictsend
