// SPDX-License-Identifier: Apache-2.0
// What `strictsend doctor` makes of the facts about a machine.
#include <cerrno>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "apps/doctor/machine_checks.hpp"
#include "apps/doctor/options.hpp"
#include "apps/doctor/report.hpp"
#include "tests/unit/doctor_expect.hpp"

namespace strictsend::doctor {
namespace {

/// One on which nothing is wrong.
MachineFacts good_machine() {
  MachineFacts facts;
  facts.kernel_release = "6.12.9-amd64";
  facts.kernel = {6, 12};
  facts.cache_bytes = 1U << 30;
  facts.available_bytes = std::uint64_t{8} << 30;
  facts.capabilities = {true, true, true, true, true, true};
  facts.sees_kernel_faults = true;
  facts.shmem_huge_pages = "advise";
  facts.max_map_count = 65530;
  facts.bpffs = true;
  facts.program = "/usr/bin/strictsend";
  facts.nic = "af_xdp:eth0";
  return facts;
}

TEST(MachineChecks, find_nothing_wrong_with_a_good_machine) {
  const std::vector<Finding> findings = check_machine(good_machine());
  EXPECT_EQ(findings.size(), 9U);
  for (const Finding& finding : findings) {
    EXPECT_EQ(finding.verdict, Verdict::ok) << finding.name << ": " << finding.found;
    EXPECT_NE(finding.found, "") << finding.name;
    EXPECT_EQ(finding.fix, "") << finding.name;
  }
  EXPECT_FALSE(stops_serve(findings));
}

TEST(MachineChecks, a_kernel_is_measured_by_what_came_when) {
  MachineFacts facts = good_machine();
  facts.kernel = {6, 8};
  expect(check_kernel(facts), Verdict::ok, "Linux", "");
  facts.kernel = {6, 7};
  expect(check_kernel(facts), Verdict::slow, "Linux", "linux-image-amd64");
  EXPECT_EQ(check_kernel(facts).why.find("copied"), std::string::npos);
  facts.kernel = {6, 5};
  EXPECT_NE(check_kernel(facts).why.find("payload is copied"), std::string::npos);
  EXPECT_EQ(check_kernel(facts).why.find("mappings"), std::string::npos);
  facts.kernel = {6, 3};
  EXPECT_NE(check_kernel(facts).why.find("before 6.4 there are no writable mappings"),
            std::string::npos);
  facts.kernel = {5, 4};
  expect(check_kernel(facts), Verdict::missing, "Linux", "linux-image-amd64", true);
  facts.nic = "dpdk:0000:01:00.0";
  facts.kernel = {6, 5};
  expect(check_kernel(facts), Verdict::ok, "Linux", "");
}

TEST(MachineChecks, memory_must_be_there_for_the_cache_and_the_queues) {
  MachineFacts facts = good_machine();
  facts.available_bytes = (std::uint64_t{1} << 30) + (12U << 20) + 4096;
  expect(check_memory(facts), Verdict::ok, "1.01 GiB wanted", "");
  facts.queues = 2;
  expect(check_memory(facts), Verdict::missing, "1.02 GiB wanted",
         "/usr/bin/strictsend serve --nic af_xdp:eth0 … --cache 759M", true);
}

TEST(MachineChecks, lockable_memory_is_compared_with_what_the_nic_reads) {
  MachineFacts facts = good_machine();
  facts.lockable_bytes = 8U << 20;
  expect(check_locked_memory(facts), Verdict::ok, "CAP_IPC_LOCK", "");
  facts.capabilities.ipc_lock = false;
  expect(check_locked_memory(facts), Verdict::missing, "RLIMIT_MEMLOCK is 8.00 MiB",
         "ulimit -S -l 1060868", true);
  facts.lockable_bytes_max = 16U << 20;
  expect(check_locked_memory(facts), Verdict::missing, "RLIMIT_MEMLOCK is 8.00 MiB",
         "prlimit --pid $$ --memlock=unlimited:unlimited", true);
  facts.locks_memory = false;
  expect(check_locked_memory(facts), Verdict::ok, "locks none", "");
  facts.locks_memory = true;
  facts.lockable_bytes = std::uint64_t{2} << 30;
  expect(check_locked_memory(facts), Verdict::ok, "2.00 GiB", "");
  facts.lockable_bytes.reset();
  expect(check_locked_memory(facts), Verdict::ok, "unlimited", "");
}

TEST(MachineChecks, userfaultfd_may_see_less_or_be_missing_and_serve_does_without) {
  MachineFacts facts = good_machine();
  facts.sees_kernel_faults = false;
  expect(check_userfaultfd(facts), Verdict::slow, "not in system calls",
         "sysctl -w vm.unprivileged_userfaultfd=1");
  facts.mapping = {EPERM, "userfaultfd failed"};
  expect(check_userfaultfd(facts), Verdict::missing, "userfaultfd failed",
         "--security-opt seccomp=unconfined");
  facts.kernel = {6, 1};
  facts.mapping = {EINVAL, "protected mapping failed"};
  expect(check_userfaultfd(facts), Verdict::missing, "protected mapping failed",
         "linux-image-amd64");
}

TEST(MachineChecks, settings_that_cost_time_are_slow) {
  MachineFacts facts = good_machine();
  facts.max_map_count = 1000;
  expect(check_map_count(facts), Verdict::slow, "vm.max_map_count is 1000",
         "sysctl -w vm.max_map_count=65530");
  for (const char* word : {"never", "deny"}) {
    facts.shmem_huge_pages = word;
    expect(check_shmem_huge_pages(facts), Verdict::slow, word,
           "echo advise > /sys/kernel/mm/transparent_hugepage/shmem_enabled");
  }
  facts.shmem_huge_pages = "";
  expect(check_shmem_huge_pages(facts), Verdict::slow, "this kernel has none", "");
  facts.bpffs = false;
  expect(check_bpffs(facts), Verdict::slow, "not mounted", "mount -t bpf bpf /sys/fs/bpf");
}

TEST(MachineChecks, io_uring_is_needed) {
  MachineFacts facts = good_machine();
  facts.io_uring = {EPERM, "io_uring set-up failed"};
  expect(check_io_uring(facts), Verdict::missing, "set-up failed", "seccomp=unconfined", true);
  facts.io_uring_disabled = 2;
  expect(check_io_uring(facts), Verdict::missing, "set-up failed",
         "sysctl -w kernel.io_uring_disabled=0", true);
  facts.io_uring.errno_value = ENOMEM;
  facts.io_uring_disabled = 0;
  expect(check_io_uring(facts), Verdict::missing, "set-up failed", "prlimit", true);
}

TEST(MachineChecks, missing_capabilities_are_named) {
  MachineFacts facts = good_machine();
  facts.user = 1000;
  facts.group = 100;
  facts.capabilities.sys_admin = false;
  expect(check_capabilities(facts), Verdict::slow, "without CAP_SYS_ADMIN", "--ambient-caps");
  facts.capabilities = {};
  expect(check_capabilities(facts), Verdict::missing,
         "without CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF, CAP_PERFMON",
         "sudo setpriv --reuid 1000 --regid 100", true);
  facts.user = 0;
  expect(check_capabilities(facts), Verdict::missing, "CAP_BPF", "docker run --cap-add NET_ADMIN",
         true);
  facts.capabilities = {.net_admin = true, .sys_admin = true};
  expect(check_capabilities(facts), Verdict::missing, "without CAP_NET_RAW", "docker", true);
}

TEST(MachineChecks, on_dpdk_nothing_of_af_xdp_is_wanted) {
  MachineFacts facts = good_machine();
  facts.nic = "dpdk:net_tap0";
  facts.capabilities = {};
  facts.bpffs = false;
  facts.locks_memory = false;
  for (const Finding& finding : check_machine(facts))
    EXPECT_EQ(finding.verdict, Verdict::ok) << finding.name << ": " << finding.found;
}

const std::vector<Finding> mixed{
    ok("kernel", "Linux 6.12"), slow("bpffs", "not mounted", "a reason", "mount -t bpf"),
    missing("link", "eth0 is down", "another", "ip link set dev eth0 up"),
    not_needed(missing("userfaultfd", "failed", "a third", ""))};

TEST(Report, has_a_line_a_check_with_the_rest_below) {
  EXPECT_EQ(to_text(mixed),
            "ok       kernel             Linux 6.12\n"
            "slow     bpffs              not mounted\n"
            "         why: a reason\n"
            "         fix: mount -t bpf\n"
            "MISSING  link               eth0 is down\n"
            "         why: another\n"
            "         fix: ip link set dev eth0 up\n"
            "MISSING  userfaultfd        failed\n"
            "         why: a third\n"
            "\n"
            "serve would not start; of 4 checks 1 missing that it needs, 1 missing that it does "
            "without, 1 slow\n");
  EXPECT_EQ(conclusion({mixed[0]}), "serve would start; of 1 checks all are ok");
  EXPECT_FALSE(stops_serve({mixed[0], mixed[1], mixed[3]}));
  EXPECT_TRUE(stops_serve(mixed));
}

TEST(Report, says_the_same_in_json) {
  const auto report = nlohmann::json::parse(to_json(mixed));
  EXPECT_EQ(report["serve_would_start"], false);
  EXPECT_EQ(report["summary"], conclusion(mixed));
  ASSERT_EQ(report["checks"].size(), 4U);
  const auto& link = report["checks"][2];
  EXPECT_EQ(link["name"], "link");
  EXPECT_EQ(link["verdict"], "missing");
  EXPECT_EQ(link["found"], "eth0 is down");
  EXPECT_EQ(link["why"], "another");
  EXPECT_EQ(link["fix"], "ip link set dev eth0 up");
  EXPECT_EQ(link["stops_serve"], true);
  EXPECT_EQ(report["checks"][1]["verdict"], "slow");
  EXPECT_EQ(report["checks"][3]["stops_serve"], false);
  EXPECT_NO_THROW(static_cast<void>(to_json({ok("interface", "\xff")})));
}

cli::Parsed<Options> parse(const std::vector<std::string>& arguments) {
  return parse_options(arguments);
}

TEST(DoctorOptions, are_those_of_serve_that_bear_on_the_machine) {
  const auto none = parse({});
  ASSERT_TRUE(none) << none.error();
  EXPECT_EQ(none->nic, "");
  EXPECT_EQ(none->cache_bytes, 1U << 30);
  EXPECT_FALSE(none->json);
  const auto all = parse({"--nic", "dpdk:net_tap0", "--cache", "2G", "--queues=4", "--address",
                          "10.0.0.1/24", "--vlan", "5", "--json", "--", "--no-huge"});
  ASSERT_TRUE(all) << all.error();
  EXPECT_EQ(all->nic, "dpdk:net_tap0");
  EXPECT_EQ(all->cache_bytes, std::uint64_t{2} << 30);
  EXPECT_EQ(all->queues, 4U);
  EXPECT_TRUE(all->address_given);
  EXPECT_EQ(all->vlan_id, 5);
  EXPECT_TRUE(all->json);
  EXPECT_EQ(all->eal_arguments, std::vector<std::string>{"--no-huge"});
}

TEST(DoctorOptions, a_mistake_is_named_with_its_option) {
  struct Case {
    std::vector<std::string> arguments;
    const char* named;
  };
  for (const Case& c : std::vector<Case>{
           {{"--nic", "eth0"}, "--nic: \"eth0\" names no kind of port"},
           {{"--nic"}, "--nic"},
           {{"--cache", "1M"}, "--cache: 1M is too small"},
           {{"--queues", "0"}, "--queues"},
           {{"--vlan", "4095"}, "--vlan"},
           {{"--address", "here"}, "--address"},
           {{"--json=yes"}, "--json"},
           {{"--root", "/srv"}, "--root"},
           {{"eth0"}, "behind --nic"},
           {{"--nic", "af_xdp:eth0", "--", "--no-huge"}, "DPDK"},
           {{"--", "--no-huge"}, "DPDK"},
       }) {
    const auto options = parse(c.arguments);
    ASSERT_FALSE(options) << c.named;
    EXPECT_NE(options.error().find(c.named), std::string::npos) << options.error();
    EXPECT_EQ(options.error().find('\n'), std::string::npos) << options.error();
  }
}

TEST(DoctorOptions, help_needs_nothing_else_and_explains_every_option) {
  EXPECT_TRUE(parse({"--help"}).value().help);
  const std::string page(doctor_help());
  for (const std::string& name : option_names())
    EXPECT_NE(page.find("--" + name), std::string::npos) << name;
  std::size_t begin = 0;
  for (std::size_t end = 0; (end = page.find('\n', begin)) != std::string::npos; begin = end + 1)
    EXPECT_LE(end - begin, 90U) << page.substr(begin, end - begin);
}

}  // namespace
}  // namespace strictsend::doctor
