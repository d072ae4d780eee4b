// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/scoreboard_fuzz.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <optional>

#include "base/assert.hpp"
#include "engine/transport/tcp/scoreboard.hpp"
#include "tests/fuzz/fuzz_input.hpp"

namespace strictsend::test {
namespace {

using namespace tcp;  // NOLINT(google-build-using-namespace): a test of that namespace

constexpr std::uint32_t window_bytes_max = 200;

/// One byte of the stream, as a scoreboard without limits would have it.
struct Byte {
  RunState state = RunState::in_flight;
  Time sent_at;
  bool retransmitted = false;
  bool limited = false;
  /// It was lost and found again: what is lost together may have been joined, so when it was sent
  /// is known no better than the whole.
  bool blurred = false;
};

class Model {
 public:
  [[nodiscard]] Position una() const { return una_; }
  [[nodiscard]] Position nxt() const { return una_ + bytes_.size(); }
  [[nodiscard]] bool empty() const { return bytes_.empty(); }
  Byte& at(Position position) { return bytes_[position - una_]; }
  void append(std::uint32_t count, const Byte& byte) { bytes_.insert(bytes_.end(), count, byte); }
  void pop() {
    bytes_.pop_front();
    ++una_;
  }
  void clear() {
    una_ = nxt();
    bytes_.clear();
  }
  [[nodiscard]] std::uint32_t count(RunState state) const {
    return static_cast<std::uint32_t>(std::ranges::count(bytes_, state, &Byte::state));
  }
  [[nodiscard]] std::optional<Position> first(RunState state) const {
    const auto found = std::ranges::find(bytes_, state, &Byte::state);
    if (found == bytes_.end()) return std::nullopt;
    return una_ + static_cast<Position>(found - bytes_.begin());
  }
  template <class Do>
  void each(Do&& action) {
    for (Byte& byte : bytes_)
      action(byte);
  }

 private:
  Position una_ = 1;
  std::deque<Byte> bytes_;
};

class Harness {
 public:
  Harness(FuzzInput& input, RunPool& pool, bool starving)
      : input_(input), starving_(starving), board_(pool) {}

  ScoreboardFuzzTrace run() {
    while (!input_.empty()) {
      happen();
      check();
    }
    ack_to(model_.nxt());
    check();
    STRICTSEND_ASSERT(board_.empty());
    return trace_;
  }

 private:
  void happen() {
    switch (input_.byte() % 16) {
      case 0:
      case 1:
      case 2:
        send_new();
        break;
      case 3:
      case 4:
        send_lost_again();
        break;
      case 5:
        send_tail_again();
        break;
      case 6:
        ack_to(model_.una() + input_.below(model_.nxt() - model_.una() + 1));
        break;
      case 7:
      case 8:
      case 9:
        sack();
        break;
      case 10:
        lose_until(Time{now_.ns - input_.byte() % 16});
        break;
      case 11:
        lose_head(1 + input_.byte() % 32U);
        break;
      case 12:
        now_ = now_ + nanoseconds(1 + input_.byte() % 4);
        break;
      case 13:
        board_.join_lost();
        break;
      default:
        seldom(input_.byte());
        break;
    }
  }

  void seldom(std::uint8_t what) {
    if (what < 24) {
      const std::uint32_t expected = model_.count(RunState::in_flight);
      STRICTSEND_ASSERT(board_.lose_all() == expected || starving_);
      lose_bytes([](const Byte&) { return true; });
    } else if (what < 48) {
      trace_.forgotten |= board_.sacked_bytes() > 0;
      board_.forget_sacks();
      model_.each([](Byte& byte) {
        if (byte.state == RunState::sacked) byte.state = RunState::lost;
      });
      take_over_states();
    } else if (what < 72) {
      trace_.unlost |= board_.lost_bytes() > 0;
      board_.unlose();
      model_.each([](Byte& byte) {
        byte.blurred |= byte.state == RunState::lost;
        if (byte.state == RunState::lost) byte.state = RunState::in_flight;
      });
    } else if (what < 76) {
      board_.clear();
      model_.clear();
    } else if (what < 80) {
      Scoreboard moved(std::move(board_));
      moved.check();
      STRICTSEND_ASSERT(board_.empty() && board_.in_flight_bytes() == 0);
      moved.clear();
      model_.clear();
    }
  }

