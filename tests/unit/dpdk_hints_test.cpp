// SPDX-License-Identifier: Apache-2.0
// What somebody is told whose DPDK device cannot be set up: each case on a tree of files such as
// the kernel shows.
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include <gtest/gtest.h>

#include "nic/dpdk/eal.hpp"
#include "nic/dpdk/pci_hint.hpp"
#include "tests/support/temp_dir.hpp"

namespace strictsend::nic::dpdk {
namespace {

namespace fs = std::filesystem;

/// Errors of opening files, by name; what is not here opens if it exists.
std::map<std::string, int>& open_errors() {
  static std::map<std::string, int> errors;
  return errors;
}
int open_error(const fs::path& path) {
  const auto found = open_errors().find(path.filename().string());
  if (found != open_errors().end()) return found->second;
  return fs::exists(path) ? 0 : ENOENT;
}

class Hints : public testing::Test {
 protected:
  Hints() {
    open_errors().clear();
    fs::create_directories(root() / "sys/bus/pci/drivers/vfio-pci");
    fs::create_directories(device());
  }
  [[nodiscard]] fs::path root() const { return tree_.path(); }
  [[nodiscard]] HostView host() const { return {root(), &open_error}; }
  [[nodiscard]] fs::path device(const std::string& address = "0000:01:00.0") const {
    return root() / "sys/bus/pci/devices" / address;
  }
  void write(const std::string& path, const std::string& text) const {
    fs::create_directories((root() / path).parent_path());
    std::ofstream(root() / path) << text;
  }
  void bind_to(const std::string& driver, const std::string& address = "0000:01:00.0") const {
    fs::create_directories(device(address));
    fs::create_directory_symlink("../../../../bus/pci/drivers/" + driver,
                                 device(address) / "driver");
  }
  void join_group(const std::string& address = "0000:01:00.0") const {
    const fs::path group = root() / "sys/kernel/iommu_groups/7";
    fs::create_directories(group / "devices");
    fs::create_directory_symlink(device(address), group / "devices" / address);
    fs::create_directory_symlink(group, device(address) / "iommu_group");
  }
  /// Everything in order for vfio.
  void make_ready() const {
    bind_to("vfio-pci");
    join_group();
    write("dev/vfio/vfio", "");
    write("dev/vfio/7", "");
  }
  void may_lock(const std::string& limit, std::uint64_t locked_kib, bool capable) const {
    write("proc/self/limits",
          "Limit                     Soft Limit           Hard Limit           Units     \n"
          "Max locked memory         " +
              limit + "              " + limit + "              bytes     \n");
    write("proc/self/status", "Name:\tstrictsend\nVmLck:\t" + std::to_string(locked_kib) +
                                  " kB\nCapEff:\t" + (capable ? "0000000000004000" : "0000") +
                                  "\n");
  }
  [[nodiscard]] std::string hint(const std::string& address = "0000:01:00.0") const {
    return pci_hint(host(), address);
  }
  static void expect_says(const std::string& hint, const std::string& text) {
    EXPECT_NE(hint.find(text), std::string::npos) << hint;
  }

