// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace strictsend::nic::dpdk {

/// Where hints look: the root of a machine's files, of which they read /sys, /dev and /proc/self. A
/// test makes a tree of its own, and says what opening a file of it comes to.
struct HostView {
  std::filesystem::path root = "/";
  /// The errno of opening `path` for reading and writing; 0: it opens.
  int (*open_error)(const std::filesystem::path& path) = &try_to_open;

  static int try_to_open(const std::filesystem::path& path);
};

/// Whether a device's name is a PCI address with its domain: 0000:01:00.0.
[[nodiscard]] bool looks_like_pci(const std::string& name);

/// Why DPDK does not see a PCI device and what to do, as far as the machine's files tell.
[[nodiscard]] std::string pci_hint(const HostView& host, const std::string& address);

/// The same for DPDK's choice of physical addresses (IOVA mode PA), which the arena has not got.
[[nodiscard]] std::string iova_hint(const HostView& host, const std::string& address);

/// Whether `last_byte` is an address beyond those that the device's IOMMU takes, and then what to
/// do; empty: it is not, or nobody says.
[[nodiscard]] std::string iommu_width_hint(const HostView& host, const std::string& address,
                                           std::uint64_t last_byte);

/// Whether locking `bytes` more is beyond this process's RLIMIT_MEMLOCK, and then what to do;
/// empty: that is not what is missing. `refused`: the kernel has said that it was out of memory,
/// and EAL's own memory, which counts too, may not show in the balance yet.
[[nodiscard]] std::string memory_lock_hint(const HostView& host, std::uint64_t bytes, bool refused);

}  // namespace strictsend::nic::dpdk
