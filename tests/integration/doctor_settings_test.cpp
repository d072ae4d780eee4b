// SPDX-License-Identifier: Apache-2.0
// Whether the fixes of `strictsend doctor` for settings of the whole machine mend them. Each is put
// back; none is changed in a way that a process with root's rights would notice.
#include <fstream>
#include <sstream>
#include <unistd.h>

#include "tests/integration/doctor_fixture.hpp"

namespace strictsend::test {
namespace {

std::string content_of(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

/// A setting, put back in the end.
class Setting {
 public:
  explicit Setting(std::string path) : path_(std::move(path)), before_(content_of(path_)) {
    // "always [never]": the chosen one.
    const std::size_t begin = before_.find('[');
    if (begin != std::string::npos)
      before_ = before_.substr(begin + 1, before_.find(']') - begin - 1);
  }
  Setting(const Setting&) = delete;
  Setting& operator=(const Setting&) = delete;
  ~Setting() { set(before_); }
  [[nodiscard]] bool exists() const { return !before_.empty(); }
  void set(const std::string& value) const {
    if (exists()) std::ofstream(path_) << value;
  }

 private:
  std::string path_;
  std::string before_;
};

class DoctorSettings : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "settings are root's to change";
  }
  static void expect_mended(const std::string& check, const std::string& verdict,
                            const Words& options = {}, const Words& prefix = {}) {
    const Diagnosis::Check found = diagnose(options, prefix).check(check);
    EXPECT_EQ(found.verdict, verdict) << found.found;
    run_fix(found.fix);
    const Diagnosis::Check mended = diagnose(options, prefix).check(check);
    EXPECT_EQ(mended.verdict, "ok") << found.fix << ": " << mended.found;
  }
};

TEST_F(DoctorSettings, userfaultfd_for_everybody) {
  if (const std::string why = no_nobody(); !why.empty()) GTEST_SKIP() << why;
  const Setting setting("/proc/sys/vm/unprivileged_userfaultfd");
  if (!setting.exists()) GTEST_SKIP() << "this kernel has no such setting";
  setting.set("0");
  expect_mended("userfaultfd", "slow", {}, as_nobody);
}

TEST_F(DoctorSettings, io_uring_for_everybody) {
  if (const std::string why = no_nobody(); !why.empty()) GTEST_SKIP() << why;
  const Setting setting("/proc/sys/kernel/io_uring_disabled");
  if (!setting.exists()) GTEST_SKIP() << "this kernel has no such setting";
  setting.set("1");
  EXPECT_EQ(diagnose({}).check("io_uring").verdict, "ok") << "root may";
  expect_mended("io_uring", "missing", {}, as_nobody);
}

TEST_F(DoctorSettings, huge_pages_for_the_cache) {
  const Setting setting("/sys/kernel/mm/transparent_hugepage/shmem_enabled");
  if (!setting.exists()) GTEST_SKIP() << "this kernel has none";
  setting.set("never");
  expect_mended("shmem huge pages", "slow");
}

TEST_F(DoctorSettings, enough_mappings) {
  const Setting setting("/proc/sys/vm/max_map_count");
  setting.set("65000");
  expect_mended("mappings", "slow");
}

TEST_F(DoctorSettings, huge_pages_for_dpdk) {
  const Setting setting("/proc/sys/vm/nr_hugepages");
  if (!setting.exists()) GTEST_SKIP() << "this kernel has none";
  if (content_of("/proc/sys/vm/nr_hugepages") != "0\n") GTEST_SKIP() << "some are reserved already";
  std::uint64_t pages = static_cast<std::uint64_t>(::sysconf(_SC_AVPHYS_PAGES));
  if (pages * 4096 < (std::uint64_t{4} << 30)) GTEST_SKIP() << "too little memory is free";
  const Words nic{"--nic", "dpdk:net_tap0"};
  if (diagnose(nic).check("DPDK").verdict != "ok") GTEST_SKIP() << "this build has no DPDK";
  EXPECT_EQ(diagnose(nic).result.exit_code, 1);
  expect_mended("DPDK huge pages", "missing", nic);
  EXPECT_EQ(diagnose(nic + Words{"--", "--no-huge"}).check("DPDK huge pages").verdict, "ok");
}

}  // namespace
}  // namespace strictsend::test
