// SPDX-License-Identifier: Apache-2.0
// Drives a Connection with whatever the input says: a peer that lies, timers, calls of the
// application, a port that takes some segments, cuts some and refuses some, routers with messages
// about packet sizes. The connection asserts its own invariants; here are those that only its user
// can see, those that take too long for the product, and that it always comes to an end.
#include "tests/fuzz/tcp_fuzz.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/assert.hpp"
#include "engine/transport/tcp/step.hpp"
#include "tests/fuzz/fuzz_input.hpp"
#include "tests/fuzz/lying_peer.hpp"

namespace strictsend::test {
namespace {

using namespace tcp;  // NOLINT(google-build-using-namespace): a test of that namespace

/// Of one input: small packets would take too long to bring more across.
constexpr std::uint64_t stream_packets_max = 1000;

bool same(const SegmentOut& a, const SegmentOut& b) {
  return a.seq == b.seq && a.ack == b.ack && a.window == b.window && a.flags == b.flags &&
         a.stream_offset == b.stream_offset && a.payload_bytes == b.payload_bytes &&
         a.timestamps == b.timestamps && a.retransmission == b.retransmission &&
         a.ecn_capable == b.ecn_capable;
}

class Harness {
 public:
  Harness(FuzzInput& input, RunPool& runs)
      : input_(input), runs_(runs), config_(config()), peer_(input), connection_(accept()) {}

  TcpFuzzTrace run() {
    if (input_.byte() % 16 != 0) shake_hands();
    while (!input_.empty()) {
      happen();
      check();
    }
    trace_.closed = closed_;
    drain();
    trace_.acked = acked_to_ > 0;
    trace_.sender = connection_.counters().sender;
    return trace_;
  }

 private:
  Config config() {
    Config config;
    const std::uint8_t kind = input_.byte();
    config.mss_bytes = kind & 1 ? 1460 : 100;
    config.receive_buffer_bytes = kind & 2 ? 300'000 : 1000;
    // Longer than the longest retransmission time-outs, so that an honest peer never seems idle.
    config.idle_timeout = kind & 4 ? seconds(1000) : Duration{};
    config.retries_max = kind & 8 ? 10 : 100;
    config.segment_bytes_max = kind & 16 ? 65'483 : 0;
    config.pacing = (kind & 32) != 0;
    config.ecn = (kind & 64) != 0;
    config.sack = (kind & 128) != 0;
    config.congestion = std::array{CongestionAlgorithm::cubic, CongestionAlgorithm::reno,
                                   CongestionAlgorithm::bbr}[input_.byte() % 3];
    return config;
  }

  Connection accept() {
    const std::uint8_t how = input_.byte();
    const Seq iss(input_.number());
    now_ = Time{input_.number()};
    // One that began with a cookie forgets when its SYN-ACK was sent.
    began_without_state_ = (how & 3) == 3;
    return began_without_state_
               ? Connection::accept_cookie(config_, peer_.syn(), iss, input_.number(), runs_, now_)
               : Connection::accept(config_, peer_.syn(), iss, input_.number(), runs_, now_);
  }

  void shake_hands() {
    pump(0);
    happen(peer_.honest(connection_, 1));
    check();
  }

  void happen() {
    switch (input_.byte() % 20) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
        happen(peer_.acknowledgement(input_, connection_));
        break;
      case 5:
        happen(peer_.text(input_, connection_));
        break;
      case 6:
        if (input_.byte() < 64) happen(peer_.anything(input_, connection_));
        break;
      case 7:
        now_ = now_ + microseconds(input_.word());
        break;
      case 8:
        now_ = now_ + milliseconds(input_.byte());
        break;
      case 9:  // a suspended machine, sometimes for weeks
        now_ = now_ + (input_.byte() < 32 ? seconds(60) : milliseconds(1)) * input_.word();
        break;
      case 10:
        let_timers_fire();
        break;
      case 11:
        happen(TimerFired{});  // before its time, mostly
        break;
      case 12:
        if (now_ >= connection_.release_at()) connection_.released(now_);
        break;
      case 13:
        enqueue(input_.word());
        break;
      case 14:
        if (input_.byte() & 1)
          enqueue(std::uint64_t{16} * input_.word());
        else
          retract();
        break;
      case 15:
        if (unread_ > 0) {
          const std::uint32_t bytes = 1 + input_.below(unread_);
          happen(Consumed{bytes});
          unread_ -= bytes;
        }
        break;
      case 16: {
        const std::uint8_t how = input_.byte();
        if (how < 8) finish();
        if (how == 255) happen(Abort{});
        if (how >= 128 && how < 160) happen(path_mtu());
        break;
      }
      default:
        pump(input_.byte());
        break;
    }
  }
  void happen(const Event& event) { take(step(connection_, event, now_)); }