  void send_new() {
    const std::uint32_t bytes = 1 + input_.byte() % 20U;
    if (model_.nxt() - model_.una() + bytes > window_bytes_max) return;
    if (!board_.has_room()) {
      STRICTSEND_ASSERT(starving_);
      trace_.starved = true;
      return;
    }
    const std::uint8_t how = input_.byte();
    const Byte byte{.sent_at = now_, .retransmitted = (how & 7) == 0, .limited = (how & 24) == 0};
    board_.sent_new(model_.nxt(), bytes, {.sent_at = now_}, byte.limited, byte.retransmitted);
    model_.append(bytes, byte);
  }

  void sent_again(Position begin, std::uint32_t bytes) {
    board_.sent_again(begin, bytes, {.sent_at = now_});
    trace_.sent_again = true;
    for (Position at = begin; at < begin + bytes; ++at)
      model_.at(at) = {.sent_at = now_, .retransmitted = true};
    take_over_states();
  }
  void send_lost_again() {
    const Run* run = board_.first_lost();
    if (run != nullptr) sent_again(run->begin, 1 + input_.below(run->bytes));
  }
  void send_tail_again() {
    const Run* run = board_.tail();
    if (run == nullptr || run->state != RunState::in_flight) return;
    const std::uint32_t bytes = 1 + input_.below(run->bytes);
    sent_again(run->end() - bytes, bytes);
  }

  void ack_to(Position position) {
    Position expected = model_.una();
    board_.ack_to(position, [&](const Run& piece, bool was_sacked) {
      STRICTSEND_ASSERT(piece.begin == expected && piece.bytes > 0);
      for (; expected < piece.end(); ++expected) {
        const Byte& byte = model_.at(expected);
        const bool sacked = byte.state == RunState::sacked;
        STRICTSEND_ASSERT(was_sacked == sacked || (starving_ && sacked));
        if (!was_sacked) expect_like(piece, byte);
      }
    });
    STRICTSEND_ASSERT(expected == position);
    while (model_.una() < position)
      model_.pop();
  }

  void sack() {
    if (model_.empty()) return;
    const Position begin = model_.una() + input_.below(model_.nxt() - model_.una());
    const Position end =
        std::min<Position>(model_.nxt(), begin + 1 + (input_.byte() < 64 ? 0 : input_.byte() % 40));
    Position reached = begin;
    board_.sack(begin, end, [&](const Run& news) {
      STRICTSEND_ASSERT(news.begin >= reached && news.end() <= end && news.bytes > 0);
      for (reached = news.begin; reached < news.end(); ++reached) {
        Byte& byte = model_.at(reached);
        STRICTSEND_ASSERT(byte.state != RunState::sacked);
        expect_like(news, byte);
        byte.state = RunState::sacked;
      }
    });
    trace_.sacked |= board_.sacked_bytes() > 0;
    // What was not told is known, or there was no run to tell it with.
    for (Position at = begin; at < end; ++at)
      STRICTSEND_ASSERT(model_.at(at).state == RunState::sacked || starving_);
  }

  void lose_until(Time sent_at) {
    const std::uint32_t before = board_.lost_bytes();
    // Oldest first, but for what was found again; so nobody judges younger ones by their place.
    const std::uint32_t bytes =
        board_.mark_lost([](const Run&) { return true; },
                         [&](const Run& run) { return run.stamp.sent_at <= sent_at; });
    STRICTSEND_ASSERT(board_.lost_bytes() == before + bytes);
    lose_bytes([&](const Byte& byte) { return byte.sent_at <= sent_at; });
  }
  void lose_head(std::uint32_t bytes) {
    const bool loses = !model_.empty() && model_.at(model_.una()).state == RunState::in_flight;
    const std::uint32_t lost = board_.lose_head(bytes);
    STRICTSEND_ASSERT(loses == (lost > 0) && (lost <= bytes || starving_));
    for (Position at = model_.una(); at < model_.una() + lost; ++at)
      model_.at(at).state = RunState::lost;
    take_over_states();
  }
  template <class Lost>
  void lose_bytes(Lost&& lost) {
    model_.each([&](Byte& byte) {
      if (byte.state == RunState::in_flight && !byte.blurred && lost(byte))
        byte.state = RunState::lost;
    });
    take_over_states();
  }

