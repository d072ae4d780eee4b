// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/netns.hpp"
#include "tests/support/temp_dir.hpp"

namespace strictsend::test {

/// `strictsend serve` on one end of a cable and whatever a test runs on the other. The parameter
/// says what stands at the server's end:
///
///     fragments, linear   AF_XDP on the veth, in that packet form; the kernel keeps the rest
///     dpdk_af_packet      DPDK's net_af_packet on the veth, which has no address of the kernel's
///     dpdk_tap            DPDK's net_tap, whose other end is the kernel's in the peer's namespace;
///                         the veth lies idle
class Serve : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (const auto why = NetNamespacePair::unavailable()) GTEST_SKIP() << *why;
    auto made = NetNamespacePair::create(net_options_);
    ASSERT_TRUE(made) << made.error().message();
    network_.emplace(std::move(*made));
    prepare_network();
    if (HasFatalFailure()) return;
    start();
  }
  void TearDown() override {
    if (!HasFailure() || !server_) return;
    server_->signal(SIGTERM);
    if (!server_->wait(seconds(10))) std::printf("the server does not end\n");
    std::printf("the server said:\n%s\n", server_->output().c_str());
  }
  /// Before the server is started.
  virtual void prepare_network() {}

  [[nodiscard]] bool over(std::string_view what) const { return what == GetParam(); }

  void start(const std::string& cache = "128M", std::vector<std::string> more = {}) {
    std::vector<std::string> argv = {STRICTSEND_PROGRAM, "serve", "--root",      root_directory_,
                                     "--cache",          cache,   "--log-level", "warn",
                                     "--drain-timeout",  "1s"};
    argv.insert(argv.begin(), before_.begin(), before_.end());
    argv.insert(argv.end(), more.begin(), more.end());
    argv.insert(argv.end(), more_.begin(), more_.end());
    const std::vector<std::string> port = port_arguments();
    argv.insert(argv.end(), port.begin(), port.end());
    server_.reset();
    auto spawned =
        over("dpdk_tap") ? network_->spawn_in_namespace(argv) : ChildProcess::spawn(argv);
    ASSERT_TRUE(spawned) << spawned.error().message();
    server_.emplace(std::move(*spawned));
    ASSERT_TRUE(server_->wait_for_output("serving http")) << server_->output();
    if (over("dpdk_tap")) move_peers_address_to_tap();
  }

  /// Where the peer's packets come and go.
  [[nodiscard]] std::string peer_interface() const {
    return over("dpdk_tap") ? "tap0" : network_->peer().interface_name;
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
  /// One that is too large for its bytes to be drawn one by one: pages of the same random MiB, each
  /// with its number in front, so that none can stand for another.
  void make_numbered_file(const std::string& name, std::size_t bytes) const {
    std::vector<std::byte> block = random_bytes(std::size_t{1} << 20, bytes);
    std::ofstream file(root_.path(name), std::ios::binary);
    std::uint64_t page = 0;
    for (std::size_t written = 0; written < bytes; written += block.size()) {
      for (std::size_t at = 0; at < block.size(); at += 4096, ++page)
        std::memcpy(block.data() + at, &page, sizeof page);
      file.write(reinterpret_cast<const char*>(block.data()),
                 static_cast<std::streamsize>(block.size()));
    }
    ASSERT_TRUE(file.flush()) << "write " << name;
  }
  /// Downloads and compares; empty if all is well.
  std::string difference(const std::string& name) const {
    const CommandResult result =
        at_peer("curl -sSf --max-time 90 " + url(name) + " | cmp - " + root_.path(name));
    return result.exit_code == 0 ? "" : name + ": " + result.output;
  }

  NetNamespacePair::Options net_options_;
  unsigned dpdk_queues_ = 1;
  std::vector<std::string> before_;  ///< the program: what starts it, with its options
  std::vector<std::string> more_;    ///< options of every start
  std::string address6_;             ///< of the server too, where it must be told; empty: none
  TempDir root_;
  std::string root_directory_ = root_.path();  ///< that is served
  std::optional<NetNamespacePair> network_;
  std::optional<ChildProcess> server_;

 private:
  [[nodiscard]] std::vector<std::string> port_arguments() const {
    const std::string near = network_->near().interface_name;
    std::string device;
    if (over("dpdk_tap")) device = "net_tap0,iface=tap0";
    if (over("dpdk_af_packet"))
      device = "net_af_packet0,iface=" + near + ",qpairs=" + std::to_string(dpdk_queues_);
    if (device.empty()) return {"--nic", "af_xdp:" + near, "--tx", GetParam()};
    // An address of the kernel's would have it answer too.
    if (over("dpdk_af_packet")) run_command({"ip", "addr", "flush", "dev", near});
    return {"--nic",
            "dpdk:" + device.substr(0, device.find(',')),
            "--tx",
            "fragments",
            "--queues",
            std::to_string(dpdk_queues_),
            "--address",
            network_->near().address + "/30" + (address6_.empty() ? "" : "," + address6_ + "/64"),
            "--",
            "--no-huge",
            "--no-pci",
            "--file-prefix=" + near,
            "--vdev=" + device};
  }
  void move_peers_address_to_tap() const {
    const CommandResult moved =
        at_peer("ip addr flush dev " + network_->peer().interface_name + "; ip addr add " +
                network_->peer().address + "/30 dev tap0 && ip link set tap0 up");
    ASSERT_EQ(moved.exit_code, 0) << moved.output;
  }
};

}  // namespace strictsend::test
