// SPDX-License-Identifier: Apache-2.0
#include "nic/dpdk/pci_hint.hpp"

#include <algorithm>
#include <system_error>

namespace strictsend::nic::dpdk {

bool looks_like_pci(const std::string& name) {
  return std::count(name.begin(), name.end(), ':') == 2 && name.find('.') != std::string::npos;
}

std::string pci_hint(const std::filesystem::path& devices, const std::string& address) {
  namespace fs = std::filesystem;
  const fs::path device = devices / address;
  std::error_code error;
  if (!fs::exists(device, error)) return "no such PCI device here (lspci -D lists them)";
  const fs::path driver = fs::read_symlink(device / "driver", error);
  const std::string bound = driver.filename().string();
  const std::string bind = "dpdk-devbind.py -b vfio-pci " + address;
  if (!fs::exists(device / "iommu_group", error) && bound != "uio_pci_generic" &&
      bound != "igb_uio")
    return "it is in no IOMMU group: turn the IOMMU on (intel_iommu=on or amd_iommu=on on the "
           "kernel's command line), then " +
           bind;
  if (bound.empty()) return "no driver is bound to it: " + bind;
  if (bound != "vfio-pci")
    return "it is bound to the kernel's " + bound + ": " + bind +
           " (it then disappears from the kernel)";
  return "it is bound to vfio-pci: all devices of its IOMMU group must be, /dev/vfio/* must be "
         "open to this user, and the driver's package (librte-net-…) installed";
}

}  // namespace strictsend::nic::dpdk
