// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <chrono>
#include <fcntl.h>
#include <functional>
#include <iostream>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/netns.hpp"
#include "tests/support/temp_dir.hpp"
#include <strictsend/engine.hpp>

namespace strictsend::test {

inline constexpr std::uint64_t whole_file = std::numeric_limits<std::uint64_t>::max();
inline constexpr std::uint16_t peer_port = 5000;
inline constexpr std::size_t header_bytes = 12;  // what datagram_peer.py reads

/// An engine over AF_XDP on one end of a cable, and kernel sockets at the other that check what
/// came.
class Datagrams : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const auto why = NetNamespacePair::unavailable()) GTEST_SKIP() << *why;
    // What the far end's kernel is told about checksums is what is on the wire.
    auto network = NetNamespacePair::create({.near_tx_offload = false});
    ASSERT_TRUE(network) << network.error().message();
    network_ = std::make_unique<NetNamespacePair>(std::move(*network));
    const auto& ipv4 = network_->near().ipv4;
    const std::string prefix =
        "fd58:" + std::to_string(ipv4[2]) + ":" + std::to_string(ipv4[3]) + "::";
    peer6_ = prefix + "2";
    must(run_command({"ip", "-6", "addr", "add", prefix + "1/64", "dev",
                      network_->near().interface_name, "nodad"}));
    // RFC 4291 §2.1: every interface has one, and the kernel asks for neighbours from it.
    must(run_command({"ip", "-6", "addr", "add", "fe80::1/64", "dev",
                      network_->near().interface_name, "nodad"}));
    must(network_->run_in_namespace({"ip", "-6", "addr", "add", peer6_ + "/64", "dev",
                                     network_->peer().interface_name, "nodad"}));
  }
  static void must(const CommandResult& result) { ASSERT_EQ(result.exit_code, 0) << result.output; }

  void start(TxForm form, bool checksum_offload, const std::string& pcap_path = {}) {
    EngineConfig config;
    config.nic = "af_xdp:" + network_->near().interface_name;
    config.tx_form = form;
    config.checksum_offload = checksum_offload;
    config.pcap_path = pcap_path;
    start(config);
  }
  void start(EngineConfig config) {
    config.cache_bytes = 32 << 20;
    auto engine = Engine::open(config);
    ASSERT_TRUE(engine) << engine.error().message();
    engine_ = std::move(*engine);
  }
  File make_file(const std::string& name, std::size_t bytes) {
    put_file(root_.path(name), random_bytes(bytes, bytes));
    auto file = engine_->open_file(root_.path(name), O_RDWR);
    EXPECT_TRUE(file) << file.error().message();
    return std::move(*file);
  }
  [[nodiscard]] std::string peer_of(AddressFamily family) const {
    return family == AddressFamily::ipv4 ? network_->peer().address : peer6_;
  }
  ChildProcess receiver(const std::string& address, std::uint16_t port, std::size_t datagrams,
                        const std::string& into) {
    auto peer = network_->spawn_in_namespace({"python3", PEERS_DIRECTORY "/datagram_peer.py",
                                              address, std::to_string(port),
                                              std::to_string(datagrams), root_.path(into)});
    EXPECT_TRUE(peer) << peer.error().message();
    EXPECT_TRUE(peer->wait_for_output("ready")) << peer->output();
    return std::move(*peer);
  }
  DatagramFlowId open_flow(const std::string& address, std::uint32_t payload_bytes,
                           std::uint64_t rate = 0, std::uint16_t port = peer_port) {
    auto flow = engine_->open_datagram_flow({.peer_address = parse_ip_address(address).value(),
                                             .peer_port = port,
                                             .payload_bytes = payload_bytes,
                                             .rate_bytes_per_s = rate});
    EXPECT_TRUE(flow) << flow.error().message();
    return *flow;
  }
  void send(DatagramFlowId flow, File& file, std::uint64_t user_data = 0) {
    auto snapshot = engine_->freeze(file, 0, whole_file);
    ASSERT_TRUE(snapshot) << snapshot.error().message();
    static constexpr std::array<std::byte, header_bytes> header{};
    DatagramSplice splice;
    splice.flow = flow;
    splice.snapshot = std::move(*snapshot);
    splice.header = header;
    splice.sequence = {.offset_bytes = 0, .width_bytes = 4};
    splice.byte_offset = {.offset_bytes = 4, .width_bytes = 8};
    splice.user_data = user_data;
    const auto submitted = engine_->submit(std::move(splice));
    ASSERT_TRUE(submitted) << submitted.error().message();
  }
  /// Polls until `done`, or ten seconds have passed.
  void poll_until(const std::function<bool()>& done) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!done() && std::chrono::steady_clock::now() < limit) {
      std::array<Event, 16> events;
      const std::size_t polled = engine_->poll(events);
      for (const Event& event : std::span(events).first(polled)) {
        if (on_event) on_event(event);
        if (event.kind != Event::Kind::released || event.datagram_flow.generation == 0) continue;
        EXPECT_FALSE(results_.contains(event.user_data)) << "released twice";
        results_[event.user_data] = event.result;
      }
      if (polled == 0) std::this_thread::sleep_for(std::chrono::microseconds(100));
    }
    EXPECT_TRUE(done());
  }
  /// The results of so many splices that are released, or will be in time.
  std::map<std::uint64_t, SpliceResult> released(std::size_t count) {
    poll_until([&] { return results_.size() >= count; });
    return std::exchange(results_, {});
  }
  static void expect_all_came(ChildProcess& peer, std::size_t datagrams) {
    const auto result = peer.wait();
    ASSERT_TRUE(result);
    std::cout << result->output;
    const std::string begin = "came " + std::to_string(datagrams) + " unordered 0 ";
    EXPECT_NE(result->output.find(begin), std::string::npos) << result->output;
    EXPECT_NE(result->output.find(" wrong 0\n"), std::string::npos) << result->output;
  }
  std::string refusal(const DatagramFlowConfig& config) {
    const auto flow = engine_->open_datagram_flow(config);
    return flow ? "opened" : flow.error().message();
  }

  std::unique_ptr<NetNamespacePair> network_;
  std::string peer6_;
  const TempDir root_;
  std::unique_ptr<Engine> engine_;
  std::function<void(const Event&)> on_event;
  std::map<std::uint64_t, SpliceResult> results_;
};

}  // namespace strictsend::test
