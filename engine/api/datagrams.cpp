// SPDX-License-Identifier: Apache-2.0
// The application's side of datagram flows.
#include <sys/random.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include "engine/api/engine_impl.hpp"
#include "engine/transport/udp/local_ports.hpp"
#include "nic/wire/ip_packet.hpp"

namespace strictsend {

using engine::AnyFlow;
using engine::DatagramFlow;
using engine::LoopThread;
using engine::SpliceOp;

namespace {

constexpr std::size_t udp_bytes = 8;

std::uint32_t headers_bytes(const IpAddress& peer) {
  return static_cast<std::uint32_t>(wire::ip_header_bytes(peer.family()) + udp_bytes);
}

bool lies_within(const DatagramField& field, std::size_t header_bytes) {
  return field.width_bytes <= sizeof(std::uint64_t) &&
         field.offset_bytes + std::size_t{field.width_bytes} <= header_bytes;
}

bool overlap(const DatagramField& a, const DatagramField& b) {
  return a.width_bytes > 0 && b.width_bytes > 0 &&
         a.offset_bytes < b.offset_bytes + b.width_bytes &&
         b.offset_bytes < a.offset_bytes + a.width_bytes;
}

tl::unexpected<Error> refuse_open(int error, std::string hint) {
  return fail("open datagram flow", error, std::move(hint));
}

}  // namespace

DatagramFlow& Engine::Impl::datagram_flow_of(std::uint32_t slot) {
  return threads_[slot / datagram_flows_each_]
      ->loop()
      .datagram_flows()[slot % datagram_flows_each_];
}

LoopThread& Engine::Impl::thread_of(const AnyFlow& flow) {
  return flow.kind == AnyFlow::Kind::connection ? thread_of(flow.slot)
                                                : *threads_[flow.slot / datagram_flows_each_];
}

DatagramFlow* Engine::Impl::find(DatagramFlowId id) {
  if (id.slot >= datagram_flows_each_ * threads_.size()) return nullptr;
  DatagramFlow& flow = datagram_flow_of(id.slot);
  const bool alive = flow.generation.load(std::memory_order_acquire) == id.generation &&
                     flow.open.load(std::memory_order_acquire);
  return alive ? &flow : nullptr;
}

std::optional<std::uint16_t> Engine::Impl::free_local_port(const DatagramFlowConfig& config) {
  udp::LocalPorts ports;
  for (const auto& thread : threads_) {
    for (const DatagramFlow& flow : thread->loop().datagram_flows()) {
      if (flow.open.load(std::memory_order_relaxed) &&
          flow.key.peer_address == config.peer_address && flow.key.peer_port == config.peer_port)
        ports.take(flow.key.local_port);
    }
  }
  if (config.local_port != 0)
    return ports.taken(config.local_port) ? std::nullopt : std::optional(config.local_port);
  // Not the same ones after each start: a receiver may remember the last run's. RFC 6056 §3.3.1.
  std::uint32_t first = 0;
  if (::getrandom(&first, sizeof first, 0) != static_cast<ssize_t>(sizeof first)) first = 0;
  return ports.free_from(first);
}

Result<nic::RouteQuery> Engine::Impl::route_to(const IpAddress& peer) {
  const auto own = std::ranges::find(addresses_, peer.family(), &IpAddress::family);
  if (own == addresses_.end()) {
    return refuse_open(EAFNOSUPPORT, "the engine has no address of this family: set " +
                                         std::string(peer.is_v4() ? "address" : "address6"));
  }
  if (wire::is_group(peer) || peer == *own)
    return refuse_open(EINVAL, to_string(peer) + " is no single other host's address");
  const nic::RouteQuery query{*own, peer, config_.vlan_id};
  if (!host_) {
    if (Result<nic::NextHop> hop = next_hops_->ask(query); !hop)
      return tl::unexpected(std::move(hop.error()));
    return query;
  }
  if (host_->config().may_be_peer(peer) && host_->has_route(peer)) return query;
  return refuse_open(ENETUNREACH, to_string(peer) +
                                      " is no host of the engine's network, and no gateway is "
                                      "named: set prefix_bits or gateway (IPv6: prefix6_bits, "
                                      "gateway6)");
}

DatagramFlow* Engine::Impl::take_datagram_flow() {
  if (datagram_flows_open_ == config_.max_datagram_flows) return nullptr;
  // The queue with the fewest: they take their turns there.
  DatagramFlow* taken = nullptr;
  std::size_t fewest = SIZE_MAX;
  for (auto& thread : threads_) {
    const std::span<DatagramFlow> flows = thread->loop().datagram_flows();
    const auto available = [](const DatagramFlow& flow) {
      return flow.available.load(std::memory_order_acquire);
    };
    const auto free = std::ranges::find_if(flows, available);
    if (free == flows.end()) continue;
    const auto used =
        flows.size() - static_cast<std::size_t>(std::ranges::count_if(flows, available));
    if (used >= fewest) continue;
    fewest = used;
    taken = &*free;
  }
  if (taken != nullptr) taken->available.store(false, std::memory_order_relaxed);
  return taken;
}

Result<DatagramFlowId> Engine::Impl::open_datagram_flow(const DatagramFlowConfig& config) {
  if (config.peer_port == 0) return refuse_open(EINVAL, "peer_port must be 1 to 65535");
  if (config.payload_bytes == 0) return refuse_open(EINVAL, "payload_bytes must be at least 1");
  const std::uint32_t most =
      datagram_limits_.payload_bytes_max(headers_bytes(config.peer_address)).value_or(0);
  if (config.payload_bytes > most) {
    return refuse_open(EMSGSIZE, "payload_bytes may be at most " + std::to_string(most) +
                                     " here; raise the port's MTU for more");
  }
  // Before the lock: the kernel may be asked.
  const Result<nic::RouteQuery> query = route_to(config.peer_address);
  if (!query) return tl::unexpected(query.error());
  const std::lock_guard lock(mutex_);
  if (stopped_) return refuse_open(ESHUTDOWN, "the engine has been stopped");
  const std::optional<std::uint16_t> local_port = free_local_port(config);
  if (!local_port) {
    return refuse_open(EADDRINUSE,
                       "another flow goes from this port to this peer: name another "
                       "local_port, or 0 for any");
  }
  DatagramFlow* const flow = take_datagram_flow();
  if (flow == nullptr) {
    return refuse_open(ENOBUFS,
                       "all max_datagram_flows are open: raise it, or close one and poll "
                       "its `closed` event");
  }
  ++datagram_flows_open_;
  flow->key = {config.peer_address, config.peer_port, *local_port};
  flow->payload_bytes = config.payload_bytes;
  flow->rate_bytes_per_s = config.rate_bytes_per_s;
  flow->next_hop.store(engine::pack(nic::NextHop{}), std::memory_order_relaxed);
  flow->open.store(true, std::memory_order_release);
  const DatagramFlowId id{flow->slot, flow->generation.load(std::memory_order_relaxed)};
  request(*flow, AnyFlow::request_open);
  if (next_hops_) next_hops_->add(*flow, *query);
  return id;
}

Result<void> Engine::Impl::end(DatagramFlowId id, AnyFlow::RequestBit bit, const char* operation) {
  const std::lock_guard lock(mutex_);
  DatagramFlow* flow = find(id);
  if (flow == nullptr) return fail(operation, ENOTCONN, "the datagram flow is gone");
  flow->closed_by_application.store(true, std::memory_order_relaxed);
  request(*flow, bit);
  return {};
}

Result<std::uint64_t> Engine::Impl::submit(DatagramSplice&& splice) {
  const std::size_t header_bytes = splice.header.size();
  const std::uint64_t file_bytes = splice.snapshot.valid() ? splice.snapshot.length_bytes() : 0;
  if (header_bytes > DatagramSplice::max_header_bytes)
    return fail("submit", EMSGSIZE, "a datagram's header is at most 64 bytes");
  if (header_bytes + file_bytes == 0)
    return fail("submit", EINVAL, "nothing to send: give a snapshot or a header");
  if (!lies_within(splice.sequence, header_bytes) ||
      !lies_within(splice.byte_offset, header_bytes) ||
      overlap(splice.sequence, splice.byte_offset)) {
    return fail("submit", EINVAL,
                "sequence and byte_offset must be apart, within the header, and 8 bytes at most");
  }
  const std::lock_guard lock(mutex_);
  DatagramFlow* flow = find(splice.flow);
  if (flow == nullptr) return fail("submit", ENOTCONN, "the datagram flow is gone");
  const std::optional<std::uint32_t> most = datagram_limits_.payload_bytes_max(
      headers_bytes(flow->key.peer_address) + static_cast<std::uint32_t>(header_bytes));
  if (!most) {
    return fail("submit", EMSGSIZE,
                "this header alone does not fit a datagram here; shorten it, or raise the port's "
                "MTU");
  }
  if (std::min<std::uint64_t>(file_bytes, flow->payload_bytes) > *most) {
    return fail("submit", EMSGSIZE,
                "with this header a datagram carries at most " + std::to_string(*most) +
                    " bytes: open the flow with a smaller payload_bytes");
  }
  Result<SpliceOp*> op = take_splice(*flow, header_bytes);
  if (!op) return tl::unexpected(std::move(op.error()));
  (*op)->connection = {splice.flow.slot, splice.flow.generation};
  (*op)->notify_sent = splice.notify_sent;
  (*op)->user_data = splice.user_data;
  (*op)->header.assign(splice.header.begin(), splice.header.end());
  (*op)->sequence = splice.sequence;
  (*op)->byte_offset = splice.byte_offset;
  (*op)->slices = udp::Slices(file_bytes, flow->payload_bytes);
  (*op)->file_offset = file_bytes > 0 ? splice.snapshot.offset() : 0;
  (*op)->file_bytes = file_bytes;
  (*op)->snapshot = std::exchange(splice.snapshot.state_, nullptr);
  return push_splice(**op);
}

}  // namespace strictsend
