// SPDX-License-Identifier: Apache-2.0
#include "tests/support/sim_engine.hpp"

#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <stdexcept>
#include <thread>

#include "engine/tx/segmentation.hpp"

namespace strictsend::testing {
namespace {

constexpr std::uint32_t tx_slots = 512;
constexpr std::uint32_t datagram_flows_each = 8;  ///< of each loop
constexpr std::uint32_t tx_buffer_bytes = 2048;
constexpr std::uint32_t tx_frames = tx_slots * tx_buffer_bytes / page_bytes;
constexpr std::uint32_t receive_frames = 256;
constexpr std::uint32_t adapter_frames = 32;  ///< behind the simulated port's, for a PortAdapter

std::unique_ptr<pagecache::PageCache> make_cache(pagecache::CacheConfig config,
                                                 pagecache::CacheTuning tuning,
                                                 const std::atomic<std::int64_t>& progress_ns) {
  tuning.progress_clock = [&progress_ns] { return Time{progress_ns.load()}; };
  config.port_frames = tx_frames + receive_frames + adapter_frames;
  auto cache = pagecache::PageCache::create(config, tuning);
  if (!cache) throw std::runtime_error(cache.error().message());
  return std::move(*cache);
}

nic::DmaMemory memory_of(pagecache::PageCache& cache, std::uint32_t more_frames = 0) {
  const FrameIndex begin = cache.port_frames_begin();
  return {.base = cache.dma_view(),
          .size_bytes = cache.arena_bytes(),
          .fd = cache.arena_fd(),
          .receive_begin = begin.plus(tx_frames),
          .receive_end = begin.plus(tx_frames + receive_frames + more_frames)};
}

std::unique_ptr<nic::SimPort> make_port(const nic::SimConfig& config, pagecache::PageCache& cache) {
  auto port = nic::SimPort::create(config, memory_of(cache));
  if (!port) throw std::runtime_error(port.error().message());
  return std::move(*port);
}

}  // namespace

SimEngine::SimEngine(Options options)
    : options_(std::move(options)),
      now_(options_.sim.start_at),
      progress_ns_(now_.ns),
      cache_(make_cache(options_.cache, options_.tuning, progress_ns_)),
      port_(make_port(options_.sim, *cache_)),
      adapter_(options_.adapt ? options_.adapt(*port_, memory_of(*cache_, adapter_frames))
                              : nullptr),
      notifier_(UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))),
      events_(notifier_),
      splices_(options_.splices_max) {
  const auto listening = port_->accept_flows({.address = options_.addresses.engine,
                                              .tcp_port = options_.addresses.engine_port,
                                              .vlan_id = options_.addresses.vlan_id});
  if (!listening) throw std::runtime_error(listening.error().message());
  engine::LoopConfig config;
  if (options_.addresses.engine.is_v4())
    config.address = options_.addresses.engine.v4();
  else
    config.address6 = options_.addresses.engine.v6();
  config.vlan_id = options_.addresses.vlan_id;
  config.tcp.mss_bytes = static_cast<std::uint16_t>(options_.sim.mtu_bytes - 40);
  config.tcp.receive_buffer_bytes = 16384;
  config.tcp.segment_bytes_max = engine::segment_bytes_max(
      (adapter_ ? adapter_->port() : *port_).capabilities(), options_.linear);
  config.linear = options_.linear;
  config.connections_max = 256;
  config.receive_buffer_bytes = 16384;
  config.datagram_flows_max = datagram_flows_each;
  config.tx_slots = tx_slots;
  config.tx_buffer_bytes = tx_buffer_bytes;
  config.tx_buffers_begin = cache_->port_frames_begin();
  config.secret = {options_.sim.seed, 42};
  if (options_.sim.owns_interface) {
    host_.emplace(engine::HostConfig{.mac = options_.sim.mac,
                                     .address = config.address,
                                     .prefix_bits = options_.prefix_bits,
                                     .gateway = options_.gateway,
                                     .reply_bytes_max = 14 + options_.sim.mtu_bytes,
                                     .address6 = config.address6,
                                     .prefix6_bits = options_.prefix6_bits,
                                     .gateway6 = options_.gateway6,
                                     .vlan_id = config.vlan_id},
                  now_);
    config.host = &*host_;
    config.keeps_interface = true;
  }
  if (options_.edit) options_.edit(config);
  make_loops(config);
}

