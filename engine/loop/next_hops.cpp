// SPDX-License-Identifier: Apache-2.0
// Where datagrams go: nobody has come from there, so the neighbour has to be asked for. Where the
// engine owns the interface, the loop asks the host's table; elsewhere another thread asks the
// kernel, and the flow's word says what came of it.
#include <cerrno>

#include "engine/host/host.hpp"
#include "engine/loop/queue_loop.hpp"

namespace strictsend::engine {
namespace {

/// While an answer is waited for: it arrives at whatever queue the NIC chooses.
constexpr Duration look_up_soon = milliseconds(5);
constexpr Duration look_up_every = milliseconds(500);

}  // namespace

bool QueueLoop::follow_next_hop(DatagramFlow& flow) {
  const nic::NextHop hop = next_hop_of(flow);
  switch (hop.state) {
    case nic::NextHop::State::asking:
      return false;
    case nic::NextHop::State::unreachable:
      while (udp::Batch* batch = flow.sender.front()) {
        counters_.datagram_splices_unreachable.add();
        fail_splice(flow, static_cast<SpliceOp&>(*batch), EHOSTUNREACH);
      }
      return false;
    case nic::NextHop::State::found:
      break;
  }
  if (hop.mac == flow.peer_mac) return true;
  flow.peer_mac = hop.mac;
  flow.header = wire::UdpHeaderTemplate({.source_mac = port_.mac,
                                         .destination_mac = hop.mac,
                                         .source = config_.own_address_for(flow.key.peer_address),
                                         .destination = flow.key.peer_address,
                                         .source_port = flow.key.local_port,
                                         .destination_port = flow.key.peer_port,
                                         .vlan_id = config_.vlan_id});
  return true;
}

bool QueueLoop::receive_refusal(const nic::RxPacket& received) {
  const wire::Parsed<wire::PortUnreachable> error = wire::parse_port_unreachable(received.bytes);
  if (!error || !config_.serves(error->source) || error->vlan_id != config_.vlan_id ||
      (config_.host != nullptr && error->destination_mac != port_.mac))
    return false;
  counters_.datagrams_refused.add();
  return true;
}

nic::NextHop QueueLoop::next_hop_of(DatagramFlow& flow) {
  if (config_.host != nullptr && now_ >= flow.look_up_at) {
    const nic::NextHop hop = ask_host(flow);
    flow.look_up_at =
        now_ + (hop.state == nic::NextHop::State::asking ? look_up_soon : look_up_every);
    flow.next_hop.store(pack(hop), std::memory_order_relaxed);
    return hop;
  }
  return unpack_next_hop(flow.next_hop.load(std::memory_order_relaxed));
}

nic::NextHop QueueLoop::ask_host(DatagramFlow& flow) {
  const Neighbour neighbour = config_.host->neighbour_for(flow.key.peer_address);
  using State = nic::NextHop::State;
  State seen = State::asking;
  if (neighbour.usable()) seen = State::found;
  if (neighbour.state == NeighbourState::unreachable) seen = State::unreachable;
  const State state = flow.answer_wait.after(seen, now_);
  // Nothing ever comes back that would confirm it: what is stale is asked for while it is used. And
  // a table that is full of others who are asked for may have no place for this one yet.
  if (neighbour.state == NeighbourState::stale ||
      (state == State::asking && neighbour.state != NeighbourState::incomplete))
    ask_for_next_hop(flow.key.peer_address);
  return {state, state == State::found ? neighbour.mac : nic::MacAddress{}};
}

}  // namespace strictsend::engine