  void enqueue(std::uint64_t bytes) {
    const std::uint64_t limit = stream_packets_max * connection_.mss_bytes();
    if (finished_ || connection_.stream_end() + bytes > limit) return;
    happen(Enqueue{bytes});
  }
  void retract() {
    const std::uint64_t unsent = connection_.stream_end() - connection_.sent_to();
    if (!finished_ && unsent > 0) happen(Retract{1 + input_.below(unsent)});
  }
  void finish() {
    happen(Finish{});
    finished_ = true;
  }
  PathMtu path_mtu() {
    const Sender& sender = connection_.sender();
    const Seq una = sender.seq_of(sender.una());
    const std::uint64_t outstanding = sender.max() - sender.una() + 1;
    return {.mtu_bytes = input_.word() & 2047U, .quoted = una + input_.below(outstanding)};
  }

  /// Exactly when they are due, however far that is. They must not be due again without anything
  /// to send, or the loop would turn for ever.
  void let_timers_fire() {
    if (connection_.next_deadline() == Time::never()) return;
    now_ = std::max(now_, connection_.next_deadline());
    for (int times = 0; connection_.next_deadline() <= now_; ++times) {
      STRICTSEND_ASSERT(times < 4);
      happen(TimerFired{});
      check();
      if (connection_.next_segment(now_)) return;
    }
  }

  void take(const Outcome& outcome) {
    STRICTSEND_ASSERT(!closed_ ||
                      (!outcome.closed && outcome.deliver_bytes == 0 && !outcome.reply));
    STRICTSEND_ASSERT(!outcome.established || !trace_.established);
    STRICTSEND_ASSERT(!outcome.peer_closed || !trace_.peer_closed);
    STRICTSEND_ASSERT(outcome.closed == (!closed_ && connection_.state() == State::closed));
    STRICTSEND_ASSERT(outcome.deliver_bytes == 0 || !trace_.peer_closed);
    STRICTSEND_ASSERT(outcome.acked_to >= acked_to_ && outcome.acked_to <= sent_to_);
    STRICTSEND_ASSERT(!outcome.reply || outcome.reply->payload_bytes == 0);
    if (outcome.reply) peer_.hear(*outcome.reply);
    trace_.established |= outcome.established;
    trace_.peer_closed |= outcome.peer_closed;
    unread_ += outcome.deliver_bytes;
    STRICTSEND_ASSERT(unread_ <= config_.receive_buffer_bytes);
    trace_.delivered |= outcome.deliver_bytes > 0;
  }

  void send(const SegmentOut& segment) {
    if (segment.payload_bytes > 0)
      sent_to_ = std::max(sent_to_, segment.stream_offset + segment.payload_bytes);
    peer_.hear(segment);
    happen(Sent{segment});
    check();
  }

  /// What a port takes, `how` being its mood.
  void pump(std::uint8_t how) {
    for (int i = 0; i < 1 + (how & 63); ++i) {
      std::optional<SegmentOut> segment = connection_.next_segment(now_);
      if (!segment) return;
      check_segment(*segment);
      trace_.cut |= segment->is_several_packets();
      if (how & 64 && segment->payload_bytes > 1)
        segment->shorten(1 + input_.below(segment->payload_bytes));
      send(*segment);
    }
    if (how & 128) pump_all();
  }
  /// Windows are finite, so it comes to an end. One segment a byte is the worst case.
  bool pump_all() {
    bool any = false;
    for (std::uint64_t rounds = 0; const auto segment = connection_.next_segment(now_); ++rounds) {
      STRICTSEND_ASSERT(rounds <= connection_.stream_end() + 16);
      check_segment(*segment);
      send(*segment);
      any = true;
    }
    return any;
  }

  void check_segment(const SegmentOut& segment) const {
    const std::optional<SegmentOut> again = connection_.next_segment(now_);
    STRICTSEND_ASSERT(again && same(*again, segment));  // asking changes nothing
    const std::uint64_t end = segment.stream_offset + segment.payload_bytes;
    const Sender& sender = connection_.sender();
    STRICTSEND_ASSERT(segment.flags.syn ||
                      segment.seq == sender.seq_of(1 + segment.stream_offset) ||
                      (segment.payload_bytes == 0 && !segment.flags.fin));
    const std::uint32_t mss = connection_.mss_bytes();
    STRICTSEND_ASSERT(segment.mss_bytes == mss);
    // Several packets are whole ones but for the end of the data, and not sent twice together.
    STRICTSEND_ASSERT(!segment.is_several_packets() ||
                      (segment.payload_bytes <= config_.segment_bytes_max && mss >= 512 &&
                       (segment.payload_bytes % mss == 0 || end == connection_.stream_end()) &&
                       !segment.retransmission));
    STRICTSEND_ASSERT(end <= connection_.stream_end());
    STRICTSEND_ASSERT(segment.payload_bytes == 0 ||
                      segment.stream_offset >= connection_.acked_to());
    STRICTSEND_ASSERT(segment.payload_bytes == 0 ||
                      segment.retransmission == (segment.stream_offset < sent_to_));
    // Never more than the peer's window, but for the one byte of a probe.
    STRICTSEND_ASSERT(segment.payload_bytes <= 1 ||
                      end <= connection_.acked_to() + connection_.peer_window_bytes());
    STRICTSEND_ASSERT(!segment.flags.fin || (finished_ && end == connection_.stream_end()));
    STRICTSEND_ASSERT(segment.flags.ack);
    // RFC 3168 §6.1.4 to 6.1.6.
    STRICTSEND_ASSERT(!segment.ecn_capable || (connection_.ecn_on() && !segment.retransmission &&
                                               segment.payload_bytes > 0));
    STRICTSEND_ASSERT(!segment.flags.cwr || (segment.ecn_capable && !segment.is_several_packets()));
  }

