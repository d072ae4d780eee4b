// SPDX-License-Identifier: Apache-2.0
// `strictsend demo`, made small: to its good end, and interrupted at any moment.
#include <net/if.h>

#include <csignal>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/netns.hpp"
#include "tests/support/proc.hpp"
#include "tests/support/temp_dir.hpp"

namespace strictsend::test {
namespace {

/// A demo in a session of its own, as in a terminal of its own: its process group has its number.
class RunningDemo {
 public:
  RunningDemo(const TempDir& directory, std::vector<std::string> options) {
    options.insert(options.begin(),
                   {"setsid", STRICTSEND_PROGRAM, "demo", "--directory", directory.path()});
    auto spawned = ChildProcess::spawn(options);
    if (!spawned) return;
    process_.emplace(std::move(*spawned));
    pid_ = process_->pid();
  }
  RunningDemo(const RunningDemo&) = delete;
  RunningDemo& operator=(const RunningDemo&) = delete;
  /// A demo that had to be killed leaves its network; the test must not.
  ~RunningDemo() {
    process_.reset();
    if (::if_nametoindex(interface_name().c_str()) != 0)
      run_command({"ip", "link", "delete", interface_name()});
    if (std::filesystem::exists(namespace_path()))
      run_command({"ip", "netns", "delete", namespace_name()});
  }

  [[nodiscard]] bool says(const std::string& text) {
    return process_ && process_->wait_for_output(text, seconds(100));
  }
  void interrupt(bool whole_group) const {
    if (pid_ > 0) ::kill(whole_group ? -pid_ : pid_, SIGINT);
  }
  [[nodiscard]] CommandResult end() {
    const auto result = process_ ? process_->wait(seconds(100)) : std::nullopt;
    return result.value_or(CommandResult{-1, "it did not end: " + output()});
  }
  [[nodiscard]] std::string output() const { return process_ ? process_->output() : ""; }

  /// What there still is of it; empty: nothing.
  [[nodiscard]] std::string left_behind() const {
    std::string left;
    for (const pid_t pid : processes_of_session(pid_))
      left += "process " + std::to_string(pid) + "\n";
    const std::string names = "ss[cd]" + std::to_string(pid_) + "\\b|" + namespace_name() + "\\b";
    for (const char* list : {"ip -o link", "ip netns list"})
      left += run_command({"sh", "-c", std::string(list) + " | grep -E '" + names + "'"}).output;
    return left;
  }
  [[nodiscard]] bool has_network() const { return std::filesystem::exists(namespace_path()); }

 private:
  [[nodiscard]] std::string interface_name() const { return "ssd" + std::to_string(pid_); }
  [[nodiscard]] std::string namespace_name() const {
    return "strictsend-demo-" + std::to_string(pid_);
  }
  [[nodiscard]] std::string namespace_path() const { return "/run/netns/" + namespace_name(); }

  std::optional<ChildProcess> process_;
  pid_t pid_ = -1;
};

class Demo : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto why = NetNamespacePair::unavailable()) GTEST_SKIP() << *why;
  }
  /// Waits for its end, which must be that of an interrupted program that cleaned up.
  void expect_clean_end(RunningDemo& demo) const {
    const CommandResult result = demo.end();
    EXPECT_EQ(result.exit_code, 130) << result.output;
    EXPECT_NE(result.output.find("DEMO STOPPED by SIGINT"), std::string::npos) << result.output;
    EXPECT_EQ(result.output.find("DEMO FAILED"), std::string::npos) << result.output;
    expect_nothing_left(demo);
  }
  void expect_nothing_left(const RunningDemo& demo) const {
    EXPECT_EQ(demo.left_behind(), "");
    for (const auto& file : std::filesystem::recursive_directory_iterator(directory_.path()))
      ADD_FAILURE() << file.path() << " is left";
  }

  TempDir directory_{"/var/tmp"};
};

struct Interruption {
  const char* name;
  const char* line;  ///< once the demo has said this
  bool whole_group;  ///< as a terminal does, and else the program alone
};

class InterruptedDemo : public Demo, public ::testing::WithParamInterface<Interruption> {};

INSTANTIATE_TEST_SUITE_P(
    Moments, InterruptedDemo,
    ::testing::Values(Interruption{"set_up", "Making a network", false},
                      Interruption{"set_up_group", "Making a network", true},
                      Interruption{"start_of_the_engine", "With protection:", false},
                      Interruption{"start_of_the_engine_group", "With protection:", true},
                      Interruption{"downloads", "round 1 of 3", false},
                      Interruption{"downloads_group", "round 1 of 3", true},
                      Interruption{"between_rounds", "round 2 of 3", false},
                      Interruption{"between_rounds_group", "round 2 of 3", true},
                      Interruption{"between_experiments", "The same without protection:", false},
                      Interruption{"between_experiments_group",
                                   "The same without protection:", true}),
    [](const auto& moment) { return moment.param.name; });

TEST_P(InterruptedDemo, removes_what_it_made) {
  RunningDemo demo(directory_, {"--size", "16M", "--downloads", "2", "--rounds", "3"});
  ASSERT_TRUE(demo.says(GetParam().line)) << demo.output();
  demo.interrupt(GetParam().whole_group);
  expect_clean_end(demo);
}

TEST_F(Demo, interrupted_twice_still_removes_what_it_made) {
  RunningDemo demo(directory_, {"--size", "16M", "--downloads", "2", "--rounds", "100"});
  ASSERT_TRUE(demo.says("round 2 of 100")) << demo.output();
  EXPECT_TRUE(demo.has_network());
  demo.interrupt(true);
  demo.interrupt(true);
  expect_clean_end(demo);
}

TEST_F(Demo, passes_and_removes_what_it_made) {
  RunningDemo demo(directory_, {"--size", "32M", "--downloads", "2", "--rounds", "3"});
  const CommandResult result = demo.end();
  EXPECT_EQ(result.exit_code, 0) << result.output;
  const auto part = [&](const std::string& from, const std::string& to) {
    const std::size_t begin = result.output.find(from);
    const std::size_t end = result.output.find(to, begin);
    return begin == std::string::npos ? "" : result.output.substr(begin, end - begin);
  };
  const std::string with = part("With protection:", "The same without");
  EXPECT_NE(with.find("downloads               6 strict, 0 torn"), std::string::npos)
      << result.output;
  EXPECT_NE(with.find("copied in order to send 0 bytes"), std::string::npos) << with;
  EXPECT_NE(with.find("left pinned             0 frames, 0 snapshots"), std::string::npos) << with;
  const std::string without = part("The same without protection:", "DEMO PASSED");
  EXPECT_NE(without.find("torn"), std::string::npos) << result.output;
  EXPECT_EQ(without.find(" 0 torn"), std::string::npos) << without;
  EXPECT_NE(without.find("of its pages; first: "), std::string::npos) << without;
  EXPECT_NE(result.output.find("DEMO PASSED: 6 downloads, each the file at one instant"),
            std::string::npos)
      << result.output;
  expect_nothing_left(demo);
}

}  // namespace
}  // namespace strictsend::test
