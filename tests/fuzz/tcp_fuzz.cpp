// SPDX-License-Identifier: Apache-2.0
// Drives a Connection with whatever the input says: segments near and far from what it expects,
// timers, calls of the application, a port that takes some segments, cuts some and refuses some.
// The connection asserts its own invariants; those that only its user can see are asserted here.
#include "tests/fuzz/tcp_fuzz.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/assert.hpp"
#include "engine/transport/tcp/connection.hpp"

namespace strictsend::test {
namespace {

using namespace tcp;  // NOLINT(google-build-using-namespace): a test of that namespace

class Input {
 public:
  explicit Input(std::span<const std::byte> bytes) : left_(bytes) {}
  [[nodiscard]] bool empty() const { return left_.empty(); }
  std::uint8_t byte() {
    if (left_.empty()) return 0;
    const auto value = static_cast<std::uint8_t>(left_.front());
    left_ = left_.subspan(1);
    return value;
  }
  std::uint16_t word() { return static_cast<std::uint16_t>(byte() << 8 | byte()); }
  std::uint32_t number() { return std::uint32_t{word()} << 16 | word(); }

 private:
  std::span<const std::byte> left_;
};

class Harness {
 public:
  explicit Harness(Input& input) : input_(input), connection_(accept()) {}

  TcpFuzzTrace run() {
    while (!input_.empty()) {
      step();
      check();
    }
    const ConnectionCounters counters = connection_.counters();
    return {.established = established_,
            .peer_closed = peer_closed_,
            .closed = closed_,
            .acked = acked_to_ > 0,
            .delivered = delivered_,
            .timed_out_once = counters.sender.rto_fires > 0,
            .recovered_fast = counters.sender.fast_retransmits > 0,
            .probed = counters.sender.window_probes > 0,
            .cut = cut_};
  }

 private:
  Connection accept() {
    Config config;
    const std::uint8_t kind = input_.byte();
    config.mss_bytes = kind & 1 ? 1460 : 100;
    config.receive_buffer_bytes = kind & 2 ? 300'000 : 1000;
    config.idle_timeout = kind & 4 ? seconds(60) : Duration{};
    config.retries_max = kind & 8 ? 10 : 100;
    config.segment_bytes_max = segment_bytes_max_ = kind & 128 ? 65'483 : 0;
    SegmentIn syn;
    syn.seq = peer_ = Seq(input_.number());
    syn.flags.syn = true;
    syn.window = input_.word();
    if (kind & 16) syn.syn_options.mss = input_.word();
    if (kind & 32) syn.syn_options.window_scale = input_.byte();
    if (kind & 64) syn.timestamps = Timestamps{.value = input_.number(), .echo = 0};
    timestamps_ = syn.timestamps.has_value();
    peer_timestamp_ = syn.timestamps ? syn.timestamps->value : 0;
    iss_ = Seq(input_.number());
    return Connection::accept(config, syn, iss_, input_.number(), runs_, now_);
  }

  void step() {
    switch (input_.byte() % 16) {
      case 0:
      case 1:
      case 2:
        take(connection_.on_segment(acknowledgement(), now_));
        break;
      case 3:
        take(connection_.on_segment(text(), now_));
        break;
      case 4:
        take(connection_.on_segment(anything(), now_));
        break;
      case 5:
        now_ = now_ + microseconds(input_.word());
        break;
      case 6:
        now_ = now_ + milliseconds(input_.word());
        break;
      case 7: {  // exactly the deadline, however far
        if (connection_.next_deadline() == Time::never()) break;
        now_ = std::max(now_, connection_.next_deadline());
        take(connection_.on_timer(now_));
        break;
      }
      case 8:
        take(connection_.on_timer(now_));
        break;
      case 9:
        if (!finished_) connection_.enqueue(input_.word());
        break;
      case 10: {
        const bool fin_may_be_out = finished_;
        const std::uint64_t unsent = connection_.stream_end() - connection_.sent_to();
        if (!fin_may_be_out && unsent > 0) connection_.retract(1 + input_.word() % unsent);
        break;
      }
      case 11:
        if (unread_ > 0) {
          const std::uint32_t bytes = 1 + input_.word() % unread_;
          connection_.consumed(bytes);
          unread_ -= bytes;
        }
        break;
      case 12:
        if (input_.byte() < 40) {
          connection_.finish();
          finished_ = true;
        }
        break;
      case 13:
        if (input_.byte() == 0) connection_.abort(now_);
        break;
      default:
        pump(input_.byte());
        break;
    }
  }

