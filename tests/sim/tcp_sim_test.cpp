// SPDX-License-Identifier: Apache-2.0
// A Connection against a model of a receiver over a pipe that loses, delays, reorders and
// duplicates, in virtual time. Everything is drawn from one seed; a failure prints the line that
// repeats it.
#include <cstdlib>
#include <functional>
#include <iostream>
#include <queue>
#include <random>

#include <gtest/gtest.h>

#include "engine/transport/tcp/connection.hpp"
#include "tests/sim/tcp_peer.hpp"

namespace strictsend::tcp {
namespace {

struct PipeSetup {
  double loss = 0;
  double duplication = 0;
  double reordering = 0;  ///< so many are held back by up to `jitter`
  Duration delay = milliseconds(50);
  Duration jitter = milliseconds(30);
};

struct TransferSetup {
  PipeSetup pipe;
  PeerSetup peer;
  Config config;
  std::uint32_t iss = 0;
  std::uint64_t response_bytes = 0;
  double shortening = 0;  ///< so many segments are cut, as at a page boundary
  double port_full = 0;   ///< so often the port takes nothing for a millisecond
};

struct TransferResult {
  std::string failure;
  Duration took;
  ConnectionCounters counters;
  std::uint64_t segments_cut = 0;
};

class Transfer {
 public:
  Transfer(const TransferSetup& setup, std::uint64_t seed)
      : setup_(setup), peer_(setup.peer), random_(seed) {}

  TransferResult run() {
    from_peer(peer_.start(now_));
    later(now_ + milliseconds(20), [this] { reader(); });
    for (int steps = 0; failure_.empty() && !done(); ++steps) {
      if (steps > 3'000'000) failure_ = "it does not end";
      step();
      if (failure_.empty()) failure_ = peer_.complaint();
    }
    if (failure_.empty()) check_the_end();
    TransferResult result{.failure = failure_, .took = now_ - Time{}, .segments_cut = cut_};
    if (server_) result.counters = server_->counters();
    return result;
  }

 private:
  struct Event {
    Time at;
    std::uint64_t order;
    std::function<void()> action;
    bool operator<(const Event& other) const {
      return at != other.at ? at > other.at : order > other.order;
    }
  };

  bool chance(double probability) {
    return std::uniform_real_distribution<double>(0, 1)(random_) < probability;
  }
  Duration up_to(Duration limit) {
    return Duration{std::uniform_int_distribution<std::int64_t>(0, limit.ns)(random_)};
  }
  void later(Time at, std::function<void()> action) {
    events_.push(Event{at, order_++, std::move(action)});
  }
  void through_the_pipe(const std::function<void()>& arrival) {
    const PipeSetup& pipe = setup_.pipe;
    for (int copies = chance(pipe.duplication) ? 2 : 1; copies > 0; --copies) {
      if (chance(pipe.loss)) continue;
      const Duration held = chance(pipe.reordering) ? up_to(pipe.jitter) : Duration{};
      later(now_ + pipe.delay + held, arrival);
    }
  }
  void from_peer(const std::vector<SegmentIn>& segments) {
    for (const SegmentIn& segment : segments)
      through_the_pipe([this, segment] { at_server(segment); });
  }
  /// Cut into packets as a device does, each with a fate of its own.
  void to_peer(const SegmentOut& segment) {
    if (segment.is_several_packets()) ++cut_;
    SegmentOut rest = segment;
    do {
      SegmentOut packet = rest;
      packet.shorten(segment.mss_bytes);
      rest.seq = rest.seq + packet.payload_bytes;
      rest.stream_offset += packet.payload_bytes;
      rest.payload_bytes -= packet.payload_bytes;
      through_the_pipe([this, packet] { from_peer(peer_.receive(packet, now_)); });
    } while (rest.payload_bytes > 0);
  }

