// SPDX-License-Identifier: Apache-2.0
#include "engine/api/engine_impl.hpp"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <thread>
#include <utility>

#include "base/assert.hpp"

namespace strictsend {

using engine::AnyFlow;
using engine::Flow;
using engine::LoopThread;
using engine::SpliceOp;

namespace {

constexpr Duration settle_limit = seconds(10);

/// A device may read these frames until the process ends. So the arena stays as it is, and its
/// guard goes on to keep writers of the mappings that applications still hold away from them.
void keep_for_the_device(std::unique_ptr<pagecache::PageCache> cache) {
  cache->close_files();
  static std::mutex mutex;
  static auto* const kept = new std::vector<std::unique_ptr<pagecache::PageCache>>;
  const std::lock_guard lock(mutex);
  kept->push_back(std::move(cache));
}

}  // namespace

std::uint64_t Engine::Impl::memory_bytes() const {
  std::uint64_t bytes = cache_->arena_bytes() + cache_->metadata_bytes() + splices_.memory_bytes() +
                        inline_bytes_max_ + (host_ ? sizeof *host_ : 0) + ring_->memory_bytes() +
                        port_memory_bytes_;
  for (const auto& thread : threads_)
    bytes += thread->loop().memory_bytes();
  return bytes;
}

std::string Engine::Impl::description() const {
  std::string queues = "; 1 queue";
  if (queue_count() > 1) {
    const std::string count = std::to_string(queue_count());
    queues = "; " + count + " queues, " + count + " engine threads";
  }
  return port_description_ + queues + "; packets: " + (linear_ ? "linear" : "fragments") + ", " +
         form_reason_;
}

Result<void> Engine::Impl::listen(std::uint16_t port) {
  if (port == 0)
    return fail("listen", EINVAL, "port 0 cannot be listened on; name one in 1..65535");
  const std::lock_guard lock(mutex_);
  if (stopped_) return fail("listen", ESHUTDOWN, "the engine has been stopped");
  for (const IpAddress& address : addresses_) {
    Result<void> steered =
        port_->accept_flows({.address = address, .tcp_port = port, .vlan_id = config_.vlan_id});
    if (!steered) return steered;
  }
  for (auto& thread : threads_)
    thread->loop().listen(port);
  return {};
}

LoopThread& Engine::Impl::thread_of(std::uint32_t slot) {
  return *threads_[shares_.owner(slot)];
}

Flow& Engine::Impl::flow_of(std::uint32_t slot) {
  const std::uint32_t queue = shares_.owner(slot);
  return threads_[queue]->loop().flows()[slot - shares_.first(queue)];
}

Flow* Engine::Impl::find(ConnectionId id) {
  if (id.slot >= shares_.slots()) return nullptr;
  Flow& flow = flow_of(id.slot);
  const bool alive = flow.generation.load(std::memory_order_acquire) == id.generation &&
                     flow.open.load(std::memory_order_acquire);
  return alive ? &flow : nullptr;
}

std::size_t Engine::Impl::poll(std::span<Event> events) {
  const auto done = [this](SpliceOp& op) {
    const std::lock_guard lock(mutex_);
    inline_bytes_ -= op.header.size() + op.trailer.size();
    splices_.give_back(op);
  };
  return events_.take(events, done, [this](AnyFlow& flow) { recycle(flow); });
}

void Engine::Impl::request(AnyFlow& flow, AnyFlow::RequestBit bit) {
  LoopThread& thread = thread_of(flow);
  thread.loop().request(flow, bit);
  thread.wake();
}

void Engine::Impl::recycle(AnyFlow& flow) {
  const std::lock_guard lock(mutex_);  // nobody is between `find` and what it does with the slot
  if (flow.kind == AnyFlow::Kind::datagrams) {
    --datagram_flows_open_;
    if (next_hops_) next_hops_->remove(engine::datagram_flow_of(flow));
  }
  flow.open.store(false, std::memory_order_relaxed);
  flow.closed_by_application.store(false, std::memory_order_relaxed);
  // Release: who sees the new generation sees nothing of the old connection.
  flow.generation.fetch_add(1, std::memory_order_release);
  request(flow, AnyFlow::request_recycle);
}

Result<std::size_t> Engine::Impl::receive(ConnectionId id, std::span<std::byte> into) {
  const std::lock_guard lock(mutex_);
  Flow* flow = find(id);
  if (flow == nullptr) return fail("receive", ENOTCONN, "the connection is gone");
  const std::size_t count = flow->received.take(into);
  if (count > 0) {
    request(*flow, Flow::request_consumed);
  }
  return count;
}

Result<void> Engine::Impl::end(ConnectionId id, Flow::RequestBit bit, const char* operation) {
  const std::lock_guard lock(mutex_);
  Flow* flow = find(id);
  if (flow == nullptr) return fail(operation, ENOTCONN, "the connection is gone");
  flow->closed_by_application.store(true, std::memory_order_relaxed);
  request(*flow, bit);
  return {};
}

Result<std::uint64_t> Engine::Impl::submit(Splice&& splice) {
  const std::size_t inline_bytes = splice.header.size() + splice.trailer.size();
  const std::uint64_t file_bytes = splice.snapshot.valid() ? splice.snapshot.length_bytes() : 0;
  if (inline_bytes > Splice::max_inline_bytes) {
    return fail("submit", EMSGSIZE,
                "header and trailer are at most 65536 bytes together; send more as a file");
  }
  if (inline_bytes + file_bytes == 0) {
    return fail("submit", EINVAL, "nothing to send: give a snapshot, a header or a trailer");
  }
  const std::lock_guard lock(mutex_);
  Flow* flow = find(splice.connection);
  if (flow == nullptr) return fail("submit", ENOTCONN, "the connection is gone");
  Result<SpliceOp*> taken = take_splice(*flow, inline_bytes);
  if (!taken) return tl::unexpected(std::move(taken.error()));
  SpliceOp* const op = *taken;
  op->connection = splice.connection;
  op->notify_sent = splice.notify_sent;
  op->user_data = splice.user_data;
  op->header.assign(splice.header.begin(), splice.header.end());
  op->trailer.assign(splice.trailer.begin(), splice.trailer.end());
  op->file_offset = file_bytes > 0 ? splice.snapshot.offset() : 0;
  op->file_bytes = file_bytes;
  op->snapshot = std::exchange(splice.snapshot.state_, nullptr);
  return push_splice(*op);
}

Result<SpliceOp*> Engine::Impl::take_splice(AnyFlow& flow, std::size_t inline_bytes) {
  if (flow.closed_by_application.load(std::memory_order_relaxed)) {
    return fail("submit", EPIPE, "it has been closed by this application");
  }
  if (stopped_) return fail("submit", ESHUTDOWN, "the engine has been stopped");
  if (inline_bytes_ + inline_bytes > inline_bytes_max_) {
    return fail("submit", EAGAIN, "too many header bytes wait: poll for `released` events first");
  }
  SpliceOp* op = splices_.take();
  if (op == nullptr) {
    return fail("submit", EAGAIN, "all max_splices are in use: poll for `released` events first");
  }
  inline_bytes_ += inline_bytes;
  op->flow = &flow;
  op->kind = flow.kind;
  return op;
}

std::uint64_t Engine::Impl::push_splice(SpliceOp& op) {
  const std::uint64_t id = op.id();  // it may be released as soon as it is pushed
  ++splices_submitted_;
  LoopThread& thread = thread_of(*op.flow);
  thread.loop().submit(op);
  thread.wake();
  return id;
}

Result<void> Engine::Impl::cancel(std::uint64_t splice_id) {
  const std::lock_guard lock(mutex_);
  SpliceOp* op = splices_.find(splice_id);
  if (op == nullptr) return fail("cancel", ENOENT, "no such splice: it has been released");
  op->cancel_requested.store(true, std::memory_order_relaxed);
  const std::uint32_t slot = op->connection.slot;
  if (op->kind == AnyFlow::Kind::connection)
    request(flow_of(slot), AnyFlow::request_cancel);
  else
    request(datagram_flow_of(slot), AnyFlow::request_cancel);
  return {};
}

EngineStats Engine::Impl::stats() const {
  EngineStats stats;
  for (const auto& thread : threads_) {
    const engine::LoopCounters& loop = thread->loop().counters();
    stats.connections_accepted += loop.connections_accepted.get();
    stats.connections_refused += loop.connections_refused.get();
    stats.connections_open += loop.connections_open.get();
    stats.segments_sent += loop.segments_sent.get();
    stats.segments_retransmitted += loop.segments_retransmitted.get();
    stats.syn_cookies_sent += loop.syn_cookies_sent.get();
    stats.syn_cookies_accepted += loop.syn_cookies_accepted.get();
    stats.payload_bytes_retransmitted += loop.payload_bytes_retransmitted.get();
    stats.fast_recoveries += loop.fast_recoveries.get();
    stats.retransmission_timeouts += loop.retransmission_timeouts.get();
    stats.tail_loss_probes += loop.tail_loss_probes.get();
    stats.reductions_undone += loop.reductions_undone.get();
    stats.ecn_reductions += loop.ecn_reductions.get();
    stats.mss_reductions += loop.mss_reductions.get();
    stats.segments_received += loop.segments_received.get();
    stats.segments_invalid += loop.segments_invalid.get();
    stats.segments_handed_over += loop.segments_handed_over.get();
    stats.path_mtu_messages += loop.path_mtu_messages.get();
    stats.segments_hand_over_dropped += loop.segments_hand_over_dropped.get();
    stats.payload_bytes_sent += loop.payload_bytes_sent.get();
    stats.payload_bytes_copied += loop.payload_bytes_copied.get();
    stats.datagram_flows_open += loop.datagram_flows_open.get();
    stats.datagrams_sent += loop.datagrams_sent.get();
    stats.datagrams_dropped += loop.datagrams_dropped.get();
    stats.datagram_splices_unreachable += loop.datagram_splices_unreachable.get();
    stats.datagrams_refused += loop.datagrams_refused.get();
    stats.splices_released += loop.splices_released.get();
    stats.frozen_bytes += loop.frozen_bytes.get();
    stats.sends_failed_for_slowness += loop.sends_failed_for_slowness.get();
    stats.arp_requests_answered += loop.arp_requests_answered.get();
    stats.echo_requests_answered += loop.echo_requests_answered.get();
    stats.address_conflicts += loop.address_conflicts.get();
    stats.neighbour_requests += loop.neighbour_requests.get();
    stats.flows_readdressed += loop.flows_readdressed.get();
    stats.frames_ignored += loop.frames_ignored.get();
  }
  {
    const std::lock_guard lock(mutex_);
    stats.splices_submitted = splices_submitted_;
  }
  const pagecache::CacheStats cache = cache_->stats();
  stats.pages_preserved = cache.pages_preserved;
  stats.pages_redirected = cache.pages_redirected;
  stats.pages_came_home = cache.pages_came_home;
  stats.write_faults = cache.write_faults;
  stats.writer_waits = cache.writer_waits;
  stats.writer_stall_ns_max = cache.writer_stall_ns_max;
  stats.sends_failed_for_writers = cache.sends_failed_for_writers;
  stats.sends_failed_for_total_limit = cache.sends_failed_for_total_limit;
  stats.sends_failed_for_connection_limit = cache.sends_failed_for_connection_limit;
  stats.frames_total = cache.frames_total;
  stats.frames_free = cache.frames_free;
  stats.frames_cached = cache.frames_cached;
  stats.frames_history = cache.frames_history;
  stats.frames_port = cache.frames_port;
  stats.frames_pinned = cache.frames_pinned;
  stats.snapshots_live = cache.snapshots_live;
  stats.audit_failures = cache.audit_failures;
  stats.pages_loaded = cache.pages_loaded;
  stats.pages_evicted = cache.pages_evicted;
  stats.sends_failed_for_disk = cache.sends_failed_for_disk;
  return stats;
}

bool Engine::Impl::is_stopped() const {
  const std::lock_guard lock(mutex_);
  return stopped_;
}

std::optional<Error> Engine::Impl::device_failure() const {
  const int error = notifier_.device_lost();
  if (error == 0) return std::nullopt;
  std::string why;
  {
    const std::lock_guard lock(mutex_);
    why = port_ ? port_->failure() : port_failure_;
  }
  if (why.empty())
    why =
        error == ENODEV ? "it was removed" : "it does not answer: packets wait, and none completes";
  return Error{"sending over " + config_.nic, error,
               why + "; all connections were reset. Start again once the device is there and well"};
}

EngineStats Engine::Impl::stop(std::uint32_t drain_ms) {
  const std::lock_guard one_stops(stop_mutex_);
  if (is_stopped()) return stats();
  for (auto& thread : threads_)
    thread->drain();
  const Time limit = monotonic_now() + milliseconds(drain_ms);
  const auto quiet = [](const auto& thread) { return thread->quiet(); };
  while (monotonic_now() < limit && !std::all_of(threads_.begin(), threads_.end(), quiet)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  if (next_hops_) next_hops_->stop();
  // All at once: a device may stop only when each of its queues was told to, and a thread that is
  // told first then waits for the others.
  for (auto& thread : threads_)
    thread->request_stop();
  for (auto& thread : threads_)
    thread->join();
  cache_->on_pages_came({});
  for (auto& thread : threads_)
    packets_quarantined_ += thread->conclude();
  {
    std::unique_ptr<nic::Port> ending;
    {
      const std::lock_guard lock(mutex_);
      port_failure_ = port_->failure();
      ending = std::move(port_);
    }
    // Here it detaches from the interface, which takes its time.
  }
  const bool quarantined = packets_quarantined_ > 0;
  // What still cannot be collected is a snapshot that the application holds, or that a File::sync
  // has, which may have ended at this very moment.
  bool settled = cache_->settle(quarantined ? Duration{} : settle_limit);
  EngineStats closing = stats();
  if (!quarantined && !settled && closing.snapshots_live == 0) {
    settled = cache_->settle(settle_limit);
    closing = stats();
  }
  STRICTSEND_ASSERT(quarantined || settled || closing.snapshots_live > 0);
  return closing;
}

Engine::Impl::~Impl() {
  stop(0);
  if (packets_quarantined_ > 0) keep_for_the_device(std::move(cache_));
}

}  // namespace strictsend
