// SPDX-License-Identifier: Apache-2.0
// `strictsend conformance` between the two ends of a cable: to its good end and to others.
#include <csignal>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/netns.hpp"
#include "tests/support/temp_dir.hpp"

namespace strictsend::test {
namespace {

using Arguments = std::vector<std::string>;

class Conformance : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto why = NetNamespacePair::unavailable()) GTEST_SKIP() << *why;
    auto made = NetNamespacePair::create();
    ASSERT_TRUE(made) << made.error().message();
    network_.emplace(std::move(*made));
  }
  /// Whatever became of a run, neither its files nor its XDP program may stay.
  void TearDown() override {
    if (!network_) return;
    sender_.reset();
    receiver_.reset();
    const CommandResult link =
        run_command({"ip", "-details", "link", "show", "dev", network_->near().interface_name});
    EXPECT_EQ(link.exit_code, 0) << link.output;
    EXPECT_EQ(link.output.find("prog/xdp"), std::string::npos) << link.output;
    for (const auto& file : std::filesystem::recursive_directory_iterator(directory_.path()))
      ADD_FAILURE() << file.path() << " is left";
  }

  void start_sender(const Arguments& more, const std::string& peer = {}) {
    Arguments argv{STRICTSEND_PROGRAM,
                   "conformance",
                   "--nic",
                   "af_xdp:" + network_->near().interface_name,
                   "--peer",
                   peer.empty() ? network_->peer().address : peer,
                   "--directory",
                   directory_.path()};
    argv.insert(argv.end(), more.begin(), more.end());
    auto spawned = ChildProcess::spawn(argv);
    ASSERT_TRUE(spawned) << spawned.error().message();
    sender_.emplace(std::move(*spawned));
  }
  void start_receiver(const Arguments& more = {}) {
    Arguments argv{STRICTSEND_PROGRAM,       "conformance", "--peer",
                   network_->near().address, "--directory", directory_.path()};
    argv.insert(argv.end(), more.begin(), more.end());
    auto spawned = network_->spawn_in_namespace(argv);
    ASSERT_TRUE(spawned) << spawned.error().message();
    receiver_.emplace(std::move(*spawned));
  }
  [[nodiscard]] static CommandResult end_of(std::optional<ChildProcess>& process) {
    const auto result = process ? process->wait(seconds(100)) : std::nullopt;
    return result.value_or(
        CommandResult{-1, "it did not end: " + (process ? process->output() : "")});
  }
  static void expect_stopped(const CommandResult& result) {
    EXPECT_EQ(result.exit_code, 130) << result.output;
    EXPECT_NE(result.output.find("CONFORMANCE STOPPED by SIGINT"), std::string::npos)
        << result.output;
    EXPECT_EQ(result.output.find("CONFORMANCE FAILED"), std::string::npos) << result.output;
  }

  /// What both print at the end.
  [[nodiscard]] static std::string report_in(const std::string& output) {
    const std::size_t begin = output.find("Strict splice on a NIC");
    return begin == std::string::npos ? "" : output.substr(begin);
  }
  /// Waits for both ends, each of which must have this exit code; the report, the same at both.
  std::string report_of_both(int exit_code) {
    const CommandResult sender = end_of(sender_);
    const CommandResult receiver = end_of(receiver_);
    EXPECT_EQ(sender.exit_code, exit_code) << sender.output;
    EXPECT_EQ(receiver.exit_code, exit_code) << receiver.output;
    std::string report = report_in(sender.output);
    EXPECT_EQ(report, report_in(receiver.output));
    return report;
  }
  /// What the report says of one case.
  [[nodiscard]] static std::string case_in(const std::string& report, const std::string& name) {
    const std::size_t begin = report.find("\nCase " + name + "\n");
    if (begin == std::string::npos) return "";
    return report.substr(begin, report.find("\n\n", begin) - begin);
  }
  static void expect_in(const std::string& text, const std::string& part) {
    EXPECT_NE(text.find(part), std::string::npos) << "no \"" << part << "\" in:\n" << text;
  }

  TempDir directory_{"/var/tmp"};
  std::optional<NetNamespacePair> network_;
  std::optional<ChildProcess> sender_;
  std::optional<ChildProcess> receiver_;
};

TEST_F(Conformance, proves_a_veth_with_the_same_report_at_both_ends) {
  start_sender({"--size", "16M", "--downloads", "4"});
  start_receiver();
  const std::string report = report_of_both(0);
  expect_in(report, "driver            veth");
  EXPECT_NE(report.find("\nPROVEN: "), std::string::npos) << report;

  for (const std::string name : {"fragments", "checksum", "plain", "linear", "control"}) {
    const std::string part = case_in(report, name);
    ASSERT_NE(part, "") << name << " is not in:\n" << report;
    if (part.find("not run") != std::string::npos) {
      EXPECT_GT(part.substr(part.find("not run")).size(), 20U) << "no reason: " << part;
      continue;
    }
    expect_in(part, "left pinned       0 frames, 0 snapshots");
    expect_in(part, "through the mapping");
    if (name != "control") expect_in(part, "4 strict, 0 torn");
    expect_in(part, name == "control" ? "result            torn, as it must be"
                                      : "result            strict");
  }
  expect_in(case_in(report, "checksum"), "not run");
  expect_in(case_in(report, "fragments"), "bytes copied      0 in order to send");
  expect_in(case_in(report, "control"), "protection        off");
}