 private:
  test::TempDir tree_;
};

TEST_F(Hints, name_the_one_step_that_is_missing) {
  EXPECT_EQ(hint("0000:02:00.0"), "no such PCI device here (lspci -D lists them)");
  bind_to("e1000e");
  expect_says(hint(), "it is in no IOMMU group: turn the IOMMU on (intel_iommu=on");
  join_group();
  EXPECT_EQ(hint(),
            "it is bound to the kernel's e1000e: dpdk-devbind.py -b vfio-pci 0000:01:00.0 (it then "
            "disappears from the kernel)");
}

TEST_F(Hints, ask_for_a_driver_and_its_module) {
  join_group();
  EXPECT_EQ(hint(), "no driver is bound to it: dpdk-devbind.py -b vfio-pci 0000:01:00.0");
  fs::remove(root() / "sys/bus/pci/drivers/vfio-pci");
  EXPECT_EQ(hint(),
            "no driver is bound to it: modprobe vfio-pci && dpdk-devbind.py -b vfio-pci "
            "0000:01:00.0");
}

TEST_F(Hints, name_the_device_that_keeps_a_group_from_being_viable) {
  make_ready();
  bind_to("pcieport", "0000:00:01.0");
  join_group("0000:00:01.0");
  expect_says(hint(), "DPDK has no driver for it");
  bind_to("e1000e", "0000:01:00.1");
  join_group("0000:01:00.1");
  expect_says(hint(), "0000:01:00.1 is in the same IOMMU group and bound to the kernel's e1000e");
  expect_says(hint(), "dpdk-devbind.py -b vfio-pci 0000:01:00.1");
}

TEST_F(Hints, name_vfios_file_that_is_missing_or_shut) {
  make_ready();
  fs::remove(root() / "dev/vfio/vfio");
  expect_says(hint(), "/dev/vfio/vfio is missing: load the module (modprobe vfio-pci)");
  write("dev/vfio/vfio", "");
  open_errors() = {{"vfio", ENODEV}};
  expect_says(hint(), "/dev/vfio/vfio is missing: load the module (modprobe vfio-pci)");
  open_errors() = {{"vfio", EACCES}};
  expect_says(hint(), "/dev/vfio/vfio is not open to this user");
  open_errors() = {{"7", EACCES}};
  expect_says(hint(), "/dev/vfio/7 is not open to this user: chown it (chown USER /dev/vfio/7");
  open_errors() = {{"7", EBUSY}};
  expect_says(hint(), "/dev/vfio/7 is held by another process (fuser -v /dev/vfio/7 names it)");
  open_errors() = {{"7", EIO}};
  expect_says(hint(), "/dev/vfio/7 does not open: Input/output error");
  open_errors().clear();
  fs::remove(root() / "dev/vfio/7");
  expect_says(hint(), "/dev/vfio/7 is missing: give it to the container");
}

TEST_F(Hints, name_the_model_that_has_no_driver) {
  make_ready();
  write("sys/bus/pci/devices/0000:01:00.0/vendor", "0x8086\n");
  write("sys/bus/pci/devices/0000:01:00.0/device", "0x10d3\n");
  expect_says(hint(), "DPDK has no driver for it (PCI ID 0x8086:0x10d3): install the package");
}

TEST_F(Hints, say_why_dpdk_chose_physical_addresses) {
  const auto iova = [&] { return iova_hint(host(), "0000:01:00.0"); };
  bind_to("uio_pci_generic");
  expect_says(iova(), "turn the IOMMU on");
  join_group();
  expect_says(iova(), "it is bound to uio_pci_generic, which knows no IOMMU");
  fs::remove(device() / "driver");
  bind_to("vfio-pci");
  expect_says(iova(), "pass --iova-mode=va after --");
  write("dev/vfio/noiommu-7", "");
  expect_says(iova(), "turn the IOMMU on");
}

TEST_F(Hints, see_an_iommu_that_is_too_narrow) {
  constexpr std::uint64_t high = 0x7fff'0000'0000;
  const auto width = [&](std::uint64_t last) {
    return iommu_width_hint(host(), "0000:01:00.0", last);
  };
  EXPECT_EQ(width(high), "") << "nobody says";
  write("sys/bus/pci/devices/0000:01:00.0/iommu/intel-iommu/cap", "d2008c22260206\n");
  expect_says(width(high), "its IOMMU takes addresses of 39 bits");
  EXPECT_EQ(width(0x1'0000'0000), "");
  write("sys/bus/pci/devices/0000:01:00.0/iommu/intel-iommu/cap", "d2008c402f0686\n");
  EXPECT_EQ(width(high), "") << "48 bits";
}

TEST_F(Hints, name_the_limit_of_locked_memory_and_what_is_needed) {
  const auto locked = [&](std::uint64_t mebibytes, bool refused) {
    return memory_lock_hint(host(), mebibytes << 20, refused);
  };
  EXPECT_EQ(locked(1 << 20, true), "") << "nothing is known";
  may_lock("8388608", 0, false);
  EXPECT_EQ(
      locked(64, false),
      "RLIMIT_MEMLOCK is 8 MiB, and the NIC needs 64 MiB locked besides DPDK's own: ulimit -l "
      "unlimited (in a systemd unit LimitMEMLOCK=infinity), or give the process CAP_IPC_LOCK");
  EXPECT_EQ(locked(4, false), "") << "that fits";
  expect_says(locked(4, true), "RLIMIT_MEMLOCK is 8 MiB, and the NIC needs 4 MiB");
  may_lock("104857600", 51200, false);
  expect_says(locked(64, false), "besides 50 MiB locked already (DPDK's own counts too)");
  may_lock("8388608", 0, true);
  EXPECT_EQ(locked(64, true), "") << "it is the capability that counts";
  may_lock("unlimited", 0, false);
  EXPECT_EQ(locked(64, true), "");
}

TEST(EalHint, knows_what_stops_a_user_who_is_not_root) {
  const auto expect = [](const char* said, const char* text) {
    EXPECT_NE(eal_hint(said).find(text), std::string::npos) << eal_hint(said);
  };
  expect("EAL: Cannot use IOVA as 'PA' since physical addresses are not available",
         "--iova-mode=va");
  expect(
      "EAL: Error creating '/run/user/7/dpdk': No such file or directory; EAL: Cannot create "
      "runtime directory",
      "/tmp/dpdk");
  expect("EAL: Cannot get hugepage information.", "reserve huge pages");
  expect(
      "EAL: Cannot create lock on '/var/run/dpdk/rte/config'. Is another primary process running?",
      "--file-prefix");
}

TEST(LooksLikePci, tells_addresses_from_names) {
  EXPECT_TRUE(looks_like_pci("0000:01:00.0"));
  EXPECT_FALSE(looks_like_pci("net_tap0"));
  EXPECT_FALSE(looks_like_pci("01:00"));
}

}  // namespace
}  // namespace strictsend::nic::dpdk
