// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/lying_peer.hpp"

#include <algorithm>

namespace strictsend::test {

using namespace tcp;  // NOLINT(google-build-using-namespace): a test of that namespace

LyingPeer::LyingPeer(FuzzInput& input) {
  const std::uint8_t kind = input.byte();
  syn_.seq = Seq(input.number());
  syn_.flags.syn = true;
  syn_.flags.ece = syn_.flags.cwr = (kind & 1) != 0;
  syn_.window = window_ = input.word();
  if (kind & 2) syn_.syn_options.mss = input.word();
  if (kind & 4) syn_.syn_options.window_scale = input.byte();
  syn_.syn_options.sack_permitted = (kind & 8) != 0;
  if (kind & 16) syn_.timestamps = Timestamps{.value = input.number(), .echo = 0};
  clock_ = recent_ = syn_.timestamps ? syn_.timestamps->value : 0;
  highest_ = syn_.seq + 1;
}

void LyingPeer::hear(const SegmentOut& segment) {
  if (!segment.timestamps) return;
  if (echo_first_ == 0) echo_first_ = segment.timestamps->value;
  echo_last_ = segment.timestamps->value;
  recent_ = segment.timestamps->echo;
}

SegmentIn LyingPeer::basic(const Connection& to) const {
  SegmentIn segment;
  segment.seq = to.next_receive_seq();
  segment.ack = to.sender().seq_of(to.sender().una());
  segment.flags.ack = true;
  segment.window = window_;
  return segment;
}

std::uint32_t LyingPeer::echo(FuzzInput& input) const {
  switch (input.byte() % 8) {
    case 0:
      return echo_first_;
    case 1:
      return input.number();
    case 2:
      return echo_last_ - input.byte();
    default:
      return echo_last_;
  }
}

void LyingPeer::note(const SegmentIn& segment, const Connection& to) {
  if (segment.seq.in_window(to.next_receive_seq(), to.receive_window_bytes()) &&
      highest_.before(segment.seq))
    highest_ = segment.seq;
}

void LyingPeer::add_sacks(FuzzInput& input, const Connection& to, SegmentIn& segment) const {
  const Sender& sender = to.sender();
  const Seq una = sender.seq_of(sender.una());
  const std::uint64_t outstanding = sender.nxt() - sender.una() + 1;
  for (int blocks = input.byte() % 6; blocks > 0; --blocks) {
    const std::uint8_t kind = input.byte();
    Seq begin = una + input.below(outstanding);
    if (kind & 8) begin = segment.ack + input.byte();  // near its own acknowledgement
    SackBlock block{.begin = begin, .end = begin + 1};
    switch (kind & 7) {
      case 0:  // one byte
        break;
      case 1:
      case 2:
        block.end = begin + sender.mss_bytes();
        break;
      case 3:
        block.end = begin + 1 + input.below(outstanding);
        break;
      case 4:  // to the very end, or beyond
        block.end = sender.seq_of(sender.max()) + (input.byte() & 1U);
        break;
      case 5:  // what was acknowledged already: a duplicate (RFC 2883 §4)
        block = {.begin = segment.ack - 1 - input.word(), .end = segment.ack - (input.byte() & 1U)};
        break;
      case 6:  // empty, or inverted
        block.end = begin - (input.byte() & 1U);
        break;
      default:
        block = {.begin = Seq(input.number()), .end = Seq(input.number())};
        break;
    }
    segment.sacks.add(block);
  }
}

SegmentIn LyingPeer::acknowledgement(FuzzInput& input, const Connection& to) {
  SegmentIn segment = basic(to);
  const Sender& sender = to.sender();
  const std::uint64_t outstanding = sender.max() - sender.una();
  const std::uint8_t how = input.byte();
  switch (how & 7) {
    case 0:
    case 1:  // a duplicate
      break;
    case 2:  // divided
      segment.ack +=
          std::min<std::uint32_t>(1 + (how >> 6), static_cast<std::uint32_t>(outstanding));
      break;
    case 3:  // everything
      segment.ack += static_cast<std::uint32_t>(outstanding);
      break;
    case 4:  // a packet
      segment.ack +=
          static_cast<std::uint32_t>(std::min<std::uint64_t>(sender.mss_bytes(), outstanding));
      break;
    case 5:  // old
      segment.ack = segment.ack - input.word();
      break;
    default:  // up to two more than was sent
      segment.ack += input.below(outstanding + 3);
      break;
  }
  if (how & 8) segment.window = window_ = input.word();
  if (how & 16) add_sacks(input, to, segment);
  segment.flags.ece = (how & 32) != 0;
  segment.flags.cwr = (how & 96) == 96;
  segment.congestion_experienced = (how & 224) == 192;
  if (syn_.timestamps) {
    clock_ += how & 3U;
    segment.timestamps = Timestamps{.value = clock_, .echo = echo(input)};
  }
  return segment;
}

SegmentIn LyingPeer::text(FuzzInput& input, const Connection& to) {
  SegmentIn segment = acknowledgement(input, to);
  segment.seq = segment.seq - (input.byte() & 7U) + (input.byte() & 7U);
  segment.payload_bytes = input.word() % 1500;
  segment.flags.fin = input.byte() < 8;
  note(segment, to);
  return segment;
}

SegmentIn LyingPeer::anything(FuzzInput& input, const Connection& to) {
  SegmentIn segment = text(input, to);
  const std::uint8_t flags = input.byte();
  segment.flags = {.fin = (flags & 1) != 0,
                   .syn = (flags & 2) != 0,
                   .rst = (flags & 4) != 0,
                   .psh = (flags & 8) != 0,
                   .ack = (flags & 16) != 0};
  if (flags & 32) segment.seq = Seq(input.number());
  if (flags & 64) segment.ack = Seq(input.number());
  if (flags & 128) segment.timestamps = Timestamps{.value = input.number(), .echo = 1};
  note(segment, to);
  return segment;
}

SegmentIn LyingPeer::honest(const Connection& to, Position stream_position) {
  SegmentIn segment = basic(to);
  // A window update counts from the furthest that the peer has sent: RFC 9293 §3.10.7.4, SND.WL1.
  if (to.next_receive_seq().before(highest_)) segment.seq = highest_;
  segment.ack = to.sender().seq_of(stream_position);
  segment.window = 65535;
  // TS.Recent may be what somebody else's segment has left there.
  if (syn_.timestamps) segment.timestamps = Timestamps{.value = recent_, .echo = echo_last_};
  return segment;
}

}  // namespace strictsend::test
