// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "apps/doctor/facts.hpp"
#include "apps/doctor/finding.hpp"

// What DPDK needs for one of its ports.
namespace strictsend::doctor {

[[nodiscard]] Finding check_dpdk_support(const DpdkFacts& facts);
[[nodiscard]] Finding check_dpdk_memory(const DpdkFacts& facts);

// The rest is about PCI devices.
[[nodiscard]] Finding check_pci_device(const DpdkFacts& facts);
[[nodiscard]] Finding check_iommu(const DpdkFacts& facts);
[[nodiscard]] Finding check_driver_binding(const DpdkFacts& facts);
[[nodiscard]] Finding check_iommu_group(const DpdkFacts& facts);
[[nodiscard]] Finding check_vfio_files(const DpdkFacts& facts);

[[nodiscard]] std::vector<Finding> check_dpdk(const DpdkFacts& facts);

}  // namespace strictsend::doctor
