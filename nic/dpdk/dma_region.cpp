// SPDX-License-Identifier: Apache-2.0
#include "nic/dpdk/dma_region.hpp"

#include <cerrno>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_memory.h>
#include <string>
#include <utility>

#include "nic/dpdk/eal.hpp"
#include "nic/dpdk/pci_hint.hpp"

namespace strictsend::nic::dpdk {
namespace {

/// The kernel's own error is in what DPDK said: rte_errno is often left from something before.
int kernel_error(const std::string& said, int otherwise) {
  if (said.find("error " + std::to_string(ENOMEM) + " ") != std::string::npos) return ENOMEM;
  return otherwise;
}

std::string mapping_hint(const DmaMemory& memory, const char* device_name, int error) {
  const HostView host;
  if (std::string hint = memory_lock_hint(host, memory.size_bytes, error == ENOMEM); !hint.empty())
    return hint;
  const auto last_byte = reinterpret_cast<std::uintptr_t>(memory.base) + memory.size_bytes - 1;
  if (std::string hint = iommu_width_hint(host, device_name, last_byte); !hint.empty()) return hint;
  if (error == ENOMEM) {
    return "the kernel could not lock " + std::to_string(memory.size_bytes >> 20) +
           " MiB: is that much memory free?";
  }
  return "an IOMMU must map the memory: bind the device to vfio-pci (dpdk-devbind.py -b vfio-pci " +
         std::string(device_name) +
         ") on a machine whose IOMMU is on (intel_iommu=on, amd_iommu=on)";
}

}  // namespace

Result<std::unique_ptr<DmaRegion>> DmaRegion::map(const DmaMemory& memory, rte_device* device,
                                                  const char* device_name, bool is_virtual) {
  if (!is_virtual && rte_eal_iova_mode() != RTE_IOVA_VA) {
    return fail("mapping memory for " + std::string(device_name), ENOTSUP,
                iova_hint({}, device_name));
  }
  if (rte_extmem_register(memory.base, memory.size_bytes, nullptr, 0, page_bytes) != 0) {
    return fail("rte_extmem_register", rte_errno,
                "DPDK has no room for more external memory, or knows this already");
  }
  std::unique_ptr<DmaRegion> region(new DmaRegion(memory));
  if (is_virtual) return region;
  if (rte_dev_dma_map(device, memory.base, reinterpret_cast<std::uintptr_t>(memory.base),
                      memory.size_bytes) != 0) {
    const int left = rte_errno;
    const std::string said = take_eal_complaints();
    const int error = kernel_error(said, left);
    return fail("rte_dev_dma_map for " + std::string(device_name), error,
                (said.empty() ? "" : said + ": ") + mapping_hint(memory, device_name, error));
  }
  region->mapped_for_ = device;
  return region;
}

void DmaRegion::unmap() {
  if (mapped_for_ == nullptr) return;
  rte_device* device = std::exchange(mapped_for_, nullptr);
  rte_dev_dma_unmap(device, memory_.base, reinterpret_cast<std::uintptr_t>(memory_.base),
                    memory_.size_bytes);
}

DmaRegion::~DmaRegion() {
  unmap();
  rte_extmem_unregister(memory_.base, memory_.size_bytes);
}

}  // namespace strictsend::nic::dpdk
