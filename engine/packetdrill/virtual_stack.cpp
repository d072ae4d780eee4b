// SPDX-License-Identifier: Apache-2.0
#include "engine/packetdrill/virtual_stack.hpp"

#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <thread>

#include "base/assert.hpp"

namespace strictsend::packetdrill {
namespace {

constexpr std::uint32_t tx_slots = 512;
constexpr std::uint32_t tx_buffer_bytes = 2048;
constexpr std::uint32_t tx_frames = tx_slots * tx_buffer_bytes / page_bytes;
constexpr std::uint32_t receive_frames = 64;
constexpr std::uint32_t splices_max = 8192;
/// A turn in which nothing can be done waits for the guard, for which 20 µs of real time pass.
constexpr int idle_turns_max = 500'000;

pagecache::CacheConfig cache_config() {
  return {.cache_bytes = Outbox::size_bytes + (std::uint64_t{4} << 20),
          .port_frames = tx_frames + receive_frames,
          .snapshots_max = splices_max};
}

nic::DmaMemory memory_of(const pagecache::PageCache& cache) {
  const FrameIndex receive_begin = cache.port_frames_begin().plus(tx_frames);
  return {.base = cache.dma_view(),
          .size_bytes = cache.arena_bytes(),
          .fd = cache.arena_fd(),
          .receive_begin = receive_begin,
          .receive_end = receive_begin.plus(receive_frames)};
}

std::unique_ptr<nic::DiscardPort> make_port(const StackConfig& config,
                                            const pagecache::PageCache& cache, ScriptWire& wire) {
  nic::DiscardConfig port;
  port.mtu_bytes = config.mtu_bytes;
  port.checksum_offload = false;  // the packets are looked at: the engine sums them
  port.rx_checksum = nic::RxChecksum::unknown;
  port.observers = {&wire};
  auto made = nic::DiscardPort::create(port, memory_of(cache));
  STRICTSEND_ASSERT(made.has_value());  // it has nothing but this memory to fail for
  return std::move(*made);
}

engine::LoopConfig loop_config(const StackConfig& config, const pagecache::PageCache& cache) {
  constexpr std::uint32_t header_bytes = 40;
  engine::LoopConfig loop;
  loop.address = config.address;
  loop.address6 = config.address6;
  const auto mss_bytes = static_cast<std::uint16_t>(config.mtu_bytes - header_bytes);
  loop.tcp.mss_bytes = config.mss_bytes != 0 ? std::min(config.mss_bytes, mss_bytes) : mss_bytes;
  loop.tcp.receive_buffer_bytes = config.receive_buffer_bytes;
  loop.tcp.congestion = config.congestion;
  loop.tcp.sack = config.sack;
  loop.tcp.ecn = config.ecn;
  loop.tcp.pacing = config.pacing;
  loop.tcp.idle_timeout = Duration{};  // scripts wait for longer than any server does
  loop.connections_max = VirtualStack::connections_max;
  loop.receive_buffer_bytes = std::bit_ceil(config.receive_buffer_bytes);
  loop.tx_slots = tx_slots;
  loop.tx_buffer_bytes = tx_buffer_bytes;
  loop.tx_buffers_begin = cache.port_frames_begin();
  loop.secret = {1, 2};  // each run of a script is the same
  return loop;
}

}  // namespace

Result<std::unique_ptr<VirtualStack>> VirtualStack::create(const StackConfig& config, Time now) {
  auto cache = pagecache::PageCache::create(cache_config());
  if (!cache) return tl::unexpected(std::move(cache.error()));
  auto outbox = Outbox::create(**cache);
  if (!outbox) return tl::unexpected(std::move(outbox.error()));
  return std::unique_ptr<VirtualStack>(
      new VirtualStack(config, std::move(*cache), std::move(*outbox), now));
}

VirtualStack::VirtualStack(const StackConfig& config, std::unique_ptr<pagecache::PageCache> cache,
                           Outbox outbox, Time now)
    : cache_(std::move(cache)),
      outbox_(std::move(outbox)),
      port_(make_port(config, *cache_, wire_)),
      capabilities_(port_->capabilities()),
      notifier_(UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))),
      events_(notifier_),
      splices_(splices_max),
      now_(now) {
  wire_.attach(memory_of(*cache_));
  wire_.set_time(now);
  loop_ = std::make_unique<engine::QueueLoop>(loop_config(config, *cache_), port_->queue(0),
                                              capabilities_, *cache_, notifier_, now);
}

VirtualStack::~VirtualStack() {
  on_event = nullptr;
  loop_->abort_all(now_, ECONNABORTED);
  loop_->stop_device();
  loop_->take_commands();
  take_events();
  const bool balanced = splices_.in_use() == 0 && cache_->settle(seconds(10));
  STRICTSEND_ASSERT(balanced);
}