  SegmentIn from_peer() {
    SegmentIn segment;
    segment.seq = connection_.next_receive_seq();
    segment.ack = iss_ + static_cast<std::uint32_t>(1 + connection_.acked_to());
    segment.flags.ack = true;
    segment.window = input_.word();
    if (timestamps_) {
      peer_timestamp_ += input_.byte() & 3U;
      segment.timestamps = Timestamps{.value = peer_timestamp_, .echo = input_.number()};
    }
    return segment;
  }
  SegmentIn acknowledgement() {
    SegmentIn segment = from_peer();
    const std::uint64_t outstanding = connection_.sent_to() - connection_.acked_to();
    // Up to two more than was sent: the FIN, and what never was.
    segment.ack += static_cast<std::uint32_t>(input_.word() % (outstanding + 3));
    if (input_.byte() & 1) segment.window = last_window_;
    last_window_ = segment.window;
    return segment;
  }
  SegmentIn text() {
    SegmentIn segment = acknowledgement();
    segment.seq = segment.seq - (input_.byte() & 7U) + (input_.byte() & 7U);
    segment.payload_bytes = input_.word();
    segment.flags.fin = input_.byte() < 16;
    return segment;
  }
  SegmentIn anything() {
    SegmentIn segment = text();
    const std::uint8_t flags = input_.byte();
    segment.flags = {.fin = (flags & 1) != 0,
                     .syn = (flags & 2) != 0,
                     .rst = (flags & 4) != 0,
                     .psh = (flags & 8) != 0,
                     .ack = (flags & 16) != 0};
    if (flags & 32) segment.seq = Seq(input_.number());
    if (flags & 64) segment.ack = Seq(input_.number());
    if (flags & 128) segment.timestamps = Timestamps{.value = input_.number(), .echo = 1};
    const std::optional<SegmentOut> reset = reset_for(segment);
    STRICTSEND_ASSERT(reset.has_value() != segment.flags.rst);
    return segment;
  }

  void take(const Outcome& outcome) {
    STRICTSEND_ASSERT(!closed_ ||
                      (!outcome.closed && outcome.deliver_bytes == 0 && !outcome.reply));
    STRICTSEND_ASSERT(!outcome.established || !established_);
    STRICTSEND_ASSERT(!outcome.peer_closed || !peer_closed_);
    STRICTSEND_ASSERT(outcome.closed == (!closed_ && connection_.state() == State::closed));
    STRICTSEND_ASSERT(outcome.deliver_bytes == 0 || !peer_closed_);
    STRICTSEND_ASSERT(outcome.acked_to >= acked_to_);
    STRICTSEND_ASSERT(!outcome.reply || outcome.reply->payload_bytes == 0);
    established_ |= outcome.established;
    peer_closed_ |= outcome.peer_closed;
    unread_ += outcome.deliver_bytes;
    delivered_ |= outcome.deliver_bytes > 0;
  }