  void at_server(const SegmentIn& segment) {
    if (!server_) {
      if (!segment.flags.syn) return;
      server_.emplace(
          Connection::accept(setup_.config, segment, Seq(setup_.iss), 12345, runs_, now_));
    } else {
      take(server_->on_segment(segment, now_));
    }
  }
  void take(const Outcome& outcome) {
    if (outcome.reply) to_peer(*outcome.reply);
    if (outcome.acked_to < acked_to_) failure_ = "acked_to went back";
    acked_to_ = outcome.acked_to;
    delivered_ += outcome.deliver_bytes;
    unread_ += outcome.deliver_bytes;
    if (unread_ > 0 && chance(0.5)) {
      server_->consumed(unread_);
      unread_ = 0;
    }
    if (delivered_ == setup_.peer.request_bytes && !answered_ &&
        server_->state() != State::closed) {
      answered_ = true;
      server_->enqueue(setup_.response_bytes, now_);
      server_->finish(now_);
    }
  }
  void pump() {
    if (!server_ || now_ < port_full_until_) return;
    while (std::optional<SegmentOut> segment = server_->next_segment(now_)) {
      if (chance(setup_.port_full)) {
        port_full_until_ = now_ + milliseconds(1);
        later(port_full_until_, [] {});
        return;
      }
      if (segment->payload_bytes > 1 && chance(setup_.shortening))
        segment->shorten(1 + static_cast<std::uint32_t>(random_() % segment->payload_bytes));
      server_->sent(*segment, now_);
      to_peer(*segment);
    }
  }
  void reader() {
    from_peer(peer_.read(now_));
    if (server_ && unread_ > 0 && server_->state() != State::closed) {
      server_->consumed(unread_);
      unread_ = 0;
    }
    const bool pause = setup_.peer.reads_slowly && chance(0.05);
    later(now_ + (pause ? seconds(5) : milliseconds(20)), [this] { reader(); });
  }
  void step() {
    const Time server_at = server_ ? server_->next_deadline() : Time::never();
    const Time at = std::min({events_.top().at, server_at, peer_.deadline()});
    now_ = std::max(now_, at);
    if (events_.top().at <= now_) {
      const Event event = events_.top();
      events_.pop();
      event.action();
    } else if (peer_.deadline() <= now_) {
      from_peer(peer_.on_timer(now_));
    } else {
      take(server_->on_timer(now_));
    }
    pump();
  }

  bool done() const { return server_ && server_->state() == State::closed; }
  void check_the_end() {
    if (server_->close_reason() != CloseReason::finished) {
      failure_ = "ended with reason " + std::to_string(static_cast<int>(server_->close_reason())) +
                 " after " + std::to_string(acked_to_) + " bytes";
    } else if (peer_.received_bytes() != setup_.response_bytes || !peer_.got_fin()) {
      failure_ = "the peer has " + std::to_string(peer_.received_bytes()) + " bytes";
    } else if (server_->acked_to() != setup_.response_bytes) {
      failure_ = "acknowledged " + std::to_string(server_->acked_to()) + " bytes";
    } else if (delivered_ != setup_.peer.request_bytes) {
      failure_ = "request of " + std::to_string(delivered_) + " bytes";
    } else if (peer_.was_reset()) {
      failure_ = "the peer was reset";
    }
  }

