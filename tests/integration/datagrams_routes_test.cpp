// SPDX-License-Identifier: Apache-2.0
// Where datagrams go: by the tables of a kernel that stands behind the port, or by the engine's
// own.
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <optional>
#include <string>

#include "nic/dpdk/nic_config.h"
#include "tests/integration/datagrams_fixture.hpp"

namespace strictsend::test {
namespace {

TEST_F(Datagrams, to_a_neighbour_that_does_not_answer_fail) {
  start(TxForm::automatic, true);
  // A documentation address (RFC 5737) that a route places on this wire.
  must(
      run_command({"ip", "route", "add", "192.0.2.77/32", "dev", network_->near().interface_name}));
  File file = make_file("file", 100'000);
  const DatagramFlowId flow = open_flow("192.0.2.77", 1400);
  send(flow, file);
  const auto results = released(1);
  ASSERT_EQ(results.size(), 1U);
  EXPECT_EQ(results.at(0).error, EHOSTUNREACH);
  EXPECT_EQ(results.at(0).datagrams_sent, 0U);
  EXPECT_EQ(engine_->stats().datagram_splices_unreachable, 1U);
}

TEST_F(Datagrams, are_routed_by_the_engines_namespace_whoever_opens_the_flow) {
  start(TxForm::automatic, true);
  File file = make_file("file", 1000);
  const std::string address = peer_of(AddressFamily::ipv4);
  ChildProcess peer = receiver(address, peer_port, 1, "came");
  std::optional<DatagramFlowId> flow;
  network_->in_namespace([&] {
    const auto opened = engine_->open_datagram_flow(
        {.peer_address = parse_ip_address(address).value(), .peer_port = peer_port});
    ASSERT_TRUE(opened) << opened.error().message();
    flow = *opened;
  });
  ASSERT_TRUE(flow);
  send(*flow, file);
  EXPECT_EQ(released(1).at(0).error, 0);
  expect_all_came(peer, 1);
}

TEST_F(Datagrams, leave_a_neighbour_that_was_entered_for_good_as_it_is) {
  start(TxForm::automatic, true);
  File file = make_file("file", 1000);
  const std::string address = peer_of(AddressFamily::ipv4);
  const std::string device = network_->near().interface_name;
  std::string mac;
  for (const std::uint8_t byte : network_->peer().mac) {
    std::array<char, 4> text{};
    std::snprintf(text.data(), text.size(), "%02x", byte);
    mac += (mac.empty() ? "" : ":") + std::string(text.data());
  }
  must(run_command(
      {"ip", "neigh", "replace", address, "lladdr", mac, "nud", "permanent", "dev", device}));
  ChildProcess peer = receiver(address, peer_port, 1, "came");
  send(open_flow(address, 1000), file);
  EXPECT_EQ(released(1).at(0).error, 0);
  expect_all_came(peer, 1);
  const CommandResult entry = run_command({"ip", "neigh", "show", address, "dev", device});
  EXPECT_NE(entry.output.find(mac + " PERMANENT"), std::string::npos) << entry.output;
}

TEST_F(Datagrams, follow_a_rule_that_is_about_the_engines_address) {
  start(TxForm::automatic, true);
  File file = make_file("file", 1000);
  // A documentation address (RFC 5737) that the peer has, and whose route only we are to take.
  const std::string far = "192.0.2.79";
  const std::string table = std::to_string(100'000 + network_->near().interface_index);
  const std::string device = network_->near().interface_name;
  must(network_->run_in_namespace(
      {"ip", "addr", "add", far + "/32", "dev", network_->peer().interface_name}));
  must(run_command({"ip", "route", "add", far + "/32", "via", peer_of(AddressFamily::ipv4), "dev",
                    device, "table", table}));
  const auto rule = [&](const char* what) {
    return run_command({"ip", "rule", what, "from", network_->near().address, "lookup", table});
  };
  must(rule("add"));
  ChildProcess peer = receiver(far, peer_port, 1, "came");
  const auto flow = engine_->open_datagram_flow(
      {.peer_address = parse_ip_address(far).value(), .peer_port = peer_port});
  EXPECT_TRUE(flow) << flow.error().message();
  if (flow) {
    send(*flow, file);
    EXPECT_EQ(released(1).at(0).error, 0);
    expect_all_came(peer, 1);
  }
  must(rule("del"));
}

TEST_F(Datagrams, go_from_an_address_that_the_kernel_does_not_have) {
  EngineConfig config;
  config.nic = "af_xdp:" + network_->near().interface_name;
  config.address = Ipv4Address{192, 0, 2, 80};
  start(config);
  File file = make_file("file", 1000);
  send(open_flow(peer_of(AddressFamily::ipv4), 1000), file);
  EXPECT_EQ(released(1).at(0).error, 0);
}

TEST_F(Datagrams, find_their_neighbour_again_when_its_mac_has_changed) {
  start(TxForm::automatic, true);
  File file = make_file("file", 100);
  const std::string address = peer_of(AddressFamily::ipv4);
  const DatagramFlowId flow = open_flow(address, 100);
  ChildProcess first = receiver(address, peer_port, 1, "came");
  send(flow, file);
  released(1);
  expect_all_came(first, 1);
  const std::string peer = network_->peer().interface_name;
  must(network_->run_in_namespace({"ip", "link", "set", peer, "address", "02:00:00:00:77:77"}));
  must(run_command({"ip", "neigh", "replace", address, "lladdr", "02:00:00:00:77:77", "nud",
                    "reachable", "dev", network_->near().interface_name}));
  ChildProcess second = receiver(address, peer_port, 1, "came");
  // The kernel is asked once a second: the first of these may go to where the peer was.
  for (int i = 0; i < 30 && !second.wait(milliseconds(100)); ++i) {
    send(flow, file);
    released(1);
  }
  expect_all_came(second, 1);
}

TEST_F(Datagrams, find_their_neighbour_by_arp_where_dpdk_has_no_kernel_behind_it) {
  if (!STRICTSEND_HAVE_DPDK) GTEST_SKIP() << "built without DPDK";
  // The tap's other end is the kernel's, in the peer's namespace; the veth lies idle.
  const std::string file_prefix = "--file-prefix=" + network_->near().interface_name;
  EngineConfig config;
  config.nic = "dpdk:net_tap0";
  config.nic_arguments = {"--no-huge", "--no-pci", file_prefix, "--vdev=net_tap0,iface=tap0"};
  config.address = network_->near().ipv4;
  config.prefix_bits = 30;
  network_->in_namespace([&] { start(config); });
  if (HasFailure()) return;
  const std::string address = peer_of(AddressFamily::ipv4);
  must(network_->run_in_namespace({"ip", "addr", "flush", "dev", network_->peer().interface_name}));
  must(network_->run_in_namespace({"ip", "addr", "add", address + "/30", "dev", "tap0"}));
  must(network_->run_in_namespace({"ip", "link", "set", "tap0", "up"}));

  constexpr std::size_t count = 500;
  File file = make_file("file", count * 1000);
  ChildProcess peer = receiver(address, peer_port, count, "came");
  send(open_flow(address, 1000, 2'000'000), file);
  const auto results = released(1);
  ASSERT_EQ(results.size(), 1U);
  EXPECT_EQ(results.at(0).error, 0);
  EXPECT_EQ(results.at(0).datagrams_sent, count);
  expect_all_came(peer, count);
  EXPECT_TRUE(get_file(root_.path("came")) == get_file(root_.path("file")));
  EXPECT_GT(engine_->stats().neighbour_requests, 0U);
  file = File{};
  EXPECT_EQ(engine_->stop(0).snapshots_live, 0U);
}

}  // namespace
}  // namespace strictsend::test
