// SPDX-License-Identifier: Apache-2.0
// `strictsend doctor` on interfaces that lack something, and whether its fixes mend them.
#include <csignal>
#include <filesystem>

#include "tests/integration/doctor_fixture.hpp"
#include "tests/support/temp_dir.hpp"

namespace strictsend::test {
namespace {

class Doctor : public testing::Test {
 protected:
  void SetUp() override {
    if (const auto why = NetNamespacePair::unavailable()) GTEST_SKIP() << *why;
    auto made = NetNamespacePair::create(net_options_);
    ASSERT_TRUE(made) << made.error().message();
    network_.emplace(std::move(*made));
  }
  [[nodiscard]] std::string name() const { return network_->near().interface_name; }
  [[nodiscard]] Words nic() const { return {"--nic", "af_xdp:" + name()}; }
  /// A check of the near end says so, its fix runs, and the check is ok.
  void expect_mended(const std::string& check, const std::string& verdict,
                     const Words& options = {}, const Words& prefix = {}) {
    const Diagnosis ill = diagnose(nic() + options, prefix);
    const Diagnosis::Check found = ill.check(check);
    EXPECT_EQ(found.verdict, verdict) << found.found;
    EXPECT_EQ(ill.result.exit_code, found.stops_serve ? 1 : 0) << ill.result.output;
    run_fix(found.fix);
    const Diagnosis::Check mended = diagnose(nic() + options, prefix).check(check);
    EXPECT_EQ(mended.verdict, "ok") << found.fix << ": " << mended.found;
  }
  static void must(const Words& command) {
    const CommandResult result = run_command(command);
    ASSERT_EQ(result.exit_code, 0) << result.output;
  }