// ---- time and packets ---------------------------------------------------------------------------

void VirtualStack::move_to(Time now) {
  STRICTSEND_ASSERT(now >= now_);
  now_ = now;
  wire_.set_time(now);
  settle();
}

bool VirtualStack::inject(std::span<const std::byte> ip_packet) {
  bool taken = true;
  for (const auto& frame : ScriptWire::frames_of(ip_packet, capabilities_))
    taken = port_->inject(frame) && taken;
  settle();
  return taken;
}

void VirtualStack::settle() {
  int idle_turns = 0;
  while (true) {
    const bool worked = loop_->poll(now_);
    take_events();
    if (!worked && !loop_->has_work() && loop_->intakes_empty()) return;
    if (worked) continue;
    STRICTSEND_ASSERT(++idle_turns < idle_turns_max);
    std::this_thread::sleep_for(std::chrono::microseconds(20));
  }
}

void VirtualStack::take_events() {
  std::array<Event, 32> batch;
  const auto done = [this](engine::SpliceOp& op) { splices_.give_back(op); };
  while (const std::size_t count = events_.take(batch, done, [this](engine::AnyFlow& flow) {
    recycle(engine::connection_of(flow));
  })) {
    for (std::size_t i = 0; i < count; ++i) {
      const Event& event = batch[i];
      std::vector<std::byte> rest;
      if (event.kind == Event::Kind::closed) {
        STRICTSEND_ASSERT(!rests_.empty() && rests_.front().first == event.connection);
        rest = std::move(rests_.front().second);
        rests_.pop_front();
      }
      if (on_event) on_event(event, std::move(rest));
    }
  }
}

void VirtualStack::recycle(engine::Flow& flow) {
  const ConnectionId id{flow.slot, flow.generation.load()};
  std::vector<std::byte> rest(flow.received.waiting());
  flow.received.take(rest);
  rests_.emplace_back(id, std::move(rest));
  flow.open.store(false);
  flow.generation.fetch_add(1);
  loop_->request(flow, engine::Flow::request_recycle);
}

// ---- the application's side ---------------------------------------------------------------------

engine::Flow* VirtualStack::find(ConnectionId id) {
  if (id.slot >= connections_max) return nullptr;
  engine::Flow& flow = loop_->flows()[id.slot];
  return flow.generation.load() == id.generation && flow.open.load() ? &flow : nullptr;
}

const tcp::Connection* VirtualStack::connection(ConnectionId id) {
  const engine::Flow* flow = find(id);
  return flow != nullptr && flow->connection ? &*flow->connection : nullptr;
}

Result<void> VirtualStack::submit(ConnectionId id, std::span<const std::byte> bytes) {
  engine::Flow* flow = find(id);
  if (flow == nullptr) return fail("submit", EPIPE, "the connection is gone");
  while (!bytes.empty()) {
    engine::SpliceOp* op = splices_.take();
    if (op == nullptr) return fail("submit", ENOBUFS, "8192 writes are unacknowledged");
    const auto piece = bytes.first(std::min(bytes.size(), Outbox::put_bytes_max));
    auto snapshot = outbox_.put(piece);
    if (!snapshot) {
      splices_.give_back(*op);
      return tl::unexpected(std::move(snapshot.error()));
    }
    op->flow = flow;
    op->connection = id;
    op->snapshot = *snapshot;
    op->file_offset = pagecache::snapshot_offset(**snapshot);
    op->file_bytes = pagecache::snapshot_length_bytes(**snapshot);
    loop_->submit(*op);
    bytes = bytes.subspan(piece.size());
  }
  settle();
  return {};
}

std::size_t VirtualStack::receive(ConnectionId id, std::span<std::byte> into) {
  engine::Flow* flow = find(id);
  if (flow == nullptr) return 0;
  const std::size_t count = flow->received.take(into);
  if (count > 0) {
    loop_->request(*flow, engine::Flow::request_consumed);
    settle();
  }
  return count;
}

std::size_t VirtualStack::waiting_bytes(ConnectionId id) {
  const engine::Flow* flow = find(id);
  return flow != nullptr ? flow->received.waiting() : 0;
}

void VirtualStack::close(ConnectionId id) {
  if (engine::Flow* flow = find(id)) {
    loop_->request(*flow, engine::Flow::request_close);
    settle();
  }
}

void VirtualStack::abort(ConnectionId id) {
  if (engine::Flow* flow = find(id)) {
    loop_->request(*flow, engine::Flow::request_abort);
    settle();
  }
}

}  // namespace strictsend::packetdrill
