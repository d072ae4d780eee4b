// SPDX-License-Identifier: Apache-2.0
// Many connections at once, most of them idle, some downloading, some greedy; and the memory that
// all of this takes, which is printed at the start.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "nic/dpdk/nic_config.h"
#include "tests/integration/serve_fixture.hpp"
#include "tests/support/proc.hpp"

namespace strictsend::test {
namespace {

constexpr std::uint64_t mebibyte = 1 << 20;

/// What the program takes before it serves anybody, and does not print: the data of its libraries,
/// what libbpf and libxdp keep, the stacks of a dozen threads (5 MiB were measured). Beside this,
/// what malloc cannot give back of what its arenas, one for each such thread, once had.
constexpr std::uint64_t program_bytes_max = 16 * mebibyte;

class ServeLoad : public Serve {
 protected:
  void SetUp() override {
    Serve::SetUp();
    if (HasFatalFailure() || IsSkipped()) return;
    // Different sizes, so that nobody can get another one's answer unnoticed.
    for (unsigned i = 0; i < 7; ++i)
      make_file("small-" + std::to_string(i), 3'000 + 1'000 * i);
    for (unsigned i = 0; i < 5; ++i)
      make_file("large-" + std::to_string(i), 4'000'000 + 1'000 * i);
  }

  /// Starts the server anew, with so little memory that the total printed means something.
  void restart_for(unsigned connections) {
    stop();
    // No time-out of the server's decides a test, however slow the machine is.
    start("64M", {"--max-connections", std::to_string(connections), "--idle-timeout", "10m",
                  "--request-timeout", "10m"});
  }
  [[nodiscard]] Result<ChildProcess> spawn_peer(const std::string& script,
                                                const std::vector<std::string>& arguments) const {
    std::vector<std::string> argv = {"python3", PEERS_DIRECTORY "/" + script,
                                     network_->near().address};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return network_->spawn_in_namespace(argv);
  }
  /// Looks at the server's memory until `done` or the peer has had its time.
  template <class Done>
  void watch_memory_until(Done done) {
    const Time limit = monotonic_now() + seconds(200);
    do
      most_bytes_ = std::max(most_bytes_, memory_of(server_->pid()).total_bytes());
    while (!done() && monotonic_now() < limit);
  }
  CommandResult run_load(unsigned idle, unsigned active) {
    auto peer =
        spawn_peer("load_peer.py", {root_.path(), std::to_string(idle), std::to_string(active)});
    if (!peer) return {-1, peer.error().message()};
    std::optional<CommandResult> result;
    watch_memory_until([&] { return (result = peer->wait(milliseconds(20))).has_value(); });
    return result.value_or(CommandResult{-1, "it did not end: " + peer->output()});
  }

  /// As the server printed it.
  [[nodiscard]] std::uint64_t printed_bytes() const {
    const std::string before = "memory: at most ";
    const std::size_t at = server_->output().find(before);
    if (at == std::string::npos) return 0;
    std::istringstream text(server_->output().substr(at + before.size()));
    double count = 0;
    std::string unit;
    text >> count >> unit;
    EXPECT_EQ(unit, "MiB:") << server_->output();
    return static_cast<std::uint64_t>(count * double{mebibyte});
  }

  std::uint64_t most_bytes_ = 0;
};

std::vector<const char*> ports() {
  std::vector<const char*> ports = {"fragments", "linear"};
  if (STRICTSEND_HAVE_DPDK) ports.push_back("dpdk_af_packet");
  return ports;
}
INSTANTIATE_TEST_SUITE_P(Ports, ServeLoad, ::testing::ValuesIn(ports()),
                         [](const auto& port) { return std::string(port.param); });

TEST_P(ServeLoad, a_thousand_idle_connections_and_a_hundred_downloads_are_all_right) {
  restart_for(1'100);
  const CommandResult result = run_load(1'000, 100);
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_NE(result.output.find("1000 idle connections were served again"), std::string::npos)
      << result.output;
  EXPECT_GT(most_bytes_, 64 * mebibyte) << "the cache at least";
  EXPECT_LE(most_bytes_, printed_bytes() + program_bytes_max);
  const std::string summary = stop();
  EXPECT_NE(summary.find("2100 answered, 0 refused, 0 cut off"), std::string::npos) << summary;
  EXPECT_NE(summary.find("1100 accepted, 0 refused"), std::string::npos) << summary;
}

TEST_P(ServeLoad, more_of_the_same_takes_no_more_memory) {
  ASSERT_EQ(run_load(1'000, 1).exit_code, 0);
  const std::uint64_t first_bytes = most_bytes_;
  for (int i = 0; i < 2; ++i)
    ASSERT_EQ(run_load(1'000, 1).exit_code, 0);
  // Two thousand connections more: that is 500 bytes for each, and still more than what malloc's
  // arenas may differ by.
  EXPECT_LE(most_bytes_, first_bytes + mebibyte);
  const std::string summary = stop();
  EXPECT_NE(summary.find("6003 answered, 0 refused, 0 cut off"), std::string::npos) << summary;
}

TEST_P(ServeLoad, greedy_peers_keep_nobody_waiting_and_take_no_more_memory_than_was_printed) {
  restart_for(1'100);
  auto peer = spawn_peer("greedy_peer.py", {"large-0", "1000", "4"});
  ASSERT_TRUE(peer) << peer.error().message();
  watch_memory_until([&] { return peer->wait_for_output("do not listen", milliseconds(20)); });
  ASSERT_TRUE(peer->wait_for_output("1000 connections ask and do not listen", milliseconds(0)))
      << peer->output();
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(difference("large-1"), "");
  watch_memory_until([] { return true; });
  EXPECT_LE(most_bytes_, printed_bytes() + program_bytes_max);
  // Each of them has two responses under way.
  const std::string summary = stop();
  // net_af_packet's receive ring overflows; requests that were lost come again when all is over.
  const char* expected =
      over("dpdk_af_packet") ? "3 answered, 0 refused, " : "3 answered, 0 refused, 2000 cut off";
  EXPECT_NE(summary.find(expected), std::string::npos) << summary;
}

}  // namespace
}  // namespace strictsend::test