void SimEngine::make_loops(engine::LoopConfig config) {
  auto ring = engine::LoopRing::create(options_.loops, 18 + options_.sim.mtu_bytes);
  if (!ring) throw std::runtime_error(ring.error().message());
  ring_ = std::move(*ring);
  nic::Port& port = adapter_ ? adapter_->port() : *port_;
  capabilities_ = port.capabilities();
  if (options_.loops > 1) {
    steering_ = std::make_unique<SteeringPort>(port_->queue(0), options_.loops, options_.steer);
    capabilities_.queues_stop_together = true;
  }
  connections_each_ = config.connections_max;
  config.ring = ring_.get();
  config.tx_slots /= options_.loops;
  const std::uint32_t frames_each = config.tx_slots * config.tx_buffer_bytes / page_bytes;
  for (std::uint32_t i = 0; i < options_.loops; ++i) {
    config.number = i;
    config.keeps_interface = i == 0;
    config.first_slot = i * connections_each_;
    config.first_datagram_slot = i * datagram_flows_each;
    config.tx_buffers_begin = cache_->port_frames_begin().plus(i * frames_each);
    nic::Queue& queue = steering_ ? steering_->queue(i) : port.queue(0);
    loops_.push_back(std::make_unique<engine::QueueLoop>(config, queue, capabilities_, *cache_,
                                                         notifier_, now_));
    loops_.back()->listen(options_.addresses.engine_port);
  }
  held_.resize(loops_.size());
}

SimEngine::~SimEngine() {
  if (!stopped_) stop_and_settle();
}

SimClient& SimEngine::connect(const SimClient::Options& options) {
  SimClient& client = clients_.emplace_back(options_.addresses, options, port_->peer());
  client.open(now_);
  return client;
}

void SimEngine::forget(const SimClient& client) {
  clients_.remove_if([&](const SimClient& other) { return &other == &client; });
}

std::uint64_t SimEngine::submit(ConnectionId connection, pagecache::SnapshotState* snapshot,
                                std::string_view header, std::string_view trailer,
                                std::uint64_t user_data, bool notify_sent) {
  engine::SpliceOp& op = take_splice(flow_of(connection), snapshot, header, user_data, notify_sent);
  op.connection = connection;
  const std::span<const std::byte> behind = std::as_bytes(std::span(trailer));
  op.trailer.assign(behind.begin(), behind.end());
  const std::uint64_t id = op.id();
  loop_of(connection).submit(op);
  return id;
}

engine::SpliceOp& SimEngine::take_splice(engine::AnyFlow& flow, pagecache::SnapshotState* snapshot,
                                         std::string_view header, std::uint64_t user_data,
                                         bool notify_sent) {
  engine::SpliceOp* op = splices_.take();
  if (op == nullptr) throw std::runtime_error("out of splices");
  op->flow = &flow;
  op->kind = flow.kind;
  const std::span<const std::byte> before = std::as_bytes(std::span(header));
  op->header.assign(before.begin(), before.end());
  op->snapshot = snapshot;
  op->file_offset = snapshot != nullptr ? pagecache::snapshot_offset(*snapshot) : 0;
  op->file_bytes = snapshot != nullptr ? pagecache::snapshot_length_bytes(*snapshot) : 0;
  op->user_data = user_data;
  op->notify_sent = notify_sent;
  return *op;
}

engine::QueueLoop& SimEngine::loop_of(const engine::AnyFlow& flow) {
  const bool connection = flow.kind == engine::AnyFlow::Kind::connection;
  return *loops_.at(flow.slot / (connection ? connections_each_ : datagram_flows_each));
}

engine::DatagramFlow& SimEngine::flow_of(DatagramFlowId flow) {
  return loops_.at(flow.slot / datagram_flows_each)
      ->datagram_flows()[flow.slot % datagram_flows_each];
}

DatagramFlowId SimEngine::open_datagram_flow(const DatagramOptions& options) {
  for (auto& loop : loops_) {
    for (engine::DatagramFlow& flow : loop->datagram_flows()) {
      if (!flow.available.exchange(false)) continue;
      flow.key = {options.peer, options.peer_port, options.local_port};
      flow.payload_bytes = options.payload_bytes;
      flow.rate_bytes_per_s = options.rate_bytes_per_s;
      flow.next_hop.store(engine::pack(host_ ? nic::NextHop{} : options.next_hop));
      flow.open.store(true);
      loop->request(flow, engine::AnyFlow::request_open);
      return {flow.slot, flow.generation.load()};
    }
  }
  throw std::runtime_error("out of datagram flows");
}

void SimEngine::next_hop_is(DatagramFlowId flow, const nic::NextHop& hop) {
  flow_of(flow).next_hop.store(engine::pack(hop));
  loop_of(flow_of(flow)).request(flow_of(flow), engine::AnyFlow::request_next_hop);
}

std::uint64_t SimEngine::submit(DatagramFlowId flow, pagecache::SnapshotState* snapshot,
                                const DatagramHeader& header, std::uint64_t user_data,
                                bool notify_sent) {
  engine::DatagramFlow& to = flow_of(flow);
  engine::SpliceOp& op = take_splice(to, snapshot, header.bytes, user_data, notify_sent);
  op.connection = {flow.slot, flow.generation};
  op.sequence = header.sequence;
  op.byte_offset = header.byte_offset;
  op.slices = udp::Slices(op.file_bytes, to.payload_bytes);
  const std::uint64_t id = op.id();
  loop_of(to).submit(op);
  return id;
}

