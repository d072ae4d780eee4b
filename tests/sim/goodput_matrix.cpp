// SPDX-License-Identifier: Apache-2.0
#include "tests/sim/goodput_matrix.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <queue>
#include <vector>

#include <fmt/format.h>

#include "engine/transport/tcp/connection.hpp"
#include "tests/relay/relay_link.hpp"
#include "tests/sim/model_receiver.hpp"

namespace strictsend::tcp {
namespace {

struct NamedAlgorithm {
  const char* name;
  CongestionAlgorithm congestion;
};
constexpr std::array algorithms = {NamedAlgorithm{"cubic", CongestionAlgorithm::cubic},
                                   NamedAlgorithm{"reno", CongestionAlgorithm::reno},
                                   NamedAlgorithm{"bbr", CongestionAlgorithm::bbr}};

constexpr std::uint64_t rate_bits_second = 100'000'000;
constexpr Duration duration = seconds(10);
constexpr std::uint16_t mss_bytes = 1460;
constexpr std::uint32_t timestamps_bytes = 12;  // RFC 7323 §3, with the padding
constexpr std::uint32_t header_bytes = 14 + 20 + 20 + timestamps_bytes;
constexpr std::uint32_t payload_bytes_max = mss_bytes - timestamps_bytes;
constexpr std::uint64_t queue_bytes_floor = 64 << 10;
constexpr std::uint64_t stream_bytes = std::uint64_t{1} << 30;  // no flow gets to the end of it
constexpr std::uint32_t reorder_ppm = 20'000;
constexpr Duration reorder_delay_floor = milliseconds(1);
constexpr Duration start_interval = milliseconds(7);
constexpr std::uint32_t runs_shared = 4'096;  // as many as an engine of a few connections has
constexpr std::uint64_t steps_max = 20'000'000;

relay::LinkSetup bottleneck_of(const GoodputCell& cell) {
  relay::LinkSetup setup;
  setup.rate_bits_second = rate_bits_second;
  setup.delay = cell.rtt / 2;
  const auto bdp_bytes =
      static_cast<std::uint64_t>(cell.rtt.ns / 1'000) * rate_bits_second / 8'000'000;
  setup.queue_bytes_max = std::max(bdp_bytes, queue_bytes_floor);
  setup.loss_ppm = cell.loss_ppm;
  if (cell.reordering) {
    setup.reorder_ppm = reorder_ppm;
    setup.reorder_delay_max = std::max(cell.rtt / 4, reorder_delay_floor);
  }
  return setup;
}

/// Values under way, by number; what arrives makes room again.
template <class Value>
class Slots {
 public:
  std::uint32_t put(const Value& value) {
    if (free_.empty()) {
      values_.push_back(value);
      return static_cast<std::uint32_t>(values_.size() - 1);
    }
    const std::uint32_t slot = free_.back();
    free_.pop_back();
    values_[slot] = value;
    return slot;
  }
  Value take(std::uint32_t slot) {
    free_.push_back(slot);
    return values_[slot];
  }

 private:
  std::vector<Value> values_;
  std::vector<std::uint32_t> free_;
};

class Downloads {
 public:
  Downloads(const GoodputCell& cell, std::uint64_t seed)
      : cell_(cell),
        bottleneck_(bottleneck_of(cell), seed),
        runs_(cell.flows, runs_shared),
        flows_(cell.flows) {}

  GoodputResult run() {
    for (std::uint32_t i = 0; i < flows_.size(); ++i)
      at(now_ + start_interval * i, Event::Kind::at_server, i,
         acks_.put(flows_[i].receiver.syn(now_)));
    for (std::uint64_t steps = 0; step(); ++steps) {
      if (steps > steps_max) result_.failure = "it does not get ahead";
    }
    std::uint64_t received_bytes = 0;
    for (const Flow& flow : flows_)
      received_bytes += flow.receiver.received_bytes();
    constexpr auto bits =
        static_cast<std::uint64_t>(duration.ns / 1'000'000) * rate_bits_second / 1'000;
    constexpr std::uint64_t capacity_bytes =
        bits / 8 * payload_bytes_max / (payload_bytes_max + header_bytes);
    result_.goodput_permille = static_cast<std::uint32_t>(received_bytes * 1'000 / capacity_bytes);
    return result_;
  }

 private:
  struct Event {
    enum class Kind : std::uint8_t { at_server, at_receiver };
    Time at;
    std::uint64_t order;
    Kind kind;
    std::uint32_t flow;
    std::uint32_t slot;  ///< of what arrives
    bool operator<(const Event& other) const {
      return at != other.at ? at > other.at : order > other.order;
    }
  };
  struct Flow {
    std::optional<Connection> server;
    ModelReceiver receiver{ModelReceiver::Setup{}};
    Time server_deadline = Time::never();
  };

  void at(Time time, Event::Kind kind, std::uint32_t flow, std::uint32_t slot) {
    events_.push({.at = time, .order = order_++, .kind = kind, .flow = flow, .slot = slot});
  }

  /// The next thing that happens; false: the time is over, or the run has failed.
  bool step() {
    std::uint32_t timer_flow = 0;
    Time timer_at = Time::never();
    bool receiver_timer = false;
    for (std::uint32_t i = 0; i < flows_.size(); ++i) {
      for (const bool receiver : {false, true}) {
        const Time deadline = receiver ? flows_[i].receiver.deadline() : flows_[i].server_deadline;
        if (deadline >= timer_at) continue;
        timer_flow = i;
        timer_at = deadline;
        receiver_timer = receiver;
      }
    }
    const Time event_at = events_.empty() ? Time::never() : events_.top().at;
    now_ = std::max(now_, std::min(event_at, timer_at));
    if (now_ > Time{} + duration || !result_.failure.empty()) return false;
    if (event_at <= timer_at) {
      const Event event = events_.top();
      events_.pop();
      if (event.kind == Event::Kind::at_server)
        at_server(event.flow, acks_.take(event.slot));
      else
        to_server(event.flow, flows_[event.flow].receiver.receive(data_.take(event.slot), now_));
    } else if (receiver_timer) {
      to_server(timer_flow, flows_[timer_flow].receiver.on_timer(now_));
    } else {
      take(timer_flow, flows_[timer_flow].server->on_timer(now_));
    }
    return true;
  }

  void to_server(std::uint32_t flow, const std::optional<SegmentIn>& segment) {
    if (segment) at(now_ + cell_.rtt / 2, Event::Kind::at_server, flow, acks_.put(*segment));
  }

  void at_server(std::uint32_t index, const SegmentIn& segment) {
    Flow& flow = flows_[index];
    if (flow.server) {
      take(index, flow.server->on_segment(segment, now_));
      return;
    }
    Config config;
    config.mss_bytes = mss_bytes;
    config.receive_buffer_bytes = 16384;
    config.congestion = cell_.congestion;
    flow.server.emplace(Connection::accept(config, segment, Seq(0xffff'0000U), 12345, runs_, now_));
    pump(index);
  }

  void take(std::uint32_t index, const Outcome& outcome) {
    Flow& flow = flows_[index];
    if (outcome.closed) result_.failure = "a connection was given up";
    if (outcome.reply) transmit(index, *outcome.reply);
    if (outcome.established) flow.server->enqueue(stream_bytes, now_);
    pump(index);
  }

  void pump(std::uint32_t index) {
    Flow& flow = flows_[index];
    while (const std::optional<SegmentOut> segment = flow.server->next_segment(now_)) {
      flow.server->sent(*segment, now_);
      if (segment->retransmission) result_.retransmitted_bytes += segment->payload_bytes;
      transmit(index, *segment);
    }
    flow.server_deadline = flow.server->next_deadline();
  }

  void transmit(std::uint32_t index, const SegmentOut& segment) {
    const relay::Fate fate = bottleneck_.offer(header_bytes + segment.payload_bytes, false, now_);
    if (fate.kind == relay::Fate::Kind::departs)
      at(fate.departs_at, Event::Kind::at_receiver, index, data_.put(segment));
  }

  GoodputCell cell_;
  GoodputResult result_;
  Time now_;
  relay::RelayLink bottleneck_;
  RunPool runs_;  // outlives the connections
  std::vector<Flow> flows_;
  Slots<SegmentOut> data_;
  Slots<SegmentIn> acks_;
  std::priority_queue<Event> events_;
  std::uint64_t order_ = 0;
};

std::uint64_t two_digits(std::uint64_t value) {
  std::uint64_t unit = 1;
  while (value / unit >= 100)
    unit *= 10;
  return (value + unit / 2) / unit * unit;
}

/// `cell` with one and with several flows, in order and reordered.
std::string row(GoodputCell cell) {
  std::string text = fmt::format("{:>4}.{} % {:>5} ms", cell.loss_ppm / 10'000,
                                 cell.loss_ppm / 1'000 % 10, cell.rtt.ns / 1'000'000);
  for (const bool reordering : {false, true}) {
    text += reordering ? " " : "";
    for (const std::uint32_t flows : {1U, 8U}) {
      cell.reordering = reordering;
      cell.flows = flows;
      const GoodputResult result = measure_goodput(cell);
      text += fmt::format("{:>10} {:>5}", two_digits(result.goodput_permille),
                          two_digits(result.retransmitted_bytes >> 10));
      if (!result.failure.empty()) text += " (" + result.failure + ")";
    }
  }
  return text + '\n';
}

}  // namespace

GoodputResult measure_goodput(const GoodputCell& cell) {
  // Where nothing is drawn, one run says it all; and several flows are as many draws.
  const std::uint64_t runs = (cell.loss_ppm > 0 || cell.reordering) && cell.flows == 1 ? 3 : 1;
  GoodputResult mean;
  for (std::uint64_t seed = 1; seed <= runs; ++seed) {
    const GoodputResult one = Downloads(cell, seed).run();
    mean.goodput_permille += one.goodput_permille;
    mean.retransmitted_bytes += one.retransmitted_bytes;
    if (!one.failure.empty()) mean.failure = one.failure;
  }
  mean.goodput_permille /= static_cast<std::uint32_t>(runs);
  mean.retransmitted_bytes /= runs;
  return mean;
}

std::string goodput_matrix() {
  std::string text =
      R"(# What tests/sim/goodput_matrix.cpp measures; ./dev snapshot makes this file.
#
# For each path: ten seconds of downloads without an end over a bottleneck of 100 Mbit/s, whose queue
# holds one bandwidth-delay product (64 KiB at least), in virtual time. The first number of a pair is
# the goodput in permille of the payload that the bottleneck can carry, the second how many KiB were
# sent again in one run; of each the first two digits count. Reordered: 2 % of the packets are late
# by up to a quarter of the RTT (1 ms at least).
)";
  for (const auto& [name, congestion] : algorithms) {
    text += fmt::format(R"(#
# {:<10}                   in order                         reordered
#                       1 flow          8 flows          1 flow          8 flows
#  loss      RTT    goodput again   goodput again    goodput again   goodput again
)",
                        name);
    for (const std::uint32_t loss_ppm : {0U, 1'000U, 10'000U, 20'000U, 50'000U})
      for (const int rtt_ms : {0, 10, 50, 200})
        text += row({.congestion = congestion, .loss_ppm = loss_ppm, .rtt = milliseconds(rtt_ms)});
  }
  return text;
}

}  // namespace strictsend::tcp
