// SPDX-License-Identifier: Apache-2.0
#include "engine/loop/queue_loop.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/assert.hpp"

namespace strictsend::engine {
namespace {

/// How often the device is asked whether it is still there.
constexpr Duration health_every = milliseconds(100);

/// A pacer's segments go so late at most: at 10 Gbit/s that is 80 kB, less than a segment may
/// carry.
constexpr Duration release_tick = microseconds(64);

/// What connections with torn windows may share of the scoreboards' runs.
std::uint32_t shared_runs(std::uint32_t connections) {
  return 4096 + 8 * connections;
}

}  // namespace

QueueLoop::QueueLoop(const LoopConfig& config, nic::Queue& queue, const nic::PortCapabilities& port,
                     pagecache::PageCache& cache, Notifier& notifier, Time now)
    : config_(config),
      queue_(queue),
      port_(port),
      cache_(cache),
      notifier_(notifier),
      inbox_(config.ring != nullptr ? config.ring->into(config.number) : nullptr),
      outbox_(config.ring != nullptr ? config.ring->out_of(config.number) : nullptr),
      runs_(config.connections_max, shared_runs(config.connections_max)),
      flows_(config.first_slot, config.connections_max, config.receive_buffer_bytes, config.secret),
      datagram_flows_(config.first_datagram_slot, config.datagram_flows_max),
      slots_(config.tx_slots, config.tx_buffers_begin, config.tx_buffer_bytes),
      gatherer_(cache, port, config.linear, config.tx_buffer_bytes),
      builder_(gatherer_),
      datagram_builder_(gatherer_),
      wheel_(now),
      releases_(now, release_tick),
      pending_(config.tx_slots),
      now_(now),
      keep_at_(config.host != nullptr && config.keeps_interface ? now : Time::never()),
      completion_seen_(now),
      cookies_(config.secret) {}

QueueLoop::~QueueLoop() {
  STRICTSEND_ASSERT(outstanding_ == 0);
}

std::uint64_t QueueLoop::memory_bytes() const {
  return sizeof(*this) + runs_.memory_bytes() + flows_.memory_bytes() +
         datagram_flows_.memory_bytes() + slots_.memory_bytes() + pending_.size() * 4;
}

bool QueueLoop::poll(Time now) {
  now_ = now;
  worked_ = false;
  reap_completions();
  receive_packets();
  take_handed_over();
  take_commands();
  run_timers();
  keep_interface();
  pump_flows();
  transmit_pending();
  watch_device();
  publish();
  return worked_;
}

void QueueLoop::publish() {
  if (handed_over_) {
    handed_over_ = false;
    outbox_->wake_consumer();
  }
  cache_.wake_loader();
  if (!posted_) return;
  posted_ = false;
  notifier_.publish();
}

void QueueLoop::reap_completions() {
  std::array<nic::TxCompletion, burst> completions;
  while (true) {
    const std::size_t count = queue_.reap(completions);
    for (std::size_t i = 0; i < count; ++i) {
      TxSlot& slot = slots_[completions[i].cookie];
      STRICTSEND_ASSERT(slot.under_descriptor);
      --outstanding_;
      complete(slot, completions[i].status);
    }
    if (count > 0) {
      worked_ = true;
      completion_seen_ = now_;
    }
    if (count < completions.size()) return;
  }
}

void QueueLoop::receive_packets() {
  if (stopped_) return;
  std::array<nic::RxPacket, burst> packets;
  // A turn may send whole windows of many flows, and what acknowledges them is a good deal more
  // than one burst: with only that taken each turn, the port's receive ring fills up and overflows.
  for (std::size_t bursts = 0; bursts < receive_bursts; ++bursts) {
    const std::size_t count = queue_.receive(packets);
    if (count > 0) worked_ = true;
    for (std::size_t i = 0; i < count; ++i)
      receive_packet(packets[i], std::nullopt);
    // Also when there is none: the port may hold buffers of packets that it dropped by itself.
    queue_.release_received();
    if (count < packets.size()) return;
  }
}

void QueueLoop::take_commands() {
  // The bits first, then the submissions: a thread that submits and then closes must find its
  // splice attached when the close is carried out.
  std::array<std::uint32_t, burst> bits;
  AnyFlow* flow = requests_.take_all();
  while (flow != nullptr) {
    worked_ = true;
    std::array<AnyFlow*, burst> taken;
    std::size_t count = 0;
    while (flow != nullptr && count < burst) {
      // The link is the producers' again once the bits are taken.
      AnyFlow* next = flow->request_next;
      taken[count] = flow;
      bits[count++] = flow->requests.exchange(0, std::memory_order_acq_rel);
      flow = next;
    }
    for (SpliceOp* op = submissions_.take_all(); op != nullptr;) {
      SpliceOp* next = op->submit_next;
      attach(*op);
      op = next;
    }
    for (std::size_t i = 0; i < count; ++i)
      carry_out(*taken[i], bits[i]);
  }
  for (SpliceOp* op = submissions_.take_all(); op != nullptr;) {
    worked_ = true;
    SpliceOp* next = op->submit_next;
    attach(*op);
    op = next;
  }
}

void QueueLoop::run_timers() {
  releases_.advance(now_, [this](void* owner) {
    auto& flow = *static_cast<AnyFlow*>(owner);
    worked_ = true;
    if (flow.kind == AnyFlow::Kind::connection) connection_of(flow).connection->released(now_);
    mark_ready(flow);
  });
  wheel_.advance(now_, [this](void* owner) {
    auto& any = *static_cast<AnyFlow*>(owner);
    worked_ = true;
    if (any.kind == AnyFlow::Kind::datagrams) {
      mark_ready(any);
      return;
    }
    Flow& flow = connection_of(any);
    const std::uint32_t timeouts = flow.connection->counters().sender.rto_fires;
    const tcp::Outcome outcome = flow.connection->on_timer(now_);
    // A handshake proves nothing of the way: its SYN has just come from there, and whoever makes
    // SYNs up shall not make us ask around.
    if (config_.host != nullptr && flow.announced &&
        flow.connection->counters().sender.rto_fires != timeouts)
      doubt_next_hop(flow);
    apply(flow, outcome, {});
  });
}

void QueueLoop::watch_device() {
  if (stopped_) return;
  if (must_stop_device()) {
    give_up_device(ENODEV);  // the loop that saw it fail has said what with
    return;
  }
  // An idle queue has nothing to kick for.
  if (now_ >= health_at_) {
    health_at_ = now_ + health_every;
    if (queue_.health() == ENODEV) kick_error_ = ENODEV;
  }
  if (kick_error_ == ENODEV) {  // removed, or not to be started again
    counters_.device_faults.add();
    give_up_device(ENODEV);
    return;
  }
  // While the link is down, or where completions wait for more traffic, lateness is no fault. But a
  // writer who needs the frames may wait only so long.
  const bool may_be_late = kick_error_ == ENETDOWN || port_.late_completion;
  if (outstanding_ == 0 || (may_be_late && !cache_.writers_wait_for_device())) {
    completion_seen_ = now_;
    return;
  }
  // What the port can do for its completions itself comes before giving it up.
  const Duration late = now_ - completion_seen_;
  if (late >= config_.device_timeout / 2 && hurried_for_ != completion_seen_) {
    hurried_for_ = completion_seen_;
    queue_.hurry();
  }
  if (late < config_.device_timeout) return;
  // Frames under descriptors can only be had back from a device that has stopped.
  counters_.device_faults.add();
  give_up_device(ETIMEDOUT);
}

void QueueLoop::give_up_device(int error) {
  const bool first = notifier_.lose_device(error);
  abort_all(now_, ENETDOWN);
  // Told before this queue's own stop, which may wait for theirs.
  if (port_.queues_stop_together && config_.ring != nullptr) {
    config_.ring->stop_device(config_.number);
  }
  stop_device();
  if (!first) return;
  // Only now, so that it comes behind what the loss has brought about here.
  notifier_.tell_device_lost();
  notifier_.publish();
}

void QueueLoop::finish_all(Time now) {
  now_ = now;
  for (Flow& flow : flows_.slots()) {
    if (flow.phase != Flow::Phase::active) continue;
    flow.finishing = true;
    flow.connection->finish(now_);
    mark_ready(flow);
    set_timer(flow);
  }
  for (DatagramFlow& flow : datagram_flows_.slots()) {
    if (flow.phase != AnyFlow::Phase::active) continue;
    flow.finishing = true;
    end_if_finished(flow);
  }
}

void QueueLoop::abort_all(Time now, int error) {
  now_ = now;
  abort_error_ = error;
  for (Flow& flow : flows_.slots()) {
    if (flow.phase == Flow::Phase::active) abort_flow(flow, error);
  }
  for (DatagramFlow& flow : datagram_flows_.slots()) {
    if (flow.phase == AnyFlow::Phase::active) end_flow(flow, error);
  }
  transmit_pending();
}

void QueueLoop::stop_device() {
  stopped_ = true;
  queue_.stop();
  reap_completions();
  // What the port never took is completed here.
  while (pending_count_ > 0) {
    TxSlot& slot = slots_[pending_[pending_begin_]];
    pending_begin_ = (pending_begin_ + 1) % static_cast<std::uint32_t>(pending_.size());
    --pending_count_;
    complete(slot, nic::TxStatus::dropped);
  }
  publish();
}

std::uint32_t QueueLoop::quarantine() {
  STRICTSEND_ASSERT(stopped_);
  // Another queue's stop may have closed the device for all after this one had waited enough.
  reap_completions();
  for (std::uint32_t i = 0; i < slots_.size() && outstanding_ > 0; ++i) {
    TxSlot& slot = slots_[i];
    if (slot.under_descriptor) give_up_splices(slot, nic::TxStatus::dropped);
  }
  publish();
  return std::exchange(outstanding_, 0);
}

}  // namespace strictsend::engine
