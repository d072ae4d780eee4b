// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <csignal>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/netns.hpp"
#include "tests/support/temp_dir.hpp"

namespace strictsend::test {

/// `strictsend serve` on one end of a cable and whatever a test runs on the other. The parameter is
/// the packet form.
class Serve : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (const auto why = NetNamespacePair::unavailable()) GTEST_SKIP() << *why;
    auto made = NetNamespacePair::create(net_options_);
    ASSERT_TRUE(made) << made.error().message();
    network_.emplace(std::move(*made));
    start();
  }

  void start(const std::string& cache = "128M", std::vector<std::string> more = {}) {
    std::vector<std::string> argv = {STRICTSEND_PROGRAM,
                                     "serve",
                                     "--nic",
                                     "af_xdp:" + network_->near().interface_name,
                                     "--root",
                                     root_.path(),
                                     "--cache",
                                     cache,
                                     "--tx",
                                     GetParam(),
                                     "--log-level",
                                     "warn",
                                     "--drain-timeout",
                                     "1s"};
    argv.insert(argv.end(), more.begin(), more.end());
    server_.reset();
    auto spawned = ChildProcess::spawn(argv);
    ASSERT_TRUE(spawned) << spawned.error().message();
    server_.emplace(std::move(*spawned));
    ASSERT_TRUE(server_->wait_for_output("serving http")) << server_->output();
  }

  /// Asks it to stop; the summary must say that everything came back.
  std::string stop() {
    server_->signal(SIGTERM);
    const auto result = server_->wait();
    EXPECT_TRUE(result) << "still running";
    if (!result) return {};
    EXPECT_EQ(result->exit_code, 0) << result->output;
    EXPECT_NE(result->output.find("frames left pinned      0"), std::string::npos)
        << result->output;
    EXPECT_NE(result->output.find("snapshots left          0"), std::string::npos)
        << result->output;
    return result->output;
  }

  std::string url(const std::string& name) const {
    return "http://" + network_->near().address + "/" + name;
  }
  CommandResult at_peer(const std::string& shell_command) const {
    return network_->run_in_namespace({"sh", "-c", shell_command}, seconds(100));
  }
  void make_file(const std::string& name, std::size_t bytes) const {
    put_file(root_.path(name), random_bytes(bytes, bytes));
  }
  /// Downloads and compares; empty if all is well.
  std::string difference(const std::string& name) const {
    const CommandResult result =
        at_peer("curl -sSf --max-time 90 " + url(name) + " | cmp - " + root_.path(name));
    return result.exit_code == 0 ? "" : name + ": " + result.output;
  }

  NetNamespacePair::Options net_options_;
  TempDir root_;
  std::optional<NetNamespacePair> network_;
  std::optional<ChildProcess> server_;
};

}  // namespace strictsend::test