  void pump(std::uint8_t how) {
    for (int i = 0; i < 1 + (how & 63); ++i) {
      std::optional<SegmentOut> segment = connection_.next_segment(now_);
      if (!segment) return;
      check_segment(*segment);
      cut_ |= segment->is_several_packets();
      if (how & 64 && segment->payload_bytes > 1)
        segment->shorten(1 + input_.word() % segment->payload_bytes);
      connection_.sent(*segment, now_);
      check();
    }
    // It must come to an end: windows are finite. One segment a byte is the worst case.
    if (how & 128) {
      std::uint64_t rounds = 0;
      while (const std::optional<SegmentOut> segment = connection_.next_segment(now_)) {
        connection_.sent(*segment, now_);
        STRICTSEND_ASSERT(++rounds < (std::uint64_t{1} << 24));
      }
    }
  }

  void check_segment(const SegmentOut& segment) const {
    const std::uint64_t end = segment.stream_offset + segment.payload_bytes;
    STRICTSEND_ASSERT(segment.flags.syn ||
                      segment.seq == iss_ + static_cast<std::uint32_t>(1 + segment.stream_offset) ||
                      (segment.payload_bytes == 0 && !segment.flags.fin));
    const std::uint32_t mss = connection_.mss_bytes();
    STRICTSEND_ASSERT(segment.mss_bytes == mss);
    // Several packets are whole ones but for the end of the data, and not sent twice together.
    STRICTSEND_ASSERT(!segment.is_several_packets() ||
                      (segment.payload_bytes <= segment_bytes_max_ && mss >= 512 &&
                       (segment.payload_bytes % mss == 0 || end == connection_.stream_end()) &&
                       !segment.retransmission));
    STRICTSEND_ASSERT(end <= connection_.stream_end());
    STRICTSEND_ASSERT(segment.payload_bytes == 0 ||
                      segment.stream_offset >= connection_.acked_to());
    // Never more than the peer's window, but for the one byte of a probe.
    STRICTSEND_ASSERT(segment.payload_bytes <= 1 ||
                      end <= connection_.acked_to() + connection_.peer_window_bytes());
    STRICTSEND_ASSERT(!segment.flags.fin || (finished_ && end == connection_.stream_end()));
    STRICTSEND_ASSERT(segment.flags.ack);
  }

  void check() {
    STRICTSEND_ASSERT(connection_.acked_to() >= acked_to_);
    acked_to_ = connection_.acked_to();
    STRICTSEND_ASSERT(acked_to_ <= connection_.sent_to() &&
                      connection_.sent_to() <= connection_.stream_end());
    closed_ = connection_.state() == State::closed;
    STRICTSEND_ASSERT(closed_ == (connection_.close_reason() != CloseReason::none));
    if (closed_) {
      STRICTSEND_ASSERT(connection_.next_deadline() == Time::never());
      STRICTSEND_ASSERT(!connection_.next_segment(now_));
      return;
    }
    // Nothing may be left waiting for ever: what is outstanding or cannot go has a timer.
    const bool waits = connection_.acked_to() < connection_.stream_end() && established_;
    STRICTSEND_ASSERT(!waits || connection_.next_segment(now_) ||
                      connection_.next_deadline() != Time::never());
  }

  Input& input_;
  Time now_;
  Seq peer_;
  Seq iss_;
  bool timestamps_ = false;
  std::uint32_t peer_timestamp_ = 0;
  std::uint16_t last_window_ = 0;
  std::uint32_t segment_bytes_max_ = 0;
  RunPool runs_{1, 64};
  Connection connection_;
  std::uint64_t acked_to_ = 0;
  std::uint32_t unread_ = 0;
  bool established_ = false;
  bool peer_closed_ = false;
  bool finished_ = false;
  bool closed_ = false;
  bool delivered_ = false;
  bool cut_ = false;
};

}  // namespace

TcpFuzzTrace fuzz_tcp(std::span<const std::byte> bytes) {
  Input input(bytes);
  return Harness(input).run();
}

}  // namespace strictsend::test

#ifdef STRICTSEND_LIBFUZZER
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  strictsend::test::fuzz_tcp(std::as_bytes(std::span(data, size)));
  return 0;
}
#endif
