// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <filesystem>
#include <string>

namespace strictsend::nic::dpdk {

/// Whether a device's name is a PCI address with its domain: 0000:01:00.0.
[[nodiscard]] bool looks_like_pci(const std::string& name);

/// Why DPDK does not see a PCI device and what to do, as far as sysfs tells: `devices` is
/// /sys/bus/pci/devices.
[[nodiscard]] std::string pci_hint(const std::filesystem::path& devices,
                                   const std::string& address);

}  // namespace strictsend::nic::dpdk