void SimEngine::close(DatagramFlowId flow) {
  loop_of(flow_of(flow)).request(flow_of(flow), engine::AnyFlow::request_close);
}
void SimEngine::abort(DatagramFlowId flow) {
  loop_of(flow_of(flow)).request(flow_of(flow), engine::AnyFlow::request_abort);
}

void SimEngine::cancel(std::uint64_t splice_id) {
  engine::SpliceOp* op = splices_.find(splice_id);
  if (op == nullptr || op->flow == nullptr) return;
  op->cancel_requested.store(true);
  loop_of(*op->flow).request(*op->flow, engine::AnyFlow::request_cancel);
}

std::string SimEngine::receive(ConnectionId connection) {
  std::array<std::byte, 4096> buffer{};
  std::string text;
  while (const std::size_t count = flow_of(connection).received.take(buffer)) {
    text.append(reinterpret_cast<const char*>(buffer.data()), count);
  }
  loop_of(connection).request(flow_of(connection), engine::Flow::request_consumed);
  return text;
}

void SimEngine::close(ConnectionId connection) {
  loop_of(connection).request(flow_of(connection), engine::Flow::request_close);
}
void SimEngine::abort(ConnectionId connection) {
  loop_of(connection).request(flow_of(connection), engine::Flow::request_abort);
}

bool SimEngine::run_until(const std::function<bool()>& done, Duration limit) {
  const Time end = now_ + limit;
  step(now_);
  while (!done()) {
    const Time next = next_time();
    if (next > end) return false;
    step(std::max(next, now_));
    if (between) between();
  }
  return true;
}

void SimEngine::run_for(Duration duration) {
  const Time end = now_ + duration;
  run_until([] { return false; }, duration);
  step(end);
}

Time SimEngine::next_time() const {
  // Work that is ready waits for nothing but the device; a guard that is busy with a page is real
  // time, of which a microsecond of virtual time stands for one look, and more of it the longer
  // that takes.
  Time next = port_->queue(0).next_event();
  for (std::size_t i = 0; i < loops_.size(); ++i) {
    const engine::QueueLoop& loop = *loops_[i];
    if (held_[i]) continue;
    if (loop.has_work() || loop.waits_for_pages() || !loop.intakes_empty() ||
        (ring_->device_stops() && !loop.stopped())) {
      next = std::min(next, now_ + look_again_);
    } else if (loop.stopped() && loop.packets_outstanding() > 0) {
      // A device that was stopped and still holds descriptors is asked again and again.
      next = std::min(next, now_ + milliseconds(1));
    } else {
      next = std::min(next, loop.next_deadline());
    }
  }
  for (const SimClient& client : clients_)
    next = std::min(next, client.next_deadline());
  return next;
}

void SimEngine::step(Time next) {
  now_ = next;
  progress_ns_.store(now_.ns);
  port_->advance_to(now_);
  while (const auto frame = port_->peer().receive()) {
    if (at_peer && at_peer(frame->bytes)) continue;
    const auto packet = wire::parse_tcp_packet(frame->bytes, nic::RxChecksum::unknown);
    if (!packet) continue;  // corrupted on the way
    for (SimClient& client : clients_) {
      if (client.on_packet(*packet, now_)) break;
    }
  }
  for (SimClient& client : clients_)
    client.on_time(now_);
  if (adapter_) adapter_->pump();
  // The disk is real, and so is the time that it takes.
  for (const auto& loop : loops_)
    if (loop->waits_for_pages() && !loop->pages_have_come())
      std::this_thread::sleep_for(std::chrono::microseconds(100));
  bool worked = false;
  for (std::size_t i = 0; i < loops_.size(); ++i)
    if (!held_[i] && loops_[i]->poll(now_)) worked = true;
  if (adapter_) adapter_->pump();
  look_again_ = worked ? microseconds(1) : std::min(look_again_ * 2, microseconds(100));
  poll_events();
}

void SimEngine::poll_events() {
  std::array<Event, 32> events;
  while (const std::size_t count = events_.take(
             events, [this](engine::SpliceOp& op) { splices_.give_back(op); },
             [this](engine::AnyFlow& flow) {
               flow.open.store(false);
               flow.generation.fetch_add(1);
               loop_of(flow).request(flow, engine::AnyFlow::request_recycle);
             })) {
    for (std::size_t i = 0; i < count && on_event; ++i)
      on_event(events[i]);
  }
}

bool SimEngine::stop_and_settle() {
  stopped_ = true;
  for (auto& loop : loops_)
    loop->abort_all(now_, ECONNABORTED);
  for (auto& loop : loops_)
    loop->stop_device();
  if (adapter_) adapter_->release();
  for (auto& loop : loops_) {
    loop->stop_device();  // once more: what the device gave back when its last queue was stopped
    loop->take_commands();
  }
  poll_events();
  return splices_.in_use() == 0 && cache_->settle(seconds(10));
}

}  // namespace strictsend::testing
