// SPDX-License-Identifier: Apache-2.0
// Datagram flows over AF_XDP on a veth pair, to kernel sockets that check what came.
#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
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
namespace {

constexpr std::uint64_t whole_file = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint16_t peer_port = 5000;
constexpr std::size_t header_bytes = 12;  // what datagram_peer.py reads

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

  void start(TxForm form, bool checksum_offload, const std::string& pcap_path = {},
             std::optional<Ipv4Address> address = std::nullopt) {
    EngineConfig config;
    config.address = address;
    config.nic = "af_xdp:" + network_->near().interface_name;
    config.cache_bytes = 32 << 20;
    config.tx_form = form;
    config.checksum_offload = checksum_offload;
    config.pcap_path = pcap_path;
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

struct Variant {
  const char* name;
  TxForm form;
  AddressFamily family;
  bool checksum_offload;
};

class DatagramForms : public Datagrams, public ::testing::WithParamInterface<Variant> {};
INSTANTIATE_TEST_SUITE_P(
    Forms, DatagramForms,
    ::testing::Values(Variant{"fragments", TxForm::fragments, AddressFamily::ipv4, false},
                      Variant{"fragments_offload", TxForm::fragments, AddressFamily::ipv4, true},
                      Variant{"fragments_ipv6", TxForm::fragments, AddressFamily::ipv6, false},
                      Variant{"linear", TxForm::linear, AddressFamily::ipv4, false},
                      Variant{"linear_ipv6_offload", TxForm::linear, AddressFamily::ipv6, true}),
    [](const auto& variant) { return variant.param.name; });

TEST_P(DatagramForms, bring_the_file_as_it_was_at_submission_to_a_kernel_socket) {
  constexpr std::uint32_t payload = 1400;
  constexpr std::size_t bytes = 3'000'001;
  constexpr std::size_t count = (bytes + payload - 1) / payload;
  start(GetParam().form, GetParam().checksum_offload);
  File file = make_file("file", bytes);
  const std::string address = peer_of(GetParam().family);
  ChildProcess peer = receiver(address, peer_port, count, "came");
  const DatagramFlowId flow = open_flow(address, payload, 6'000'000);
  const auto before = get_file(root_.path("file"));
  send(flow, file);
  // At half a second for the whole, most of it is still here.
  const std::vector<std::byte> other(bytes, std::byte{0xee});
  ASSERT_TRUE(file.write(other, 0));

  const auto results = released(1);
  ASSERT_EQ(results.size(), 1U);
  EXPECT_EQ(results.at(0).error, 0);
  EXPECT_EQ(results.at(0).bytes_sent, bytes);
  EXPECT_EQ(results.at(0).datagrams_sent, count);
  EXPECT_EQ(results.at(0).datagrams_dropped, 0U);
  EXPECT_EQ(results.at(0).bytes_copied, GetParam().form == TxForm::linear ? bytes : 0);
  EXPECT_GT(results.at(0).pages_preserved, 0U) << "the write came before the last datagram";
  expect_all_came(peer, count);
  EXPECT_TRUE(get_file(root_.path("came")) == before);
  file = File{};
  const EngineStats closing = engine_->stop(0);
  EXPECT_EQ(closing.datagrams_sent, count);
  EXPECT_EQ(closing.datagram_flows_open, 0U);
  EXPECT_EQ(closing.snapshots_live, 0U);
}

TEST_F(Datagrams, of_two_flows_share_the_port_with_a_download) {
  constexpr std::uint32_t payload = 1000;
  start(TxForm::fragments, false);
  File file = make_file("file", 2'000'000);
  ASSERT_TRUE(engine_->listen(7000));
  ChildProcess peer = receiver(peer_of(AddressFamily::ipv4), peer_port, 2000, "came");
  ChildProcess peer6 = receiver(peer6_, peer_port + 1, 2000, "came6");
  auto download = network_->spawn_in_namespace({"bash", "-c",
                                                "exec 3<>/dev/tcp/" + network_->near().address +
                                                    "/7000 && cat <&3 | cmp - " +
                                                    root_.path("file") + " && echo whole"});
  ASSERT_TRUE(download);
  bool answered = false;
  on_event = [&](const Event& event) {
    if (event.kind != Event::Kind::accepted) return;
    auto snapshot = engine_->freeze(file, 0, whole_file);
    ASSERT_TRUE(snapshot);
    Splice splice;
    splice.connection = event.connection;
    splice.snapshot = std::move(*snapshot);
    ASSERT_TRUE(engine_->submit(std::move(splice)));
    ASSERT_TRUE(engine_->close(event.connection));
    answered = true;
  };
  // Slow enough that the receivers, on two busy processors, keep up.
  send(open_flow(peer_of(AddressFamily::ipv4), payload, 4'000'000), file, 1);
  send(open_flow(peer6_, payload, 4'000'000, peer_port + 1), file, 2);
  const auto results = released(2);
  for (const auto& [number, result] : results)
    EXPECT_EQ(result.error, 0);
  poll_until([&] { return answered; });
  const auto downloaded = download->wait();
  ASSERT_TRUE(downloaded);
  EXPECT_NE(downloaded->output.find("whole"), std::string::npos) << downloaded->output;
  expect_all_came(peer, 2000);
  expect_all_came(peer6, 2000);
  EXPECT_TRUE(get_file(root_.path("came")) == get_file(root_.path("file")));
  EXPECT_TRUE(get_file(root_.path("came6")) == get_file(root_.path("file")));
}

TEST_F(Datagrams, of_every_size_have_checksums_that_tshark_finds_right) {
  const std::string capture = root_.path("capture.pcap");
  start(TxForm::fragments, false, capture);
  for (const AddressFamily family : {AddressFamily::ipv4, AddressFamily::ipv6}) {
    std::uint64_t number = 0;
    for (const std::size_t bytes : {1U, 7U, 4095U, 9001U}) {
      File file = make_file("f" + std::to_string(bytes), bytes);
      for (const std::uint32_t payload : {1U, 333U, 1440U - 20U})
        send(open_flow(peer_of(family), payload), file, number++);
    }
    released(number);
  }
  engine_->stop(0);
  const CommandResult wrong =
      run_command({"tshark", "-r", capture, "-o", "udp.check_checksum:TRUE", "-Y",
                   "udp.dstport == 5000 && udp.checksum.status != Good"});
  EXPECT_EQ(wrong.output.find("UDP"), std::string::npos) << wrong.output;
  const CommandResult right =
      run_command({"tshark", "-r", capture, "-o", "udp.check_checksum:TRUE", "-Y",
                   "ipv6 && udp.dstport == 5000 && udp.checksum.status == Good"});
  EXPECT_NE(right.output.find("UDP"), std::string::npos) << right.output;
}

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
  start(TxForm::automatic, true, {}, Ipv4Address{192, 0, 2, 80});
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

TEST_F(Datagrams, that_cannot_be_are_explained) {
  start(TxForm::automatic, true);
  const IpAddress peer = parse_ip_address(peer_of(AddressFamily::ipv4)).value();
  EXPECT_NE(refusal({.peer_address = peer, .peer_port = 5000, .payload_bytes = 1473})
                .find("at most 1472"),
            std::string::npos);
  EXPECT_NE(refusal({.peer_address = peer, .peer_port = 0}).find("peer_port"), std::string::npos);
  EXPECT_NE(refusal({.peer_address = IpAddress(239, 1, 1, 1), .peer_port = 1}).find("no single"),
            std::string::npos);
  EXPECT_NE(
      refusal({.peer_address = IpAddress(192, 0, 2, 78), .peer_port = 1}).find("ip route add"),
      std::string::npos)
      << refusal({.peer_address = IpAddress(192, 0, 2, 78), .peer_port = 1});
  const auto own = parse_ip_address(network_->near().address).value();
  EXPECT_NE(refusal({.peer_address = own, .peer_port = 1}).find("no single"), std::string::npos);

  const auto flow = engine_->open_datagram_flow(
      {.peer_address = peer, .peer_port = 5000, .local_port = 4000, .payload_bytes = 1472});
  ASSERT_TRUE(flow) << flow.error().message();
  EXPECT_NE(refusal({.peer_address = peer, .peer_port = 5000, .local_port = 4000})
                .find("another local_port"),
            std::string::npos);
  File file = make_file("file", 5000);
  auto snapshot = engine_->freeze(file, 0, whole_file);
  ASSERT_TRUE(snapshot);
  const std::array<std::byte, 65> header{};
  DatagramSplice splice;
  splice.flow = *flow;
  splice.header = std::span(header).first(1);
  splice.snapshot = std::move(*snapshot);
  const auto too_big = engine_->submit(std::move(splice));
  ASSERT_FALSE(too_big);
  EXPECT_NE(too_big.error().message().find("at most 1471 bytes"), std::string::npos);

  const auto refused = [&](DatagramSplice bad) {
    bad.flow = *flow;
    return !engine_->submit(std::move(bad)).has_value();
  };
  EXPECT_TRUE(refused({.header = header})) << "65 bytes";
  EXPECT_TRUE(refused({})) << "nothing";
  EXPECT_TRUE(refused({.header = std::span(header).first(4), .sequence = {1, 4}})) << "outside";
  EXPECT_TRUE(refused({.header = std::span(header).first(16), .sequence = {0, 9}})) << "too wide";
  EXPECT_TRUE(
      refused({.header = std::span(header).first(8), .sequence = {0, 4}, .byte_offset = {3, 4}}))
      << "overlapping";
}

TEST_F(Datagrams, flows_are_closed_after_what_was_submitted_and_their_slots_are_used_again) {
  start(TxForm::automatic, true);
  File file = make_file("file", 50'000);
  for (std::uint64_t round = 0; round < 600; ++round) {
    // More rounds than there are slots.
    const DatagramFlowId flow = open_flow(peer_of(AddressFamily::ipv4), 1400);
    if (HasFailure()) return;
    bool closed = false;
    on_event = [&](const Event& event) {
      if (event.kind != Event::Kind::closed) return;
      EXPECT_EQ(event.datagram_flow, flow);
      EXPECT_EQ(event.result.error, 0);
      closed = true;
    };
    send(flow, file, round);
    ASSERT_TRUE(engine_->close(flow));
    poll_until([&] { return closed; });
    ASSERT_TRUE(closed);
    EXPECT_EQ(released(1).at(round).error, 0);
    EXPECT_FALSE(engine_->close(flow)) << "its id is stale";
  }
  on_event = nullptr;
  EXPECT_EQ(engine_->stats().datagram_flows_open, 0U);
}

}  // namespace
}  // namespace strictsend::test
