// SPDX-License-Identifier: Apache-2.0
#include "nic/sim/sim_port.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "nic/wire/header_template.hpp"
#include "nic/wire/tcp_packet.hpp"
#include "tests/support/dma_buffer.hpp"

namespace strictsend::nic {
namespace {

using test::DmaBuffer;

constexpr std::string_view header = "an ethernet header, and more:";

std::string text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// A port and the memory it sends from, driven by hand.
class Bench {
 public:
  explicit Bench(const SimConfig& config) : port_(*SimPort::create(config, buffer.memory())) {}

  SimPort& port() { return *port_; }
  Queue& queue() { return port_->queue(0); }

  /// Header and payload in frames of their own; returns the payload's fragment.
  Fragment send(std::uint32_t cookie, std::string_view payload) {
    const FrameIndex frame = buffer.first_free().plus(2 * (cookie % 400));
    const std::array<Fragment, 2> fragments{buffer.put(frame, 64, header),
                                            buffer.put(frame.plus(1), 0, payload)};
    const TxPacket packet{.fragments = fragments, .cookie = cookie};
    EXPECT_EQ(queue().transmit(std::span(&packet, 1)), 1U);
    return fragments[1];
  }
  void advance(Duration by) { port_->advance_to(port_->now() + by); }
  /// Until nothing is left to happen.
  void run() {
    while (queue().next_event() != Time::never())
      port_->advance_to(queue().next_event());
  }
  std::vector<std::uint32_t> reap(TxStatus expected = TxStatus::sent) {
    std::vector<std::uint32_t> cookies;
    std::array<TxCompletion, 7> burst;
    while (const std::size_t count = queue().reap(burst)) {
      for (const TxCompletion& completion : std::span(burst).first(count)) {
        EXPECT_EQ(completion.status, expected);
        cookies.push_back(completion.cookie);
      }
    }
    return cookies;
  }
  /// Everything that has arrived at the far end, the header cut off.
  std::vector<std::string> arrived() {
    std::vector<std::string> texts;
    while (const auto frame = port_->peer().receive())
      texts.push_back(text_of(frame->bytes.subspan(header.size())));
    return texts;
  }

  DmaBuffer buffer{1024, 8};

