// SPDX-License-Identifier: Apache-2.0
#include "apps/doctor/dpdk_checks.hpp"

#include <cerrno>
#include <string>
#include <system_error>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "apps/cli/values.hpp"

namespace strictsend::doctor {
namespace {

std::string bind_to_vfio(const std::string& address) {
  return "dpdk-devbind.py -b vfio-pci " + address;
}

bool knows_no_iommu(const std::string& driver) {
  return driver == "uio_pci_generic" || driver == "igb_uio";
}

}  // namespace

Finding check_dpdk_support(const DpdkFacts& facts) {
  if (facts.supported) return ok("DPDK", "built in");
  return missing("DPDK", "this build has none", "dpdk:PORT is DPDK's",
                 "apt-get install libdpdk-dev && meson configure build -Ddpdk=enabled && ninja -C "
                 "build");
}

Finding check_dpdk_memory(const DpdkFacts& facts) {
  const char* const name = "DPDK huge pages";
  const auto size = [](std::uint64_t bytes) {
    return cli::format_size(static_cast<double>(bytes));
  };
  if (facts.no_huge) return ok(name, "none are wanted (--no-huge)");
  std::string found = fmt::format("{} free of {}", size(facts.huge_pages_free_bytes),
                                  size(facts.huge_pages_total_bytes));
  // Its mbufs, and what its drivers keep.
  constexpr std::uint64_t least = 64U << 20;
  if (facts.huge_pages_free_bytes < least)
    return missing(name, std::move(found),
                   "DPDK takes its own memory from them, unless --no-huge stands behind --",
                   "sysctl -w vm.nr_hugepages=256");
  if (facts.huge_dir && !facts.huge_dir_is_hugetlbfs)
    return missing(name, fmt::format("{}, but {} is no hugetlbfs", found, *facts.huge_dir),
                   "--huge-dir names where they are mounted",
                   fmt::format("mkdir -p {0} && mount -t hugetlbfs none {0}", *facts.huge_dir));
  return ok(name, facts.huge_dir ? fmt::format("{}, on {}", found, *facts.huge_dir)
                                 : found + "; no mount of them is used");
}

Finding check_pci_device(const DpdkFacts& facts) {
  if (!facts.exists)
    return missing("PCI device", "there is no " + facts.device + " here",
                   "dpdk:ADDRESS names a PCI device with its domain", "lspci -D");
  if (facts.no_pci)
    return missing("PCI device", "--no-pci keeps DPDK from looking at " + facts.device,
                   "it is a PCI device",
                   fmt::format("strictsend doctor --nic dpdk:{}", facts.device));
  return ok("PCI device", facts.device);
}

Finding check_iommu(const DpdkFacts& facts) {
  if (!facts.iommu_group.empty()) return ok("IOMMU", "group " + facts.iommu_group);
  return missing("IOMMU", facts.device + " is in no IOMMU group",
                 "DPDK is given the cache's pages by virtual address, which takes an IOMMU (in a "
                 "virtual machine a virtual one)",
                 "sed -i 's/^GRUB_CMDLINE_LINUX=\"/&intel_iommu=on amd_iommu=on /' "
                 "/etc/default/grub && update-grub && reboot");
}

Finding check_driver_binding(const DpdkFacts& facts) {
  const char* const name = "driver";
  if (facts.driver == "vfio-pci") return ok(name, "vfio-pci");
  std::string fix = (facts.vfio_loaded ? "" : "modprobe vfio-pci && ") + bind_to_vfio(facts.device);
  if (facts.driver.empty())
    return missing(name, "none is bound to it", "DPDK reaches devices through vfio-pci",
                   std::move(fix));
  if (knows_no_iommu(facts.driver))
    return missing(name, "it is bound to " + facts.driver + ", which knows no IOMMU",
                   "DPDK chooses physical addresses then, which the cache's memory has not got",
                   std::move(fix));
  const std::string interfaces =
      facts.kernel_interfaces.empty()
          ? ""
          : fmt::format(" and is {} there", fmt::join(facts.kernel_interfaces, ", "));
  return missing(
      name, fmt::format("it is bound to the kernel's {}{}", facts.driver, interfaces),
      "DPDK reaches devices through vfio-pci; the device then disappears from the kernel",
      std::move(fix));
}

Finding check_iommu_group(const DpdkFacts& facts) {
  const char* const name = "IOMMU group";
  if (facts.group_neighbours.empty())
    return ok(name, "no other device in it is bound to a driver of the kernel's");
  std::string found;
  std::string fix;
  for (const DpdkFacts::Neighbour& other : facts.group_neighbours) {
    found += fmt::format("{}{} ({})", found.empty() ? "" : ", ", other.address, other.driver);
    fix += (fix.empty() ? "" : " && ") + bind_to_vfio(other.address);
  }
  return missing(name, found + " in it bound to the kernel", "a group can only be taken whole",
                 std::move(fix));
}

Finding check_vfio_files(const DpdkFacts& facts) {
  const char* const name = "vfio";
  const bool first = facts.vfio_errno != 0;
  const std::string path = first ? "/dev/vfio/vfio" : "/dev/vfio/" + facts.iommu_group;
  const char* const why = "devices are opened through it";
  switch (const int error = first ? facts.vfio_errno : facts.group_errno; error) {
    case 0:
      return ok(name, path + " opens");
    case ENOENT:
    case ENODEV:
    case ENXIO:
      // The group's file comes with the binding.
      return missing(name, path + " is missing", why,
                     first ? std::string("modprobe vfio-pci") : bind_to_vfio(facts.device));
    case EACCES:
    case EPERM:
      return missing(name, path + " is not open to this user", why,
                     fmt::format("sudo chown {} {}", facts.user, path));
    case EBUSY:
      return missing(name, path + " is held by another process", why, "fuser -v " + path);
    default:
      return missing(name, path + " does not open: " + std::system_category().message(error), why,
                     "");
  }
}

std::vector<Finding> check_dpdk(const DpdkFacts& facts) {
  std::vector<Finding> findings{check_dpdk_support(facts), check_dpdk_memory(facts)};
  if (!facts.is_pci) return findings;
  findings.push_back(check_pci_device(facts));
  if (!facts.exists) return findings;
  findings.insert(findings.end(), {check_iommu(facts), check_driver_binding(facts)});
  if (!facts.iommu_group.empty()) {
    findings.push_back(check_iommu_group(facts));
    findings.push_back(check_vfio_files(facts));
  }
  return findings;
}

}  // namespace strictsend::doctor
