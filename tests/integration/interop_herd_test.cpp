// SPDX-License-Identifier: Apache-2.0
// Herds: many clients that hold on to a connection for nothing.
#include <string>

#include <gtest/gtest.h>

#include "tests/integration/interop_fixture.hpp"
#include "tests/support/proc.hpp"

namespace strictsend::test {
namespace {

constexpr std::uint64_t mebibyte = 1 << 20;

class InteropHerd : public Interop {
 protected:
  /// The server's memory, when a herd has come and gone, with downloads beside it and after it.
  std::uint64_t bytes_after_a_herd() {
    auto herd = network_->spawn_in_namespace(
        {"python3", script("herd_peer.py"), network_->near().address, "large", "200"});
    if (!herd) {
      ADD_FAILURE() << herd.error().message();
      return 0;
    }
    EXPECT_TRUE(herd->wait_for_output("200 connections are here")) << herd->output();
    for (int i = 0; i < 2; ++i)
      EXPECT_EQ(curl_difference("other"), "");
    herd->signal(SIGKILL);
    EXPECT_TRUE(herd->wait());
    EXPECT_EQ(curl_difference("other"), "") << "behind the resets of the herd's sockets";
    return memory_of(server_->pid()).total_bytes();
  }
};
INSTANTIATE_TEST_SUITE_P(Ports, InteropHerd, ::testing::Values("fragments"),
                         [](const auto& port) { return std::string(port.param); });

TEST_P(InteropHerd, that_is_silent_deaf_or_slow_keeps_nobody_waiting_and_leaves_nothing_behind) {
  ASSERT_NO_FATAL_FAILURE(start("64M"));
  make_file("large", 10'000'000);
  make_file("other", 20'000'000);
  const std::uint64_t first_bytes = bytes_after_a_herd();
  bytes_after_a_herd();
  // Less than what 400 connections hold while they are there, and more than what malloc's arenas
  // may differ by.
  EXPECT_LE(bytes_after_a_herd(), first_bytes + mebibyte);
  const std::string summary = stop();
  EXPECT_NE(summary.find("9 answered, 0 refused, 201 cut off"), std::string::npos) << summary;
  EXPECT_NE(summary.find("609 accepted, 0 refused"), std::string::npos) << summary;
}

}  // namespace
}  // namespace strictsend::test
