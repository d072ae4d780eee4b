// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/tcp/story.hpp"

#include <algorithm>

#include <gtest/gtest.h>

namespace strictsend::tcp {

SegmentIn Story::syn_of(const StorySetup& setup) {
  SegmentIn syn;
  syn.seq = Seq(setup.irs);
  syn.flags.syn = true;
  syn.flags.ece = syn.flags.cwr = setup.syn_asks_for_ecn;
  syn.window = static_cast<std::uint16_t>(std::min<std::uint32_t>(setup.peer_window, 65535));
  syn.syn_options = setup.syn_options;
  if (setup.timestamps) syn.timestamps = Timestamps{.value = 7000, .echo = 0};
  return syn;
}

Story::Story(const StorySetup& setup, FromSyn)
    : setup_(setup),
      runs_(std::make_unique<RunPool>(1, 64)),
      connection_(
          Connection::accept(setup.config, syn_of(setup), Seq(setup.iss), 900'000, *runs_, now_)) {
  const unsigned scale = std::min<unsigned>(setup.syn_options.window_scale.value_or(0), 14);
  window_ = static_cast<std::uint16_t>(setup.peer_window >> scale);
}

Story Story::from_syn(const StorySetup& setup) {
  Story story(setup, FromSyn{});
  story.pump();
  return story;
}

Story::Story(const StorySetup& setup) : Story(setup, FromSyn{}) {
  pump();
  expect({"syn-ack"});
  ack(1);
  EXPECT_TRUE(outcome_.established);
  expect_silence();
}

Story& Story::at(std::int64_t ms) {
  const Time until{ms * 1'000'000};
  EXPECT_GE(until, now_) << "a story goes forward";
  while (connection_.next_deadline() <= until) {
    now_ = std::max(now_, connection_.next_deadline());
    outcome_ = connection_.on_timer(now_);
    if (outcome_.reply) put(*outcome_.reply);
    pump();
  }
  now_ = until;
  return *this;
}

Story& Story::enqueue(std::uint64_t bytes) {
  connection_.enqueue(bytes, now_);
  pump();
  return *this;
}

Story& Story::finish() {
  connection_.finish(now_);
  pump();
  return *this;
}

Story& Story::consume(std::uint32_t bytes) {
  connection_.consumed(bytes);
  pump();
  return *this;
}

Story& Story::abort() {
  if (const auto reset = connection_.abort(now_)) put(*reset);
  pump();
  return *this;
}

SegmentIn Story::template_segment() const {
  SegmentIn segment;
  segment.seq = peers(1);
  segment.ack = own(acked_);
  segment.flags.ack = true;
  segment.window = window_;
  if (setup_.timestamps) {
    segment.timestamps = Timestamps{.value = 7000 + static_cast<std::uint32_t>(now_.ns / 1'000'000),
                                    .echo = 900'000};
  }
  return segment;
}

Story& Story::ack(std::uint64_t number, std::optional<std::uint16_t> window) {
  acked_ = number;
  if (window) window_ = *window;
  SegmentIn segment = template_segment();
  segment.seq = connection_.next_receive_seq();
  return peer(segment);
}

Story& Story::sack(std::uint64_t number, Blocks blocks) {
  acked_ = number;
  SegmentIn segment = template_segment();
  segment.seq = connection_.next_receive_seq();
  for (const auto& [begin, end] : blocks)
    segment.sacks.add({own(begin), own(end)});
  return peer(segment);
}

Story& Story::data(std::uint32_t seq, std::uint32_t bytes) {
  SegmentIn segment = template_segment();
  segment.seq = peers(seq);
  segment.payload_bytes = bytes;
  return peer(segment);
}

Story& Story::fin(std::uint32_t seq, std::uint32_t bytes) {
  SegmentIn segment = template_segment();
  segment.seq = peers(seq);
  segment.payload_bytes = bytes;
  segment.flags.fin = true;
  return peer(segment);
}

Story& Story::rst(std::uint32_t seq) {
  SegmentIn segment;
  segment.seq = peers(seq);
  segment.flags.rst = true;
  return peer(segment);
}

Story& Story::syn(std::uint32_t seq) {
  SegmentIn segment = syn_of(setup_);
  segment.seq = peers(seq);
  return peer(segment);
}

Story& Story::peer(SegmentIn segment) {
  outcome_ = connection_.on_segment(segment, now_);
  if (outcome_.reply) put(*outcome_.reply);
  pump();
  return *this;
}

void Story::put(const SegmentOut& segment) {
  wire_.push_back(segment);
}

void Story::pump() {
  while (!hold_) {
    const std::optional<SegmentOut> segment = connection_.next_segment(now_);
    if (!segment) return;
    put(*segment);
    connection_.sent(*segment, now_);
    ASSERT_LT(wire_.size(), 10'000U) << "it never ends";
  }
}

std::string Story::text_of(const SegmentOut& segment) const {
  const std::uint64_t begin = segment.seq.since(own(0));
  std::string text;
  if (segment.flags.rst) {
    text = "rst " + std::to_string(begin);
  } else if (segment.flags.syn) {
    text = "syn-ack";
  } else if (segment.payload_bytes > 0) {
    text = std::to_string(begin) + ":" + std::to_string(begin + segment.payload_bytes);
    if (segment.flags.psh) text += " psh";
    if (segment.flags.fin) text += " fin";
  } else if (segment.flags.fin) {
    text = "fin " + std::to_string(begin);
  } else {
    text = "ack " + std::to_string(segment.ack.since(peers(0)));
  }
  if (segment.retransmission) text += " again";
  return text;
}

void Story::expect(std::initializer_list<const char*> wire) {
  std::vector<std::string> seen;
  for (const SegmentOut& segment : wire_)
    seen.push_back(text_of(segment));
  wire_.clear();
  EXPECT_EQ(seen, std::vector<std::string>(wire.begin(), wire.end()))
      << "at " << now_.ns / 1'000'000 << " ms";
}

std::vector<SegmentOut> Story::take_wire() {
  std::vector<SegmentOut> wire(wire_.begin(), wire_.end());
  wire_.clear();
  return wire;
}

}  // namespace strictsend::tcp