  void check() {
    STRICTSEND_ASSERT(connection_.acked_to() >= acked_to_);
    acked_to_ = connection_.acked_to();
    STRICTSEND_ASSERT(acked_to_ <= sent_to_ && sent_to_ == connection_.sent_to() &&
                      sent_to_ <= connection_.stream_end());
    const Sender& sender = connection_.sender();
    const Scoreboard& board = sender.scoreboard();
    sender.check();
    board.check();
    trace_.sacked |= board.sacked_bytes() > 0;
    STRICTSEND_ASSERT(connection_.mss_bytes() > 0 && connection_.mss_bytes() <= config_.mss_bytes);
    closed_ = connection_.state() == State::closed;
    STRICTSEND_ASSERT(closed_ == (connection_.close_reason() != CloseReason::none));
    if (closed_) {
      STRICTSEND_ASSERT(connection_.next_deadline() == Time::never());
      STRICTSEND_ASSERT(!connection_.next_segment(now_));
      return;
    }
    STRICTSEND_ASSERT(connection_.cwnd_bytes() >= connection_.mss_bytes());
    // Nothing may be left waiting for ever: what is outstanding or cannot go has a timer.
    const bool waits = acked_to_ < connection_.stream_end() && trace_.established;
    STRICTSEND_ASSERT(!waits || connection_.next_segment(now_) ||
                      connection_.next_deadline() != Time::never());
  }

  // ---- the honest end ---------------------------------------------------------------------------

  /// What the connection sends arrives, in its order, at a peer that drops what comes early.
  void drain() {
    if (closed_) return;
    finish();
    if (!trace_.established) shake_hands();
    Position arrived = std::max<Position>(connection_.sender().una(), 1);
    bool moved = false;
    const Position last = connection_.stream_end() + 2;
    // A time-out for each packet is the worst that a peer like this can cause.
    const std::uint64_t rounds_max = 20'000 + 20 * stream_packets_max;
    for (std::uint64_t round = 0; !closed_; ++round) {
      STRICTSEND_ASSERT(round < rounds_max);
      const Position before = arrived;
      bool heard = false;
      for (int i = 0; i < 64; ++i) {
        const auto segment = connection_.next_segment(now_);
        if (!segment) break;
        check_segment(*segment);
        send(*segment);
        heard = true;
        arrived = std::max(arrived, end_of(*segment, arrived));
      }
      if (heard || round == 0) {
        moved |= arrived > before;
        SegmentIn answer = peer_.honest(connection_, arrived);
        now_ = now_ + microseconds(100);
        happen(answer);
        check();
      } else if (connection_.sender().una() == last && !trace_.peer_closed) {
        SegmentIn fin = peer_.honest(connection_, arrived);
        fin.seq = connection_.next_receive_seq();
        fin.flags.fin = true;
        happen(fin);
        check();
      } else {
        STRICTSEND_ASSERT(connection_.next_deadline() != Time::never());
        let_timers_fire();
        check();
      }
    }
    trace_.drained = connection_.close_reason() == CloseReason::finished;
    // Who has come across once gets it all; before that it may have had its last retry behind it,
    // or too little progress for too long.
    if (moved && connection_.close_reason() != CloseReason::slow)
      STRICTSEND_ASSERT(trace_.drained && acked_to_ == connection_.stream_end());
  }

  [[nodiscard]] Position end_of(const SegmentOut& segment, Position arrived) const {
    const Position begin = segment.flags.syn ? 0 : segment.stream_offset + 1;
    const Position end = begin + segment.payload_bytes + (segment.flags.fin ? 1U : 0U);
    return begin <= arrived ? end : arrived;
  }

  FuzzInput& input_;
  RunPool& runs_;
  const Config config_;
  LyingPeer peer_;
  Time now_;
  bool began_without_state_ = false;
  Connection connection_;
  TcpFuzzTrace trace_;
  std::uint64_t acked_to_ = 0;
  std::uint64_t sent_to_ = 0;
  std::uint32_t unread_ = 0;
  bool finished_ = false;
  bool closed_ = false;
};

}  // namespace

TcpFuzzTrace fuzz_tcp(std::span<const std::byte> bytes) {
  FuzzInput input(bytes);
  // From plenty for any window to what is reserved alone.
  const std::uint32_t shared = std::array{1016U, 64U, 0U}[input.byte() % 3];
  RunPool runs(1, shared);
  const std::uint32_t whole = runs.free_count();
  const TcpFuzzTrace trace = Harness(input, runs).run();
  STRICTSEND_ASSERT(runs.free_count() == whole && runs.shared_free() == shared);
  return trace;
}

}  // namespace strictsend::test

#ifdef STRICTSEND_LIBFUZZER
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  strictsend::test::fuzz_tcp(std::as_bytes(std::span(data, size)));
  return 0;
}
#endif
