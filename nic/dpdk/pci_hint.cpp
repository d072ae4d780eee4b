// SPDX-License-Identifier: Apache-2.0
#include "nic/dpdk/pci_hint.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <fstream>
#include <string_view>
#include <system_error>

#include "base/unique_fd.hpp"

namespace strictsend::nic::dpdk {
namespace {

namespace fs = std::filesystem;

constexpr const char* turn_iommu_on =
    "turn the IOMMU on (intel_iommu=on or amd_iommu=on on the kernel's command line; in a virtual "
    "machine it needs a virtual IOMMU)";

fs::path device_of(const HostView& host, const std::string& address) {
  return host.root / "sys/bus/pci/devices" / address;
}

/// The name that a symbolic link of sysfs ends in; empty: there is none.
std::string link_name(const fs::path& link) {
  std::error_code error;
  const fs::path target = fs::read_symlink(link, error);
  return error ? std::string() : target.filename().string();
}

std::string bind_to_vfio(const std::string& address) {
  return "dpdk-devbind.py -b vfio-pci " + address;
}

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

/// What is wrong with a device file of vfio; empty: it opens. `missing`: what to do without it.
std::string device_file_hint(const HostView& host, const std::string& path,
                             const std::string& missing) {
  const int error = host.open_error(host.root / path.substr(1));
  switch (error) {
    case 0:
      return {};
    case ENOENT:
    case ENODEV:  // the file is there from the start, and loads the module if it can
    case ENXIO:
      return path + " is missing: " + missing;
    case EACCES:
    case EPERM:
      return path + " is not open to this user: chown it (chown USER " + path +
             "; a udev rule keeps it so), or run as root";
    case EBUSY:
      return path + " is held by another process (fuser -v " + path +
             " names it): end that, or take another device";
    default:
      return path + " does not open: " + std::system_category().message(error);
  }
}

/// A device of the group that keeps it from being given to a program (vfio_dev_driver_allowed);
/// empty: none does.
std::string group_hint(const fs::path& group) {
  constexpr std::array<std::string_view, 5> harmless = {"", "vfio-pci", "pci-stub", "pcieport",
                                                        "vfio-platform"};
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(group / "devices", error)) {
    const std::string driver = link_name(entry.path() / "driver");
    if (std::find(harmless.begin(), harmless.end(), driver) != harmless.end()) continue;
    const std::string other = entry.path().filename().string();
    return other + " is in the same IOMMU group and bound to the kernel's " + driver +
           ", and a group can only be taken whole: " + bind_to_vfio(other) +
           " (or, for a device that nobody needs, dpdk-devbind.py -u " + other + ")";
  }
  return {};
}

std::string vfio_hint(const HostView& host, const fs::path& device) {
  const std::string number = link_name(device / "iommu_group");
  if (std::string hint = group_hint(device / "iommu_group"); !hint.empty()) return hint;
  if (std::string hint = device_file_hint(
          host, "/dev/vfio/vfio",
          "load the module (modprobe vfio-pci), or give the container that file and the group's "
          "(--device /dev/vfio/vfio --device /dev/vfio/" +
              number + ")");
      !hint.empty())
    return hint;
  if (std::string hint = device_file_hint(
          host, "/dev/vfio/" + number,
          "give it to the container that this runs in (--device /dev/vfio/" + number + ")");
      !hint.empty())
    return hint;
  std::ifstream vendor_file(device / "vendor");
  std::ifstream device_file(device / "device");
  std::string vendor;
  std::string model;
  vendor_file >> vendor;
  device_file >> model;
  return "it is bound to vfio-pci and can be opened, so DPDK has no driver for it" +
         (model.empty() ? "" : " (PCI ID " + vendor + ":" + model + ")") +
         ": install the package with it (librte-net-…; apt install dpdk has all)";
}

}  // namespace

int HostView::try_to_open(const fs::path& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK));
  return fd.valid() ? 0 : errno;
}

bool looks_like_pci(const std::string& name) {
  return std::count(name.begin(), name.end(), ':') == 2 && name.find('.') != std::string::npos;
}

std::string pci_hint(const HostView& host, const std::string& address) {
  const fs::path device = device_of(host, address);
  if (!is_there(device)) return "no such PCI device here (lspci -D lists them)";
  const std::string bound = link_name(device / "driver");
  if (!is_there(device / "iommu_group") && bound != "uio_pci_generic" && bound != "igb_uio")
    return std::string("it is in no IOMMU group: ") + turn_iommu_on + ", then " +
           bind_to_vfio(address);
  if (bound.empty()) {
    if (!is_there(host.root / "sys/bus/pci/drivers/vfio-pci"))
      return "no driver is bound to it: modprobe vfio-pci && " + bind_to_vfio(address);
    return "no driver is bound to it: " + bind_to_vfio(address);
  }
  if (bound != "vfio-pci")
    return "it is bound to the kernel's " + bound + ": " + bind_to_vfio(address) +
           " (it then disappears from the kernel)";
  return vfio_hint(host, device);
}

std::string iova_hint(const HostView& host, const std::string& address) {
  const fs::path device = device_of(host, address);
  const std::string bound = link_name(device / "driver");
  const std::string number = link_name(device / "iommu_group");
  const std::string begin =
      "DPDK chose physical addresses, which the cache's memory has not got for sure: ";
  if (number.empty() || is_there(host.root / "dev/vfio" / ("noiommu-" + number)))
    return begin + turn_iommu_on + ", then " + bind_to_vfio(address);
  if (!bound.empty() && bound != "vfio-pci")
    return begin + "it is bound to " + bound + ", which knows no IOMMU: " + bind_to_vfio(address);
  return begin + "pass --iova-mode=va after --";
}

std::string iommu_width_hint(const HostView& host, const std::string& address,
                             std::uint64_t last_byte) {
  std::ifstream file(device_of(host, address) / "iommu/intel-iommu/cap");
  std::uint64_t capabilities = 0;
  if (!(file >> std::hex >> capabilities)) return {};
  const auto bits = static_cast<unsigned>((capabilities >> 16 & 0x3f) + 1);  // VT-d's MGAW
  if (bits >= 64 || last_byte >> bits == 0) return {};
  return "its IOMMU takes addresses of " + std::to_string(bits) +
         " bits, and those of the memory are longer: a virtual one can be made wider (QEMU: -device "
         "intel-iommu,aw-bits=48)";
}

}  // namespace strictsend::nic::dpdk
