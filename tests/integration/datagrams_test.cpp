// SPDX-License-Identifier: Apache-2.0
// Datagram flows over AF_XDP on a veth pair, to kernel sockets that check what came.
#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include "tests/integration/datagrams_fixture.hpp"
#include "tests/support/proc.hpp"

namespace strictsend::test {
namespace {

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

TEST_F(Datagrams, without_a_rate_let_their_thread_sleep_while_the_link_is_down) {
  start(TxForm::fragments, true);
  const std::string link = network_->near().interface_name;
  File first = make_file("first", 100);
  File file = make_file("file", 10'000'000);
  const DatagramFlowId flow = open_flow(peer_of(AddressFamily::ipv4), 1400);
  send(flow, first, 1);
  released(1);  // and its neighbour is known
  must(run_command({"ip", "link", "set", link, "down"}));
  send(flow, file, 2);
  // Until everything is full that takes packets.
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const double before = engine_threads_seconds();
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  EXPECT_LT(engine_threads_seconds() - before, 0.2);
  EXPECT_LT(engine_->stats().datagrams_sent, 7000U) << "it was waiting";
  must(run_command({"ip", "link", "set", link, "up"}));
  EXPECT_EQ(released(1).at(2).error, 0);
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