 private:
  std::unique_ptr<SimPort> port_;
};

std::vector<std::byte> bytes_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

using Texts = std::vector<std::string>;
using Cookies = std::vector<std::uint32_t>;

TEST(SimPort, delivers_the_fragments_as_one_frame_after_serialisation_and_delay) {
  Bench bench({.link_bits_per_second = 1'000'000'000, .to_peer = {.delay = milliseconds(5)}});
  const std::string payload(1000, 'x');
  bench.send(1, payload);
  EXPECT_EQ(bench.queue().next_event(), Time::never()) << "nothing starts before the kick";
  EXPECT_EQ(bench.queue().kick(), 0);

  // 29 + 1000 bytes, and 24 of preamble, FCS and gap, at 8 ns a byte.
  const Duration serialisation = nanoseconds(std::int64_t{29 + 1000 + 24} * 8);
  EXPECT_EQ(bench.queue().next_event(), Time{} + serialisation);
  bench.run();
  EXPECT_EQ(bench.port().now(), Time{} + serialisation + milliseconds(5));
  EXPECT_EQ(bench.arrived(), Texts{payload});
  EXPECT_EQ(bench.reap(), Cookies{1});
}

TEST(SimPort, sends_what_the_memory_holds_at_the_completion) {
  Bench bench({});
  const Fragment payload = bench.send(1, "before");
  ASSERT_EQ(bench.queue().kick(), 0);
  bench.buffer.put(frame_of(payload.offset), 0, "AFTER!");
  bench.run();
  EXPECT_EQ(bench.arrived(), Texts{"AFTER!"});
  EXPECT_EQ(bench.port().stats().changed_under_descriptor, 1U);
}

TEST(SimPort, reading_at_the_kick_hides_the_same_tear_but_not_from_the_check) {
  Bench bench({.dma = {.read = SimRead::at_kick}});
  const Fragment payload = bench.send(1, "before");
  ASSERT_EQ(bench.queue().kick(), 0);
  bench.buffer.put(frame_of(payload.offset), 0, "AFTER!");
  bench.run();
  EXPECT_EQ(bench.arrived(), Texts{"before"});
  EXPECT_TRUE(bench.port().capabilities().copies_payload);
  EXPECT_EQ(bench.port().stats().changed_under_descriptor, 1U);
}

TEST(SimPort, notices_a_change_between_the_read_and_a_late_completion) {
  Bench bench({.dma = {.completion_lateness_max = milliseconds(20)}});
  const Fragment payload = bench.send(1, "before");
  ASSERT_EQ(bench.queue().kick(), 0);
  bench.port().advance_to(bench.queue().next_event());  // the read
  EXPECT_TRUE(bench.reap().empty());
  EXPECT_EQ(bench.port().stats().changed_under_descriptor, 0U);
  bench.buffer.put(frame_of(payload.offset), 0, "AFTER!");
  bench.run();
  EXPECT_EQ(bench.arrived(), Texts{"before"});
  EXPECT_EQ(bench.reap(), Cookies{1});
  EXPECT_EQ(bench.port().stats().changed_under_descriptor, 1U);
}

TEST(SimPort, completes_every_packet_once_and_takes_no_more_than_its_ring) {
  Bench bench(
      {.tx_ring_packets = 16,
       .dma = {.lateness_max = microseconds(30), .completion_lateness_max = milliseconds(1)}});
  std::map<std::uint32_t, int> completions;
  std::uint32_t next_cookie = 0;
  std::size_t outstanding = 0;
  while (next_cookie < 2000) {
    for (; outstanding < 16 && next_cookie < 2000; ++outstanding)
      bench.send(next_cookie++, "payload");
    const Fragment fragment = bench.buffer.put(bench.buffer.first_free(), 64, header);
    const TxPacket one_more{.fragments = {&fragment, 1}, .cookie = 5000};
    EXPECT_EQ(outstanding == 16 ? bench.queue().transmit(std::span(&one_more, 1)) : 0U, 0U);
    ASSERT_EQ(bench.queue().kick(), 0);
    bench.port().advance_to(bench.queue().next_event());
    for (const std::uint32_t cookie : bench.reap()) {
      ++completions[cookie];
      --outstanding;
    }
    bench.arrived();
  }
  bench.run();
  for (const std::uint32_t cookie : bench.reap())
    ++completions[cookie];
  EXPECT_EQ(completions.size(), 2000U);
  EXPECT_TRUE(std::ranges::all_of(completions, [](const auto& each) { return each.second == 1; }));
  EXPECT_EQ(bench.queue().counters().tx_packets, 2000U);
  EXPECT_EQ(bench.queue().counters().tx_completions, 2000U);
  EXPECT_EQ(bench.queue().counters().tx_dropped, 0U);
  EXPECT_EQ(bench.port().stats().changed_under_descriptor, 0U);
}

TEST(SimPort, completes_in_ring_order_unless_told_otherwise) {
  const auto order = [](bool in_order) {
    Bench bench(
        {.dma = {.completion_lateness_max = milliseconds(1), .completes_in_order = in_order}});
    for (std::uint32_t cookie = 0; cookie < 50; ++cookie)
      bench.send(cookie, "payload");
    EXPECT_EQ(bench.queue().kick(), 0);
    bench.run();
    Cookies cookies = bench.reap();
    EXPECT_EQ(cookies.size(), 50U);
    return cookies;
  };
  EXPECT_TRUE(std::ranges::is_sorted(order(true)));
  EXPECT_FALSE(std::ranges::is_sorted(order(false)));
}

TEST(SimPort, stop_returns_what_is_outstanding_as_dropped_and_reads_no_more) {
  Bench bench({});
  bench.send(1, "sent");
  ASSERT_EQ(bench.queue().kick(), 0);
  bench.run();
  bench.send(2, "kicked");
  ASSERT_EQ(bench.queue().kick(), 0);
  bench.send(3, "posted");
  bench.queue().stop();
  bench.queue().stop();

  std::array<TxCompletion, 8> completions;
  ASSERT_EQ(bench.queue().reap(completions), 3U);
  EXPECT_EQ(completions[0].cookie, 1U);
  EXPECT_EQ(completions[0].status, TxStatus::sent);
  EXPECT_EQ(completions[1].cookie, 2U);
  EXPECT_EQ(completions[1].status, TxStatus::dropped);
  EXPECT_EQ(completions[2].cookie, 3U);
  EXPECT_EQ(completions[2].status, TxStatus::dropped);
  EXPECT_EQ(bench.queue().reap(completions), 0U);
  EXPECT_EQ(bench.queue().counters().tx_dropped, 2U);
  bench.run();
  EXPECT_EQ(bench.arrived(), Texts{"sent"});
}

TEST(SimPort, a_lost_completion_keeps_its_descriptor_until_stop) {
  Bench bench({.dma = {.lost_completion_ppm = 1'000'000}});
  const Fragment payload = bench.send(1, "sent");
  ASSERT_EQ(bench.queue().kick(), 0);
  bench.run();
  EXPECT_EQ(bench.arrived(), Texts{"sent"});
  EXPECT_TRUE(bench.reap().empty());
  EXPECT_EQ(bench.port().stats().lost_completions, 1U);

  bench.buffer.put(frame_of(payload.offset), 0, "late");
  bench.queue().stop();
  EXPECT_EQ(bench.reap(TxStatus::dropped), Cookies{1});
  EXPECT_EQ(bench.port().stats().changed_under_descriptor, 1U)
      << "the descriptor still referred to that memory";
}

TEST(SimPort, completions_in_batches_wait_for_more_to_be_sent) {
  Bench bench({.dma = {.completion_batch_packets = 3}});
  EXPECT_TRUE(bench.port().capabilities().late_completion);
  const auto send = [&](std::uint32_t cookie) {
    bench.send(cookie, "payload");
    EXPECT_EQ(bench.queue().kick(), 0);
    bench.run();
  };
  send(1);
  send(2);
  EXPECT_TRUE(bench.reap().empty());
  EXPECT_TRUE(bench.queue().arm_wait());
  send(3);
  EXPECT_FALSE(bench.queue().arm_wait()) << "not to sleep while completions wait";
  EXPECT_EQ(bench.reap(), (Cookies{1, 2, 3}));
  send(4);
  bench.queue().stop();
  EXPECT_EQ(bench.reap(), Cookies{4});
}

/// Sends `count` numbered frames, and returns the numbers that arrived, in order.
std::vector<int> numbers_through(const SimConfig& config, int count, SimStats& stats) {
  Bench bench(config);
  for (int i = 0; i < count; ++i) {
    bench.send(static_cast<std::uint32_t>(i), std::to_string(i));
    EXPECT_EQ(bench.queue().kick(), 0);
    bench.advance(microseconds(2));
    bench.reap();
  }
  bench.run();
  stats = bench.port().stats();
  std::vector<int> numbers;
  while (const auto frame = bench.port().peer().receive()) {
    if (!frame->corrupted)
      numbers.push_back(std::stoi(text_of(frame->bytes.subspan(header.size()))));
  }
  return numbers;
}

TEST(SimPort, loses_about_as_many_frames_as_asked) {
  SimStats stats;
  const auto numbers = numbers_through({.to_peer = {.loss_ppm = 100'000}}, 3000, stats);
  EXPECT_TRUE(std::ranges::is_sorted(numbers));
  EXPECT_EQ(numbers.size() + stats.to_peer.lost, 3000U);
  EXPECT_GT(stats.to_peer.lost, 240U);  // 300, more than 3 standard deviations (16) either way
  EXPECT_LT(stats.to_peer.lost, 360U);
}

TEST(SimPort, duplicates_about_as_many_frames_as_asked) {
  SimStats stats;
  const auto numbers = numbers_through({.to_peer = {.duplicate_ppm = 100'000}}, 3000, stats);
  EXPECT_GT(stats.to_peer.duplicated, 240U);
  EXPECT_LT(stats.to_peer.duplicated, 360U);
  EXPECT_EQ(numbers.size(), 3000U + stats.to_peer.duplicated);
  EXPECT_EQ(std::set<int>(numbers.begin(), numbers.end()).size(), 3000U);
}

TEST(SimPort, reorders_about_as_many_frames_as_asked_and_loses_none) {
  SimStats stats;
  auto numbers = numbers_through(
      {.to_peer = {.reorder_ppm = 100'000, .reorder_delay_max = microseconds(100)}}, 3000, stats);
  EXPECT_GT(stats.to_peer.reordered, 240U);
  EXPECT_LT(stats.to_peer.reordered, 360U);
  EXPECT_FALSE(std::ranges::is_sorted(numbers));
  std::ranges::sort(numbers);
  ASSERT_EQ(numbers.size(), 3000U);
  for (int i = 0; i < 3000; ++i)
    ASSERT_EQ(numbers[static_cast<std::size_t>(i)], i);
}

TEST(SimPort, corruption_flips_one_bit_and_is_marked) {
  Bench bench({.to_peer = {.corrupt_ppm = 1'000'000}});
  const std::string sent = std::string(header) + "payload";
  for (std::uint32_t cookie = 0; cookie < 20; ++cookie)
    bench.send(cookie, "payload");
  ASSERT_EQ(bench.queue().kick(), 0);
  bench.run();
  int frames = 0;
  while (const auto frame = bench.port().peer().receive()) {
    ++frames;
    EXPECT_TRUE(frame->corrupted);
    ASSERT_EQ(frame->bytes.size(), sent.size());
    int flipped = 0;
    for (std::size_t i = 0; i < sent.size(); ++i)
      flipped += std::popcount(static_cast<unsigned char>(
          std::to_integer<unsigned char>(frame->bytes[i]) ^ static_cast<unsigned char>(sent[i])));
    EXPECT_EQ(flipped, 1);
  }
  EXPECT_EQ(frames, 20);
}

TEST(SimPort, a_seed_reproduces_the_run_and_another_does_not) {
  const SimConfig troubled{.to_peer = {.loss_ppm = 50'000,
                                       .duplicate_ppm = 50'000,
                                       .corrupt_ppm = 50'000,
                                       .reorder_ppm = 50'000},
                           .dma = {.lateness_max = microseconds(20)}};
  SimConfig other = troubled;
  other.seed = 2;
  SimStats stats;
  const auto first = numbers_through(troubled, 500, stats);
  EXPECT_EQ(first, numbers_through(troubled, 500, stats));
  EXPECT_NE(first, numbers_through(other, 500, stats));
}

TEST(SimPort, late_dma_keeps_the_order_of_the_ring) {
  SimStats stats;
  const auto numbers = numbers_through({.dma = {.lateness_max = milliseconds(1)}}, 250, stats);
  EXPECT_EQ(numbers.size(), 250U);
  EXPECT_TRUE(std::ranges::is_sorted(numbers));
}

TEST(SimPort, fills_the_checksum_in_when_asked_to) {
  Bench bench({.checksum_offload = true});
  const wire::TcpHeaderTemplate headers(
      {.source = {10, 0, 0, 1}, .destination = {10, 0, 0, 2}, .source_port = 80});
  const std::string_view payload = "odd length.";
  std::array<std::byte, wire::tcp_frame_header_bytes_max> bytes;
  const auto emitted = headers.emit_for_offload(
      bytes, {.seq = 7, .payload_bytes = static_cast<std::uint32_t>(payload.size())});
  const FrameIndex frame = bench.buffer.first_free();
  const std::array<Fragment, 2> fragments{
      bench.buffer.put(frame, 0, std::span(bytes).first(emitted.header_bytes)),
      bench.buffer.put(frame.plus(1), 1, payload)};
  const TxPacket packet{.fragments = fragments, .checksum = emitted.checksum};
  ASSERT_EQ(bench.queue().transmit(std::span(&packet, 1)), 1U);
  ASSERT_EQ(bench.queue().kick(), 0);
  bench.run();
  const auto arrived = bench.port().peer().receive();
  ASSERT_TRUE(arrived);
  const auto parsed = wire::parse_tcp_packet(arrived->bytes, RxChecksum::unknown);
  ASSERT_TRUE(parsed) << wire::to_string(parsed.error());
  EXPECT_EQ(text_of(parsed->payload), payload);
}

/// Two packets' payload in two pages, to be cut.
class SimSegmentation : public ::testing::Test {
 protected:
  void start(SimConfig config) {
    config.checksum_offload = true;
    config.segmented_bytes_max = 65535;
    bench.emplace(config);
    const wire::TcpHeaderTemplate headers(
        {.source = {10, 0, 0, 1}, .destination = {10, 0, 0, 2}, .source_port = 80});
    std::array<std::byte, wire::tcp_frame_header_bytes_max> bytes;
    const auto emitted = headers.emit_for_segmentation(
        bytes, {.seq = 7, .flags = {.psh = true, .ack = true}, .payload_bytes = 2500});
    const FrameIndex frame = bench->buffer.first_free();
    fragments = {bench->buffer.put(frame, 0, std::span(bytes).first(emitted.header_bytes)),
                 bench->buffer.put(frame.plus(1), 1000, std::string(1100, 'a')),
                 bench->buffer.put(frame.plus(2), 0, std::string(1400, 'b'))};
    const TxPacket packet{.fragments = fragments,
                          .checksum = emitted.checksum,
                          .cookie = 1,
                          .segmentation = SegmentationRequest{
                              .header_bytes = static_cast<std::uint16_t>(emitted.header_bytes),
                              .payload_bytes = 1460}};
    ASSERT_EQ(bench->queue().transmit(std::span(&packet, 1)), 1U);
    ASSERT_EQ(bench->queue().kick(), 0);
  }
  /// The payloads that arrive, each out of a packet that is right in every field.
  Texts payloads() {
    Texts texts;
    std::uint32_t seq = 7;
    while (const auto frame = bench->port().peer().receive()) {
      const auto parsed = wire::parse_tcp_packet(frame->bytes, RxChecksum::unknown);
      EXPECT_TRUE(parsed) << wire::to_string(parsed.error());
      if (!parsed) continue;
      EXPECT_EQ(parsed->seq, seq);
      seq += static_cast<std::uint32_t>(parsed->payload.size());
      texts.push_back(text_of(parsed->payload));
      EXPECT_EQ(parsed->flags.psh, seq == 7 + 2500);
    }
    return texts;
  }

  std::optional<Bench> bench;
  std::array<Fragment, 3> fragments;
};

TEST_F(SimSegmentation, cuts_a_packet_and_completes_it_once_when_the_last_piece_has_left) {
  start({.link_bits_per_second = 1'000'000'000, .to_peer = {.delay = milliseconds(5)}});
  // Two frames of 1514 and 1094 bytes, and 24 around each of them, at 8 ns a byte.
  const Duration serialisation = nanoseconds(std::int64_t{1514 + 24 + 1094 + 24} * 8);
  EXPECT_EQ(bench->queue().next_event(), Time{} + serialisation);
  bench->run();
  EXPECT_EQ(payloads(),
            (Texts{std::string(1100, 'a') + std::string(360, 'b'), std::string(1040, 'b')}));
  EXPECT_EQ(bench->reap(), Cookies{1});
  EXPECT_EQ(bench->port().stats().to_peer.sent, 2U);
  EXPECT_EQ(bench->queue().counters().tx_packets, 1U);
  EXPECT_EQ(bench->queue().counters().tx_completions, 1U);
}

TEST_F(SimSegmentation, sends_what_the_memory_holds_at_the_completion) {
  start({});
  bench->buffer.put(frame_of(fragments[2].offset), 1399, "!");
  bench->run();
  const Texts texts = payloads();
  ASSERT_EQ(texts.size(), 2U);
  EXPECT_EQ(texts[1].back(), '!') << "the last byte of the last piece, written after the kick";
  EXPECT_EQ(bench->port().stats().changed_under_descriptor, 1U);
}

TEST_F(SimSegmentation, loses_single_pieces_when_no_frame_is_left) {
  start({.frames_on_the_way_max = 1});
  bench->run();
  EXPECT_EQ(payloads().size(), 1U);
  EXPECT_EQ(bench->port().stats().to_peer.overflowed, 1U);
  EXPECT_EQ(bench->reap(), Cookies{1});
}

TEST(SimPort, overwrites_its_headroom_as_metadata_does) {
  Bench bench({.header_headroom_bytes = 24});
  const FrameIndex frame = bench.buffer.first_free();
  const Fragment before = bench.buffer.put(frame, 0, std::string(64, '-'));
  bench.send(0, "payload");
  EXPECT_EQ(text_of(bench.buffer.at(before)), std::string(40, '-') + std::string(24, '\xa5'));
}

TEST(SimPort, receives_what_the_peer_injects_into_its_receive_frames) {
  Bench bench({.filter_flows = false, .from_peer = {.delay = milliseconds(3)}});
  bench.port().peer().inject(bytes_of("first frame"));
  bench.port().peer().inject(bytes_of("second"));
  std::array<RxPacket, 4> packets;
  EXPECT_EQ(bench.queue().receive(packets), 0U);
  EXPECT_TRUE(bench.queue().arm_wait());
  bench.run();
  EXPECT_FALSE(bench.queue().arm_wait());

  ASSERT_EQ(bench.queue().receive(packets), 2U);
  EXPECT_EQ(text_of(packets[0].bytes), "first frame");
  EXPECT_EQ(text_of(packets[1].bytes), "second");
  const std::byte* base = bench.buffer.memory().base;
  EXPECT_GE(packets[0].bytes.data(), base + page_bytes);
  EXPECT_LT(packets[0].bytes.data(), base + 9 * page_bytes);
  bench.queue().release_received();
  EXPECT_NE(text_of(packets[0].bytes), "first frame") << "a view kept too long is found out";
  EXPECT_EQ(bench.queue().counters().rx_packets, 2U);
  EXPECT_EQ(bench.queue().counters().rx_bytes, 17U);
}

TEST(SimPort, drops_what_it_has_no_receive_buffer_for) {
  Bench bench({.filter_flows = false, .rx_ring_packets = 4});
  for (int i = 0; i < 6; ++i)
    bench.port().peer().inject(bytes_of("frame"));
  bench.run();
  std::array<RxPacket, 8> packets;
  EXPECT_EQ(bench.queue().receive(packets), 4U);
  EXPECT_EQ(bench.queue().counters().rx_dropped, 2U);
  bench.queue().release_received();
  bench.port().peer().inject(bytes_of("frame"));
  bench.run();
  EXPECT_EQ(bench.queue().receive(packets), 1U);
}

TEST(SimPort, delivers_only_the_flows_it_was_told_to_accept) {
  Bench bench({});
  const auto inject = [&](wire::Ipv4Address address, std::uint16_t port) {
    std::array<std::byte, wire::tcp_frame_header_bytes_max> bytes;
    const wire::TcpHeaderTemplate headers(
        {.source = {10, 0, 0, 9}, .destination = address, .destination_port = port});
    bench.port().peer().inject(std::span(bytes).first(headers.emit(bytes, {}, 0)));
    bench.run();
    std::array<RxPacket, 4> packets;
    const std::size_t received = bench.queue().receive(packets);
    bench.queue().release_received();
    return received;
  };
  EXPECT_EQ(inject({10, 0, 0, 1}, 80), 0U);
  ASSERT_TRUE(bench.port().accept_flows({.address = {10, 0, 0, 1}, .tcp_port = 80}));
  EXPECT_EQ(inject({10, 0, 0, 1}, 80), 1U);
  EXPECT_EQ(inject({10, 0, 0, 1}, 81), 0U);
  EXPECT_EQ(inject({10, 0, 0, 2}, 80), 0U);
  bench.port().peer().inject(bytes_of("no packet"));
  bench.run();
  EXPECT_EQ(bench.port().stats().not_ours, 4U);
}

TEST(SimPort, a_link_that_is_down_loses_frames_and_fails_the_kick) {
  Bench bench({.filter_flows = false});
  bench.port().set_link_up(false);
  EXPECT_FALSE(bench.port().link_up());
  bench.send(1, "waits");
  EXPECT_EQ(bench.queue().kick(), ENETDOWN);
  bench.port().peer().inject(bytes_of("lost"));
  bench.run();
  EXPECT_TRUE(bench.reap().empty());
  EXPECT_EQ(bench.port().stats().from_peer.lost, 1U);

  bench.port().set_link_up(true);
  EXPECT_EQ(bench.queue().kick(), 0);
  bench.run();
  EXPECT_EQ(bench.arrived(), Texts{"waits"});
  EXPECT_EQ(bench.reap(), Cookies{1});
}

TEST(SimPort, a_full_path_loses_frames_and_says_so) {
  Bench bench({.frames_on_the_way_max = 3});
  for (std::uint32_t cookie = 0; cookie < 5; ++cookie)
    bench.send(cookie, "payload");
  ASSERT_EQ(bench.queue().kick(), 0);
  bench.run();
  EXPECT_EQ(bench.arrived().size(), 3U);
  EXPECT_EQ(bench.reap().size(), 5U);
  EXPECT_EQ(bench.port().stats().to_peer.overflowed, 2U);
}

TEST(SimPort, taps_every_frame_before_the_path_spoils_it) {
  std::vector<std::string> seen;
  SimConfig config{.to_peer = {.loss_ppm = 1'000'000}};
  config.tap = [&](Time, std::span<const std::byte> frame) {
    seen.push_back(text_of(frame.subspan(header.size())));
  };
  Bench bench(config);
  bench.send(1, "one");
  bench.send(2, "two");
  ASSERT_EQ(bench.queue().kick(), 0);
  bench.run();
  EXPECT_EQ(seen, (Texts{"one", "two"}));
  EXPECT_TRUE(bench.arrived().empty());
}

TEST(SimPort, refuses_memory_and_limits_it_cannot_work_with) {
  DmaBuffer buffer(16);
  DmaMemory no_receive = buffer.memory();
  no_receive.receive_end = no_receive.receive_begin;
  EXPECT_FALSE(SimPort::create({}, no_receive));
  EXPECT_FALSE(SimPort::create({}, DmaMemory{}));
  const auto jumbo = SimPort::create({.mtu_bytes = 9000}, buffer.memory());
  ASSERT_FALSE(jumbo);
  EXPECT_NE(jumbo.error().message().find("4078"), std::string::npos);
  EXPECT_FALSE(SimPort::create({.tx_ring_packets = 0}, buffer.memory()));
  EXPECT_FALSE(SimPort::create({.segmented_bytes_max = 65535}, buffer.memory()))
      << "who cuts packets finishes their checksums";
  EXPECT_FALSE(
      SimPort::create({.checksum_offload = true, .segmented_bytes_max = 65536}, buffer.memory()));
  EXPECT_FALSE(SimPort::create(
      {.checksum_offload = true, .segmented_bytes_max = 65535, .dma = {.read = SimRead::at_kick}},
      buffer.memory()));
  EXPECT_FALSE(SimPort::create({.tx_ring_packets = 4, .dma = {.completion_batch_packets = 5}},
                               buffer.memory()));
}

TEST(SimPortDeathTest, asserts_packets_it_can_never_send_and_reused_cookies) {
  Bench bench({});
  const TxPacket nothing{};
  EXPECT_DEATH(bench.queue().transmit(std::span(&nothing, 1)), "check_packet: no fragments");
  bench.send(1, "payload");
  EXPECT_DEATH(bench.send(1, "payload"), "cookie");
}

}  // namespace
}  // namespace strictsend::nic
