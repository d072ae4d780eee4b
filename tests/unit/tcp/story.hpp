// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/transport/tcp/connection.hpp"

namespace strictsend::tcp {

/// How a story begins.
struct StorySetup {
  /// The simplest congestion control, so that windows are easily told.
  Config config{.mss_bytes = 1000,
                .receive_buffer_bytes = 4000,
                .congestion = CongestionAlgorithm::reno,
                .rto_min = milliseconds(200)};
  std::uint32_t peer_window = 65535;
  SynOptions syn_options{.mss = std::uint16_t{1000}};
  bool timestamps = false;
  bool syn_asks_for_ecn = false;
  /// Every story crosses the wrap of the sequence space, unless it chooses otherwise.
  std::uint32_t iss = 0xffff'f000;
  std::uint32_t irs = 0xffff'ff80;
};

/// A story of one connection on virtual time, told from the peer's side. Numbers are relative, as
/// in a capture: the SYN is 0, the first byte of a stream 1. Whatever the connection wants to send
/// goes onto the wire at once, and timers fire on the way to each `at`.
///
///     Story story;                 // SYN, SYN-ACK, ACK at 0 ms
///     story.enqueue(2000);
///     story.expect({"1:1001", "1001:2001 psh"});
///     story.at(50).ack(2001);
///
/// The wire is written "syn-ack", "1:1001" (payload; " psh", " fin" and " again" may follow),
/// "fin 1001", "ack 1" and "rst 1".
class Story {
 public:
  explicit Story(const StorySetup& setup = {});         ///< established at 0 ms
  static Story from_syn(const StorySetup& setup = {});  ///< the SYN has come, no more

  // The clock, in milliseconds since the SYN.
  Story& at(std::int64_t ms);

  // The application.
  Story& enqueue(std::uint64_t bytes);
  Story& finish();
  Story& consume(std::uint32_t bytes);
  Story& abort();

  // The peer. Each sends one segment.
  Story& ack(std::uint64_t number, std::optional<std::uint16_t> window = {});
  using Blocks = std::initializer_list<std::pair<std::uint64_t, std::uint64_t>>;
  Story& sack(std::uint64_t number, Blocks blocks);  ///< SACK blocks, or a D-SACK first
  Story& data(std::uint32_t seq, std::uint32_t bytes);
  Story& fin(std::uint32_t seq, std::uint32_t bytes = 0);
  Story& rst(std::uint32_t seq);
  Story& syn(std::uint32_t seq = 0);
  Story& peer(SegmentIn segment);  ///< anything, with absolute numbers

  /// What the peer would send now; to be bent and given to `peer`.
  [[nodiscard]] SegmentIn template_segment() const;

  // What the story claims.
  void expect(std::initializer_list<const char*> wire);  ///< exactly this was sent since
  void expect_silence() { expect({}); }
  std::vector<SegmentOut> take_wire();
  void without_pump(bool hold) { hold_ = hold; }  ///< the port takes nothing for a while

  [[nodiscard]] Connection& connection() { return connection_; }
  [[nodiscard]] const Connection& connection() const { return connection_; }
  [[nodiscard]] const Outcome& outcome() const { return outcome_; }
  [[nodiscard]] Time now() const { return now_; }
  [[nodiscard]] Seq own(std::uint64_t n) const {
    return Seq(setup_.iss) + static_cast<std::uint32_t>(n);
  }
  [[nodiscard]] Seq peers(std::uint64_t n) const {
    return Seq(setup_.irs) + static_cast<std::uint32_t>(n);
  }

 private:
  struct FromSyn {};
  Story(const StorySetup& setup, FromSyn);
  static SegmentIn syn_of(const StorySetup& setup);
  [[nodiscard]] std::string text_of(const SegmentOut& segment) const;
  void pump();
  void put(const SegmentOut& segment);

  StorySetup setup_;
  Time now_;
  std::unique_ptr<RunPool> runs_;  // stories move
  Connection connection_;
  Outcome outcome_;
  std::deque<SegmentOut> wire_;
  std::uint64_t acked_ = 1;
  std::uint16_t window_ = 0;
  bool hold_ = false;
};

}  // namespace strictsend::tcp
