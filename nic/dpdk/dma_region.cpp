// SPDX-License-Identifier: Apache-2.0
#include "nic/dpdk/dma_region.hpp"

#include <sys/resource.h>

#include <cerrno>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_memory.h>
#include <string>
#include <unistd.h>
#include <utility>

#include "nic/dpdk/eal.hpp"

namespace strictsend::nic::dpdk {
namespace {

std::string mapping_hint(std::uint64_t bytes, const char* device_name) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
      ::geteuid() != 0 && limit.rlim_cur < bytes) {
    return "RLIMIT_MEMLOCK " + std::to_string(limit.rlim_cur >> 10) + " KiB < " +
           std::to_string(bytes >> 10) + " KiB: raise it with ulimit -l unlimited, or run as root";
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
                "DPDK chose physical addresses, which the cache's memory has not got for sure: use "
                "vfio-pci with an IOMMU, and pass --iova-mode=va after --");
  }
  if (rte_extmem_register(memory.base, memory.size_bytes, nullptr, 0, page_bytes) != 0) {
    return fail("rte_extmem_register", rte_errno,
                "DPDK has no room for more external memory, or knows this already");
  }
  std::unique_ptr<DmaRegion> region(new DmaRegion(memory));
  if (is_virtual) return region;
  if (rte_dev_dma_map(device, memory.base, reinterpret_cast<std::uintptr_t>(memory.base),
                      memory.size_bytes) != 0) {
    const int error = rte_errno;
    const std::string said = take_eal_complaints();
    return fail("rte_dev_dma_map for " + std::string(device_name), error,
                (said.empty() ? "" : said + ": ") + mapping_hint(memory.size_bytes, device_name));
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
