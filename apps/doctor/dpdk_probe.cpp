// SPDX-License-Identifier: Apache-2.0
#include <linux/magic.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <pwd.h>
#include <string_view>
#include <unistd.h>

#include "apps/doctor/probes.hpp"
#include "apps/support/unique_fd.hpp"
#include <strictsend/probe.hpp>

namespace strictsend::doctor {
namespace {

namespace fs = std::filesystem;

/// As DPDK's ports are named: 0000:01:00.0.
bool is_pci_address(const std::string& name) {
  return std::count(name.begin(), name.end(), ':') == 2 && name.find('.') != std::string::npos;
}

bool has(const std::vector<std::string>& arguments, std::string_view option) {
  return std::find(arguments.begin(), arguments.end(), option) != arguments.end();
}

/// Of "--huge-dir DIR" or "--huge-dir=DIR".
std::optional<std::string> value_of(const std::vector<std::string>& arguments,
                                    const std::string& option) {
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i].starts_with(option + "=")) return arguments[i].substr(option.size() + 1);
    if (arguments[i] == option && i + 1 < arguments.size()) return arguments[i + 1];
  }
  return std::nullopt;
}

std::uint64_t number_in(const fs::path& path) {
  std::ifstream file(path);
  std::uint64_t number = 0;
  file >> number;
  return number;
}

void count_huge_pages(DpdkFacts& facts) {
  constexpr std::string_view begin = "hugepages-";
  std::error_code error;
  for (const auto& size : fs::directory_iterator("/sys/kernel/mm/hugepages", error)) {
    const std::string name = size.path().filename().string();
    if (!name.starts_with(begin)) continue;
    const std::uint64_t bytes = std::strtoull(name.c_str() + begin.size(), nullptr, 10) << 10;
    facts.huge_pages_free_bytes += bytes * number_in(size.path() / "free_hugepages");
    facts.huge_pages_total_bytes += bytes * number_in(size.path() / "nr_hugepages");
  }
}

/// The name that a symbolic link of sysfs ends in; empty: there is none.
std::string link_name(const fs::path& link) {
  std::error_code error;
  const fs::path target = fs::read_symlink(link, error);
  return error ? std::string() : target.filename().string();
}

int open_error(const std::string& path) {
  const app::UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK));
  return fd.valid() ? 0 : errno;
}

/// Those that keep a group from being given to a program (vfio_dev_driver_allowed).
bool keeps_group(const std::string& driver) {
  constexpr std::array<std::string_view, 5> harmless = {"", "vfio-pci", "pci-stub", "pcieport",
                                                        "vfio-platform"};
  return std::find(harmless.begin(), harmless.end(), driver) == harmless.end();
}

void look_at_pci_device(DpdkFacts& facts) {
  const fs::path device = fs::path("/sys/bus/pci/devices") / facts.device;
  std::error_code error;
  facts.exists = fs::exists(device, error);
  if (!facts.exists) return;
  facts.driver = link_name(device / "driver");
  facts.vfio_loaded = fs::exists("/sys/bus/pci/drivers/vfio-pci", error);
  facts.iommu_group = link_name(device / "iommu_group");
  for (const auto& entry : fs::directory_iterator(device / "net", error))
    facts.kernel_interfaces.push_back(entry.path().filename().string());
  if (facts.iommu_group.empty()) return;
  for (const auto& entry : fs::directory_iterator(device / "iommu_group/devices", error)) {
    const std::string address = entry.path().filename().string();
    const std::string driver = link_name(entry.path() / "driver");
    if (address != facts.device && keeps_group(driver))
      facts.group_neighbours.push_back({address, driver});
  }
  facts.vfio_errno = open_error("/dev/vfio/vfio");
  facts.group_errno = open_error("/dev/vfio/" + facts.iommu_group);
}

}  // namespace

DpdkFacts probe_dpdk(const Options& options, const std::string& device) {
  DpdkFacts facts;
  facts.device = device;
  facts.supported = probe_dpdk_support();
  facts.no_huge = has(options.eal_arguments, "--no-huge");
  facts.no_pci = has(options.eal_arguments, "--no-pci");
  count_huge_pages(facts);
  facts.huge_dir = value_of(options.eal_arguments, "--huge-dir");
  struct statfs file_system {};
  facts.huge_dir_is_hugetlbfs = facts.huge_dir &&
                                ::statfs(facts.huge_dir->c_str(), &file_system) == 0 &&
                                static_cast<std::uint32_t>(file_system.f_type) == HUGETLBFS_MAGIC;
  facts.is_pci = is_pci_address(device);
  const passwd* const user = ::getpwuid(::geteuid());
  facts.user = user != nullptr ? user->pw_name : std::to_string(::geteuid());
  if (facts.is_pci) look_at_pci_device(facts);
  return facts;
}

}  // namespace strictsend::doctor
