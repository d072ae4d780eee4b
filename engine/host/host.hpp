// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <span>

#include "base/clock.hpp"
#include "engine/host/host_config.hpp"
#include "engine/host/neighbours.hpp"
#include "nic/wire/arp_packet.hpp"
#include "nic/wire/icmp_echo.hpp"
#include "nic/wire/neighbour_packet.hpp"

namespace strictsend::engine {

/// What a frame that is no TCP for us calls for. The views are of the frame's bytes.
struct HostStep {
  enum class Kind : std::uint8_t {
    ignored,         ///< nothing: somebody else's, broken, or of a protocol that is not spoken here
    heard,           ///< ARP or neighbour discovery that asks nothing of us
    answer_request,  ///< send `arp` or `neighbour`: somebody asks who has our address
    conflict,        ///< somebody else claims our address; send either, if set, to defend it
    answer_echo,     ///< send `echo`
  };
  Kind kind = Kind::ignored;
  std::optional<wire::ArpPacket> arp;
  std::optional<wire::NeighbourPacket> neighbour;
  std::optional<wire::IcmpEchoView> echo;
};

/// What a host does beside TCP where no kernel does it: it answers ARP, neighbour discovery and
/// ping, defends its addresses, finds its gateways, and finds neighbours again that have moved.
///
/// Of IPv6 it does no more than a host of fixed addresses needs: no autoconfiguration and no router
/// discovery, so gateways are named; and no MLD, although RFC 4861 §7.2.1 has hosts join the group
/// of their solicited-node address: ports take all multicast in, but a switch that snoops on MLD
/// with no querier's flooding may keep solicitations from us.
///
/// One for all queues of a port, owned by whoever owns their loops. Decisions only: frames and
/// times come in, frames to be sent go out as values. Nothing locks, waits or allocates; what the
/// threads share are the neighbours and one word.
class Host {
 public:
  /// RFC 5227 §1.1: ANNOUNCE_NUM, ANNOUNCE_INTERVAL, DEFEND_INTERVAL.
  static constexpr std::uint32_t announcements = 2;
  static constexpr Duration announce_interval = seconds(2);
  static constexpr Duration defend_interval = seconds(10);
  static constexpr Duration keep_interval = milliseconds(500);
  // RFC 4861 §10 has three unsolicited advertisements at most; two go out with the announcements.

  Host(const HostConfig& config, Time now);

  [[nodiscard]] const HostConfig& config() const { return config_; }

  // Any engine thread.
  [[nodiscard]] HostStep on_frame(std::span<const std::byte> frame, Time now);
  /// Where an answer to a peer goes: to the gateway, if the peer is behind it and it is known, else
  /// to where the peer's packet came from.
  [[nodiscard]] nic::MacAddress way_back(const IpAddress& peer,
                                         const nic::MacAddress& came_from) const;
  /// Where ARP says that frames for a peer go, if it is sure enough to set aside what worked
  /// before.
  [[nodiscard]] std::optional<nic::MacAddress> next_hop(const IpAddress& peer) const;
  /// Whether a peer can be sent to: it is in our network, or there is a gateway.
  [[nodiscard]] bool has_route(const IpAddress& peer) const { return hop_of(peer).has_value(); }
  /// What is known of the neighbour that packets for a peer go through, for somebody who has not
  /// heard from it. There must be a route.
  [[nodiscard]] Neighbour neighbour_for(const IpAddress& peer) const;
  /// A connection has heard nothing for a retransmission time-out: the request to send, if any.
  [[nodiscard]] std::optional<wire::ArpPacket> suspect(const Ipv4Address& peer, Time now);
  [[nodiscard]] std::optional<wire::NeighbourPacket> suspect(const Ipv6Address& peer, Time now);
  /// A connection's peer is proven to send from this MAC now.
  void moved(const IpAddress& peer, const nic::MacAddress& mac, Time now);

  /// The keeper's, as is the next: who is behind the link may have changed.
  void announce_again(Time now) {
    announcements_left_ = announcements;
    announce_at_ = now;
  }
  /// The keeper is one engine thread. Hands every frame that is due to `send`, and returns when to
  /// be called next.
  template <class Send>
  Time keep(Time now, Send&& send) {
    if (announcements_left_ > 0 && now >= announce_at_) {
      const bool first = announcements_left_ == announcements;
      --announcements_left_;
      announce_at_ = now + announce_interval;
      if (config_.address) send(announcement());
      // RFC 4862 §5.4.2: somebody who has the address answers, and then it is in conflict.
      if (config_.address6 && first) send(duplicate_probe());
      if (config_.address6) send(advertisement_to_all());
    }
    for (std::uint32_t i = 0; i < Neighbours::places; ++i) {
      const auto request = neighbours_.due(i, now);
      if (!request) continue;
      if (request->target.is_v4())
        send(arp_request(*request));
      else
        send(solicitation(*request));
    }
    return now + keep_interval;
  }

  [[nodiscard]] const Neighbours& neighbours() const { return neighbours_; }

 private:
  [[nodiscard]] HostStep on_arp(const wire::ArpPacket& packet, Time now);
  [[nodiscard]] bool may_defend(AddressFamily family, Time now);
  [[nodiscard]] HostStep on_echo(const wire::IcmpEchoView& echo) const;
  [[nodiscard]] bool for_us(const nic::MacAddress& destination) const;
  [[nodiscard]] wire::ArpPacket arp_request(const NeighbourRequest& request) const;
  [[nodiscard]] wire::ArpPacket announcement() const;
  /// The neighbour that a peer's packets go through, if it is one to be asked for.
  [[nodiscard]] std::optional<IpAddress> hop_of(const IpAddress& peer) const;
  [[nodiscard]] std::optional<NeighbourRequest> suspect_hop(const IpAddress& peer, Time now);

  // IPv6 (host_ipv6.cpp).
  [[nodiscard]] HostStep on_neighbour(const wire::NeighbourPacket& packet, Time now);
  [[nodiscard]] HostStep on_solicitation(const wire::NeighbourPacket& packet, Time now);
  [[nodiscard]] HostStep on_advertisement(const wire::NeighbourPacket& packet, Time now);
  [[nodiscard]] bool for_us(const wire::NeighbourPacket& packet) const;
  [[nodiscard]] wire::NeighbourPacket solicitation(const NeighbourRequest& request) const;
  [[nodiscard]] wire::NeighbourPacket advertisement_to_all() const;
  [[nodiscard]] wire::NeighbourPacket duplicate_probe() const;

  const HostConfig config_;
  Neighbours neighbours_;
  /// Of each family's address, the last time; whoever moves it sends the defence.
  std::array<std::atomic<std::int64_t>, 2> defended_ns_;
  std::uint32_t announcements_left_ = announcements;  ///< this and the next: the keeper's
  Time announce_at_;
};

}  // namespace strictsend::engine