TEST_F(Conformance, proves_it_for_writes_through_the_file_api) {
  start_receiver();  // in any order
  start_sender({"--size", "8M", "--downloads", "4", "--write", "api", "--cases", "linear,control"});
  const std::string report = report_of_both(0);
  expect_in(case_in(report, "linear"), "2 threads through the file API");
  expect_in(case_in(report, "fragments"), "not asked for (--cases)");
  expect_in(report, "\nPROVEN: linear on veth");
}

TEST_F(Conformance, proves_nothing_without_the_control) {
  start_sender({"--size", "4M", "--downloads", "2", "--cases", "linear"});
  start_receiver();
  const std::string report = report_of_both(1);
  expect_in(report, "\nNOT PROVEN: ");
  expect_in(report, "the control was not run");
}

TEST_F(Conformance, does_not_count_another_host) {
  // Whoever asks is the far end, and that is not the one named.
  start_sender({"--size", "1M", "--wait", "8s"}, "198.51.100.7");
  ASSERT_TRUE(sender_->wait_for_output("Case fragments") ||
              sender_->wait_for_output("Case linear", seconds(1)))
      << sender_->output();
  start_receiver();
  const CommandResult sender = end_of(sender_);
  EXPECT_EQ(sender.exit_code, 1) << sender.output;
  expect_in(sender.output, network_->peer().address +
                               " asks for files here too and is not the host that --peer names");
  expect_in(sender.output, "CONFORMANCE FAILED: waiting for the receiver");
  receiver_->signal(SIGINT);
  expect_stopped(end_of(receiver_));
}

TEST_F(Conformance, a_sender_that_is_alone_says_what_is_missing) {
  start_sender({"--size", "1M", "--wait", "1s"});
  const CommandResult sender = end_of(sender_);
  EXPECT_EQ(sender.exit_code, 1) << sender.output;
  expect_in(sender.output, "CONFORMANCE FAILED: waiting for the receiver");
  expect_in(sender.output, "strictsend conformance --peer");
}

TEST_F(Conformance, a_receiver_that_is_alone_says_what_is_missing) {
  start_receiver({"--wait", "1s"});
  const CommandResult receiver = end_of(receiver_);
  EXPECT_EQ(receiver.exit_code, 1) << receiver.output;
  expect_in(receiver.output, "CONFORMANCE FAILED: asking http://" + network_->near().address);
  expect_in(receiver.output, "nobody listens there");
  expect_in(receiver.output, "strictsend conformance --nic");
}

TEST_F(Conformance, an_interrupted_sender_leaves_nothing) {
  start_sender({"--size", "4M", "--downloads", "1000"});
  start_receiver();
  ASSERT_TRUE(receiver_->wait_for_output("downloads of 4 MiB")) << receiver_->output();
  sender_->signal(SIGINT);
  expect_stopped(end_of(sender_));
  receiver_->signal(SIGINT);
  expect_stopped(end_of(receiver_));
}

TEST_F(Conformance, a_receiver_that_dies_costs_its_case_and_the_next_one_goes_on) {
  // More downloads than are made before the receiver is ended, so that it ends in the middle.
  start_sender({"--size", "8M", "--downloads", "12", "--cases", "linear,control", "--wait", "10s"});
  start_receiver();
  ASSERT_TRUE(receiver_->wait_for_output("Case linear")) << receiver_->output();
  receiver_->signal(SIGINT);
  expect_stopped(end_of(receiver_));
  ASSERT_TRUE(sender_->wait_for_output("Case control")) << sender_->output();
  start_receiver();
  const std::string report = report_of_both(1);
  expect_in(case_in(report, "linear"), "failed            ");
  expect_in(case_in(report, "control"), "torn, as it must be");
  expect_in(report, "\nNOT PROVEN: linear: ");
}

TEST_F(Conformance, both_may_be_interrupted_before_they_meet) {
  start_sender({"--size", "1M"}, "198.51.100.7");
  start_receiver();
  ASSERT_TRUE(receiver_->wait_for_output("Waiting for the sender")) << receiver_->output();
  ASSERT_TRUE(sender_->wait_for_output("Case ")) << sender_->output();
  receiver_->signal(SIGINT);
  sender_->signal(SIGINT);
  expect_stopped(end_of(receiver_));
  expect_stopped(end_of(sender_));
}

TEST_F(Conformance, an_interrupted_receiver_leaves_nothing) {
  start_sender({"--size", "4M", "--downloads", "1000"});
  start_receiver();
  ASSERT_TRUE(receiver_->wait_for_output("downloads of 4 MiB")) << receiver_->output();
  receiver_->signal(SIGINT);
  expect_stopped(end_of(receiver_));
  sender_->signal(SIGINT);
  expect_stopped(end_of(sender_));
}

TEST_F(Conformance, refuses_wrong_arguments_with_one_sentence) {
  for (const Arguments& arguments : std::vector<Arguments>{
           {},
           {"--peer", "nowhere"},
           {"--peer", "10.0.0.1", "--size", "64M"},
           {"--peer", "10.0.0.1", "--nic", "af_xdp:x", "--size", "5K"},
           {"--peer", "10.0.0.1", "--nic", "af_xdp:x", "--cases", "some"},
           {"--peer", "10.0.0.1", "more"},
       }) {
    Arguments argv{STRICTSEND_PROGRAM, "conformance"};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    const CommandResult result = run_command(argv);
    EXPECT_EQ(result.exit_code, 2) << result.output;
    EXPECT_NE(result.output, "");
  }
}

}  // namespace
}  // namespace strictsend::test