  /// Where boundaries may be forgotten, and of bytes whose time is blurred, the scoreboard's word
  /// on what is lost is taken: both will be sent again, or have been.
  void take_over_states() {
    trace_.lost |= board_.lost_bytes() > 0;
    Position expected = model_.una();
    board_.each([&](const Run& run) {
      STRICTSEND_ASSERT(run.begin == expected);
      for (; expected < run.end(); ++expected) {
        Byte& byte = model_.at(expected);
        const bool open = byte.state != RunState::sacked && run.state != RunState::sacked;
        if (open && (byte.blurred || starving_)) byte.state = run.state;
      }
    });
  }

  void expect_like(const Run& run, const Byte& byte) const {
    // Joined, or joined for want of a run: sent as often and as late as any of its bytes.
    STRICTSEND_ASSERT(run.retransmitted || !byte.retransmitted);
    if (byte.state != RunState::in_flight || byte.blurred) return;
    STRICTSEND_ASSERT(run.stamp.sent_at >= byte.sent_at);
    if (starving_) return;
    STRICTSEND_ASSERT(run.stamp.sent_at == byte.sent_at);
    STRICTSEND_ASSERT(run.retransmitted == byte.retransmitted);
    STRICTSEND_ASSERT(run.application_limited == byte.limited);
  }

  void check() {
    board_.check();
    Position expected = model_.una();
    board_.each([&](const Run& run) {
      STRICTSEND_ASSERT(run.begin == expected);
      for (; expected < run.end(); ++expected) {
        const Byte& byte = model_.at(expected);
        // Never arrived for who has not; without a run for the boundary, not yet for who has.
        STRICTSEND_ASSERT(run.state == byte.state || (starving_ && byte.state == RunState::sacked));
        if (run.state == RunState::in_flight && byte.state == run.state) expect_like(run, byte);
      }
    });
    STRICTSEND_ASSERT(expected == model_.nxt());
    STRICTSEND_ASSERT(board_.in_flight_bytes() + board_.sacked_bytes() + board_.lost_bytes() ==
                      model_.nxt() - model_.una());
    if (starving_) return;
    STRICTSEND_ASSERT(board_.sacked_bytes() == model_.count(RunState::sacked));
    STRICTSEND_ASSERT(board_.lost_bytes() == model_.count(RunState::lost));
    const Run* lost = board_.first_lost();
    STRICTSEND_ASSERT((lost == nullptr ? std::nullopt : std::optional(lost->begin)) ==
                      model_.first(RunState::lost));
  }

  FuzzInput& input_;
  const bool starving_;
  Time now_{1000};
  Scoreboard board_;
  Model model_;
  ScoreboardFuzzTrace trace_;
};

}  // namespace

ScoreboardFuzzTrace fuzz_scoreboard(std::span<const std::byte> bytes) {
  FuzzInput input(bytes);
  const bool starving = input.byte() % 2 != 0;
  // Another connection may hold what is shared, or part of it.
  const std::uint32_t shared = starving ? input.byte() % 16 : window_bytes_max;
  RunPool pool(1, shared);
  const std::uint32_t whole = pool.free_count();
  const ScoreboardFuzzTrace trace = Harness(input, pool, starving).run();
  STRICTSEND_ASSERT(pool.free_count() == whole && pool.shared_free() == shared);
  return trace;
}

}  // namespace strictsend::test

#ifdef STRICTSEND_LIBFUZZER
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  strictsend::test::fuzz_scoreboard(std::as_bytes(std::span(data, size)));
  return 0;
}
#endif