  NetNamespacePair::Options net_options_;
  std::optional<NetNamespacePair> network_;
};

class DoctorOfFourQueues : public Doctor {
 protected:
  DoctorOfFourQueues() { net_options_.queues = 4; }
};

TEST_F(Doctor, finds_a_veth_fit_to_serve) {
  const Diagnosis diagnosis = diagnose(nic());
  EXPECT_EQ(diagnosis.result.exit_code, 0) << diagnosis.result.output;
  EXPECT_EQ(diagnosis.report["serve_would_start"], true);
  EXPECT_EQ(diagnosis.check("interface").found, name() + ", driver veth");
  EXPECT_EQ(diagnosis.check("XDP mode").found.substr(0, 17), "native, copy mode");
  EXPECT_EQ(diagnosis.check("io_uring").verdict, "ok");
}

TEST_F(Doctor, finds_the_peers_checksum_offload_and_mends_it) {
  expect_mended("veth peer", "slow");
}

TEST_F(Doctor, finds_how_the_peer_sends_tags) {
  expect_mended("veth peer", "missing", {"--vlan", "5", "--address", "10.0.0.1"});
}

TEST_F(Doctor, finds_a_peer_whose_namespace_has_no_name) {
  auto holder = ChildProcess::spawn({"unshare", "--net", "sleep", "60"});
  ASSERT_TRUE(holder) << holder.error().message();
  const std::string pid = std::to_string(holder->pid());
  // Until it is in a namespace of its own.
  namespace fs = std::filesystem;
  const fs::path theirs = "/proc/" + pid + "/ns/net";
  std::error_code error;
  for (int i = 0;
       i < 200 && fs::read_symlink(theirs, error) == fs::read_symlink("/proc/self/ns/net"); ++i)
    ::usleep(10'000);
  const std::string far = name() + "x";
  const std::string near = name() + "y";
  must({"ip", "link", "add", near, "type", "veth", "peer", "name", far, "netns", pid});
  const Diagnosis::Check check = diagnose({"--nic", "af_xdp:" + near}).check("veth peer");
  EXPECT_EQ(check.verdict, "slow") << check.found;
  EXPECT_NE(check.fix.find("nsenter -t "), std::string::npos) << check.fix;
  run_fix(check.fix);
  EXPECT_EQ(diagnose({"--nic", "af_xdp:" + near}).check("veth peer").verdict, "ok");
  must({"ip", "link", "delete", near});
}

TEST_F(Doctor, finds_a_link_that_is_down) {
  must({"ip", "link", "set", "dev", name(), "down"});
  expect_mended("link", "missing");
}

TEST_F(Doctor, finds_an_mtu_that_is_too_large) {
  must({"ip", "link", "set", "dev", name(), "mtu", "9000"});
  expect_mended("MTU", "slow");
}

TEST_F(DoctorOfFourQueues, finds_more_queues_than_processors) {
  const std::string first =
      run_command({"sh", "-c", "taskset -cp $$ | sed 's/.*: *//; s/[-,].*//'"}).output;
  expect_mended("queues", "slow", {}, {"taskset", "-c", first.substr(0, first.find('\n'))});
}

TEST_F(DoctorOfFourQueues, finds_queues_that_would_not_be_served) {
  expect_mended("queues", "missing", {"--queues", "2"});
}

TEST_F(Doctor, finds_that_an_address_is_missing) {
  must({"ip", "address", "flush", "dev", name()});
  const Diagnosis without = diagnose(nic());
  EXPECT_EQ(without.result.exit_code, 1);
  EXPECT_EQ(without.check("address").verdict, "missing");
  EXPECT_EQ(diagnose(nic() + Words{"--address", "10.0.0.1"}).check("address").verdict, "ok");
}

TEST_F(Doctor, finds_another_xdp_program) {
  // Without a dispatcher. ip mounts a bpffs for it and leaves it there: not on this machine's.
  for (const char* hook : {"xdpgeneric", "xdpdrv"}) {
    const CommandResult attached =
        run_command({"unshare", "--mount", "ip", "link", "set", "dev", name(), hook, "obj",
                     "/usr/lib/x86_64-linux-gnu/bpf/xdpdump_xdp.o", "sec", "xdp"});
    if (attached.exit_code != 0) GTEST_SKIP() << "cannot attach a program: " << attached.output;
    expect_mended("other XDP program", "missing");
  }
}

TEST_F(Doctor, finds_another_engine_and_says_nothing_is_wrong_when_it_has_ended) {
  TempDir root;
  auto server = ChildProcess::spawn({STRICTSEND_PROGRAM, "serve", "--nic", "af_xdp:" + name(),
                                     "--root", root.path(), "--cache", "64M"});
  ASSERT_TRUE(server) << server.error().message();
  ASSERT_TRUE(server->wait_for_output("serving http")) << server->output();
  const Diagnosis::Check use = diagnose(nic()).check("use");
  EXPECT_EQ(use.verdict, "missing");
  EXPECT_NE(use.found.find("pid " + std::to_string(server->pid())), std::string::npos) << use.found;
  EXPECT_EQ(diagnose(nic()).check("other XDP program").verdict, "ok");
  run_fix(use.fix);
  const auto ended = server->wait();
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->exit_code, 0) << ended->output;
  EXPECT_EQ(diagnose(nic()).check("use").verdict, "ok");
}

TEST_F(Doctor, finds_missing_rights_and_a_way_to_them_on_which_serve_starts) {
  if (const std::string why = no_nobody(); !why.empty()) GTEST_SKIP() << why;
  const Words options = nic() + Words{"--cache", "64M"};
  const Diagnosis ill = diagnose(options, as_nobody);
  EXPECT_EQ(ill.result.exit_code, 1);
  const Diagnosis::Check check = ill.check("capabilities");
  EXPECT_EQ(check.verdict, "missing") << check.found;
  EXPECT_TRUE(check.stops_serve);
  // The command starts serve; it shall start doctor, and then serve.
  const std::size_t program = check.fix.find(" serve --nic ");
  ASSERT_NE(program, std::string::npos) << check.fix;
  const std::string start = without_sudo(check.fix.substr(0, program));
  const Words command{"sh", "-c", start + " \"$@\"", "sh"};
  const Diagnosis mended = diagnosis_by(command, options);
  EXPECT_EQ(mended.result.exit_code, 0) << mended.result.output;
  EXPECT_EQ(mended.check("capabilities").verdict, "ok");
  EXPECT_EQ(mended.check("locked memory").verdict, "ok");

  for (int round = 0; round < 2; ++round) {  // what the first leaves must not stop the second
    auto server =
        ChildProcess::spawn({"sh", "-c", "exec " + start + " \"$@\"", "sh", "serve", "--nic",
                             "af_xdp:" + name(), "--root", "/usr/share", "--cache", "64M"});
    ASSERT_TRUE(server) << server.error().message();
    ASSERT_TRUE(server->wait_for_output("serving http")) << server->output();
    server->signal(SIGTERM);
    const auto ended = server->wait();
    ASSERT_TRUE(ended);
    EXPECT_EQ(ended->exit_code, 0) << ended->output;
  }
  EXPECT_EQ(diagnose(nic()).check("other XDP program").found, "none is attached");
}

TEST_F(Doctor, finds_too_little_lockable_memory) {
  if (const std::string why = no_nobody(); !why.empty()) GTEST_SKIP() << why;
  const auto by_shell = [&](const std::string& limit, const std::string& fix) {
    std::string nobody = "exec";
    for (const std::string& word : as_nobody)
      nobody += " " + word;
    return diagnosis_by({"bash", "-c",
                         "prlimit --pid $$ --memlock=" + limit + " && " + fix + nobody +
                             " " STRICTSEND_PROGRAM " \"$@\"",
                         "bash"},
                        nic())
        .check("locked memory");
  };
  const Diagnosis::Check hard = by_shell("65536:65536", "");
  EXPECT_EQ(hard.verdict, "missing") << hard.found;
  EXPECT_NE(hard.fix.find("prlimit"), std::string::npos) << hard.fix;
  if (run_command({"prlimit", "--memlock=unlimited:unlimited", "true"}).exit_code != 0)
    GTEST_SKIP() << "root may not raise limits here, so the fix was not run: no CAP_SYS_RESOURCE";
  EXPECT_EQ(by_shell("65536:65536", without_sudo(hard.fix) + "; ").verdict, "ok");
  const Diagnosis::Check soft = by_shell("65536:unlimited", "");
  EXPECT_EQ(soft.verdict, "missing") << soft.found;
  EXPECT_EQ(by_shell("65536:unlimited", soft.fix + "; ").verdict, "ok");
}

TEST_F(Doctor, finds_that_bpffs_is_missing) {
  const auto in_mount_namespace = [&](const std::string& before) {
    return diagnosis_by(
        {"unshare", "--mount", "sh", "-c",
         "umount /sys/fs/bpf 2>/dev/null; " + before + "exec " STRICTSEND_PROGRAM " \"$@\"", "sh"},
        nic());
  };
  const Diagnosis::Check check = in_mount_namespace("").check("bpffs");
  EXPECT_EQ(check.verdict, "slow") << check.found;
  EXPECT_EQ(in_mount_namespace(check.fix + "; ").check("bpffs").verdict, "ok");
}

TEST_F(Doctor, says_of_what_is_not_there_that_it_is_not) {
  const Diagnosis interface = diagnose({"--nic", "af_xdp:nosuchnic0"});
  EXPECT_EQ(interface.result.exit_code, 1);
  EXPECT_EQ(interface.check("interface").verdict, "missing");
  const Diagnosis device = diagnose({"--nic", "dpdk:ffff:1f:1f.7", "--", "--no-huge"});
  EXPECT_EQ(device.result.exit_code, 1);
}

TEST_F(Doctor, prints_for_people_what_it_prints_for_programs) {
  const Diagnosis diagnosis = diagnose(nic());
  const CommandResult text = run_command(Words{STRICTSEND_PROGRAM, "doctor"} + nic());
  EXPECT_EQ(text.exit_code, 0);
  for (const auto& check : diagnosis.report["checks"])
    EXPECT_NE(text.output.find(check["name"].get<std::string>()), std::string::npos) << text.output;
  const std::string summary = diagnosis.report["summary"];
  EXPECT_TRUE(text.output.ends_with("\n" + summary + "\n")) << text.output;
}

TEST(DoctorCommand, complains_about_its_command_line) {
  for (const Words& wrong :
       {Words{"--nic", "eth0"}, Words{"--cache", "lots"}, Words{"eth0"}, Words{"--colour"}}) {
    const CommandResult result = run_command(Words{STRICTSEND_PROGRAM, "doctor"} + wrong);
    EXPECT_EQ(result.exit_code, 2) << result.output;
    EXPECT_TRUE(result.output.starts_with("strictsend doctor: ")) << result.output;
  }
  EXPECT_EQ(run_command({STRICTSEND_PROGRAM, "doctor", "--help"}).exit_code, 0);
}

TEST(DoctorCommand, is_named_where_another_does_not_start) {
  const CommandResult serve = run_command(
      {STRICTSEND_PROGRAM, "serve", "--nic", "af_xdp:nosuchnic0", "--root", "/", "--cache", "64M"});
  EXPECT_EQ(serve.exit_code, 1);
  EXPECT_TRUE(
      serve.output.ends_with("\nrun `strictsend doctor --nic af_xdp:nosuchnic0 --cache "
                             "67108864` to see what this machine lacks\n"))
      << serve.output;
  const CommandResult conformance = run_command(
      {STRICTSEND_PROGRAM, "conformance", "--nic", "af_xdp:nosuchnic0", "--peer", "198.18.0.1"});
  EXPECT_EQ(conformance.exit_code, 1);
  EXPECT_NE(conformance.output.find("run `strictsend doctor --nic af_xdp:nosuchnic0"),
            std::string::npos)
      << conformance.output;
  const CommandResult demo =
      run_command({STRICTSEND_PROGRAM, "demo", "--directory", "/nosuchdirectory"});
  EXPECT_EQ(demo.exit_code, 1);
  EXPECT_NE(demo.output.find("run `strictsend doctor` to see"), std::string::npos) << demo.output;
}

}  // namespace
}  // namespace strictsend::test