  TransferSetup setup_;
  Time now_;
  RunPool runs_{1, 256};
  std::optional<Connection> server_;
  TcpPeer peer_;
  std::mt19937_64 random_;
  std::priority_queue<Event> events_;
  std::uint64_t order_ = 0;
  std::uint64_t acked_to_ = 0;
  std::uint64_t delivered_ = 0;
  std::uint32_t unread_ = 0;
  bool answered_ = false;
  Time port_full_until_;
  std::uint64_t cut_ = 0;
  std::string failure_;
};

/// Draws what the scenario leaves open.
TransferSetup draw(TransferSetup setup, std::uint64_t seed) {
  std::mt19937_64 random(seed ^ 0x9e37'79b9'7f4a'7c15);
  const auto one_in = [&random](unsigned n) { return random() % n == 0; };
  // Close to the wrap half of the time, so that transfers cross it.
  setup.iss = static_cast<std::uint32_t>(one_in(2) ? random() : -(random() % 200'000));
  setup.peer.iss = static_cast<std::uint32_t>(one_in(2) ? random() : -(random() % 500));
  setup.peer.timestamps = one_in(2);
  setup.peer.sack_permitted = one_in(2);
  setup.peer.reneges = one_in(8);
  setup.peer.closes_first = one_in(4);
  setup.peer.request_bytes = 1 + static_cast<std::uint32_t>(random() % (one_in(4) ? 6000 : 300));
  setup.peer.mss_bytes = one_in(4) ? 536 : 1460;
  if (one_in(2)) {
    setup.peer.window_scale = static_cast<std::uint8_t>(1 + random() % 9);
    setup.peer.buffer_bytes = 300'000;
  }
  setup.config.receive_buffer_bytes = one_in(3) ? 2048 : 16384;
  if (one_in(2)) setup.config.segment_bytes_max = one_in(2) ? 65'483 : 4000;
  return setup;
}

class TcpSim : public ::testing::Test {
 protected:
  /// Runs the scenario with every seed, or with the one of STRICTSEND_SEED alone.
  static void run(const TransferSetup& scenario, std::uint64_t seeds) {
    std::uint64_t first = 1;
    if (const char* chosen = std::getenv("STRICTSEND_SEED")) {  // NOLINT(concurrency-mt-unsafe)
      first = std::strtoull(chosen, nullptr, 10);
      seeds = 1;
    }
    std::uint64_t retransmissions = 0, timeouts = 0, recoveries = 0, probes = 0, cut = 0;
    std::uint64_t tail_probes = 0, undone = 0;
    std::int64_t took_ms = 0;
    for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
      const TransferResult result = Transfer(draw(scenario, seed), seed).run();
      const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
      ASSERT_EQ(result.failure, "")
          << "repeat it: STRICTSEND_SEED=" << seed
          << " tcp_sim_test --gtest_filter=" << test->test_suite_name() << "." << test->name();
      retransmissions += result.counters.sender.retransmissions;
      timeouts += result.counters.sender.rto_fires;
      recoveries += result.counters.sender.fast_retransmits;
      probes += result.counters.sender.window_probes;
      cut += result.segments_cut;
      tail_probes += result.counters.sender.tail_loss_probes;
      undone += result.counters.sender.undone;
      took_ms += result.took.ns / 1'000'000;
    }
    std::cout << seeds << " transfers of " << scenario.response_bytes
              << " bytes: " << took_ms / static_cast<std::int64_t>(seeds) << " ms each, "
              << retransmissions << " retransmissions, " << timeouts << " timeouts, " << recoveries
              << " fast recoveries, " << probes << " probes, " << cut << " segments cut, "
              << tail_probes << " tail loss probes, " << undone << " undone\n";
    if (scenario.response_bytes > 0 && seeds > 1) {
      EXPECT_GT(cut, 0U);
    }
    if (scenario.pipe.loss > 0 && seeds > 1) {
      EXPECT_GT(timeouts, 0U);
      if (scenario.response_bytes > 0) {
        EXPECT_GT(recoveries, 0U);
      }
    }
    if (scenario.pipe.loss == 0 && scenario.pipe.reordering == 0) {
      EXPECT_EQ(retransmissions, 0U);
    }
    if (scenario.peer.reads_slowly && seeds > 1) {
      EXPECT_GT(probes, 0U);
    }
  }
};

TEST_F(TcpSim, perfect_path) {
  run({.response_bytes = 1'000'000}, 50);
}

TEST_F(TcpSim, five_percent_loss_fifty_ms_delay_and_reordering) {
  run({.pipe = {.loss = 0.05, .duplication = 0.01, .reordering = 0.1}, .response_bytes = 300'000},
      400);
}

TEST_F(TcpSim, twenty_percent_loss) {
  TransferSetup setup{.pipe = {.loss = 0.2, .reordering = 0.2, .delay = milliseconds(10)},
                      .response_bytes = 30'000};
  setup.config.idle_timeout = {};
  setup.config.retries_max = 30;
  setup.config.syn_retries_max = 10;
  run(setup, 300);
}

TEST_F(TcpSim, everything_out_of_order_and_twice) {
  run({.pipe = {.duplication = 0.5, .reordering = 0.9, .delay = milliseconds(5)},
       .response_bytes = 200'000},
      200);
}

TEST_F(TcpSim, slow_reader_with_a_small_buffer) {
  TransferSetup setup{.pipe = {.loss = 0.02, .reordering = 0.05, .delay = milliseconds(5)},
                      .response_bytes = 200'000};
  setup.peer.buffer_bytes = 8000;
  setup.peer.reads_slowly = true;
  run(setup, 200);
}

TEST_F(TcpSim, segments_cut_short_and_a_port_that_is_often_full) {
  run({.pipe = {.loss = 0.03, .reordering = 0.05, .delay = milliseconds(5)},
       .response_bytes = 100'000,
       .shortening = 0.5,
       .port_full = 0.2},
      200);
}

TEST_F(TcpSim, empty_response) {
  run({.pipe = {.loss = 0.1, .reordering = 0.1, .delay = milliseconds(5)}, .response_bytes = 0},
      200);
}

}  // namespace
}  // namespace strictsend::tcp
