// SPDX-License-Identifier: Apache-2.0
// What the XDP program takes besides IPv4: IPv6, tagged frames, and routers' "packet too big".
#include <gtest/gtest.h>

#include "nic/wire/tcp_packet.hpp"
#include "tests/support/af_xdp_rig.hpp"
#include "tests/support/icmp_errors.hpp"

namespace strictsend::test {
namespace {

constexpr std::uint16_t served_port = 8080;

class AfXdpFamilies : public testing::TestWithParam<nic::af_xdp::XdpHook> {
 protected:
  void SetUp() override {
    if (auto reason = NetNamespacePair::unavailable()) GTEST_SKIP() << *reason;
    AfXdpRig::Options options;
    options.port.hook = GetParam();
    auto made = AfXdpRig::make(options);
    ASSERT_TRUE(made) << made.error().message();
    rig = std::move(*made);
  }

  void serve(const IpAddress& address, wire::VlanId vlan_id = {}) {
    const auto done =
        rig->port->accept_flows({.address = address, .tcp_port = served_port, .vlan_id = vlan_id});
    ASSERT_TRUE(done) << done.error().message();
  }
  [[nodiscard]] wire::FlowAddress to(const IpAddress& address, wire::VlanId vlan_id = {}) const {
    return {.source_mac = rig->net.peer().mac,
            .destination_mac = rig->net.near().mac,
            .source = address.is_v4() ? IpAddress(192, 0, 2, 7) : their_v6,
            .destination = address,
            .source_port = 5000,
            .destination_port = served_port,
            .vlan_id = vlan_id};
  }
  static std::vector<std::byte> segment(const wire::FlowAddress& flow, std::uint32_t seq) {
    std::vector<std::byte> frame(wire::tcp_frame_header_bytes_max);
    frame.resize(
        wire::TcpHeaderTemplate(flow).emit(frame, {.seq = seq, .flags = {.ack = true}}, 0));
    frame.resize(std::max<std::size_t>(frame.size(), 64));
    return frame;
  }
  /// A segment that this end could have sent, which a router throws away.
  [[nodiscard]] std::vector<std::byte> own_segment(const IpAddress& address,
                                                   wire::VlanId vlan_id = {}) const {
    wire::FlowAddress flow = to(address, vlan_id);
    std::swap(flow.source_mac, flow.destination_mac);
    std::swap(flow.source, flow.destination);
    std::swap(flow.source_port, flow.destination_port);
    return segment(flow, 99);
  }
  /// Whether of all that was injected this is the first that came here: the others have passed.
  void expect_next_is(const std::vector<std::byte>& frame) const {
    EXPECT_EQ(rig->next_received(), frame);
  }

  const IpAddress our_v6 = parse_ip_address("2001:db8::1").value();
  const IpAddress their_v6 = parse_ip_address("2001:db8::2").value();
  std::unique_ptr<AfXdpRig> rig;
};

INSTANTIATE_TEST_SUITE_P(Hooks, AfXdpFamilies,
                         testing::Values(nic::af_xdp::XdpHook::native,
                                         nic::af_xdp::XdpHook::generic),
                         [](const auto& hook) {
                           return hook.param == nic::af_xdp::XdpHook::native ? "native" : "generic";
                         });

TEST_P(AfXdpFamilies, ipv6_comes_here_by_address_and_port) {
  serve(our_v6);
  wire::FlowAddress other = to(our_v6);
  other.destination_port = served_port + 1;
  rig->inject(segment(other, 1));
  other = to(their_v6);
  rig->inject(segment(other, 2));
  std::vector<std::byte> extended = segment(to(our_v6), 3);
  const std::array<std::byte, 8> hop_by_hop{std::byte{6}, std::byte{0}, std::byte{1}, std::byte{4}};
  extended.insert(extended.begin() + 54, hop_by_hop.begin(), hop_by_hop.end());
  extended[20] = std::byte{wire::next_header_hop_by_hop};
  rig->inject(extended);
  const std::vector<std::byte> frame = segment(to(our_v6), 4);
  rig->inject(frame);
  expect_next_is(frame);
}

TEST_P(AfXdpFamilies, of_tagged_frames_those_of_the_vlan_come_here) {
  const IpAddress our_v4 = rig->net.near().ipv4;
  serve(our_v6, 5);
  serve(our_v4, 5);
  rig->inject(segment(to(our_v4), 1));
  rig->inject(segment(to(our_v6), 2));
  rig->inject(segment(to(our_v4, 6), 3));
  for (const IpAddress& address : {our_v4, our_v6}) {
    const std::vector<std::byte> frame = segment(to(address, 5), 4);
    rig->inject(frame);
    expect_next_is(frame);
  }
}

TEST_P(AfXdpFamilies, a_tag_of_priority_alone_is_none) {
  serve(our_v6);
  std::vector<std::byte> frame = segment(to(our_v6, 5), 1);
  frame[14] = std::byte{0xe0};
  frame[15] = std::byte{0};
  rig->inject(frame);
  expect_next_is(frame);
}

TEST_P(AfXdpFamilies, rfc1191_rfc8201_packet_too_big_about_a_served_end_comes_here) {
  const IpAddress our_v4 = rig->net.near().ipv4;
  for (const wire::VlanId vlan_id : {wire::VlanId{}, wire::VlanId{5}}) {
    serve(our_v4, vlan_id);
    serve(our_v6, vlan_id);
    for (const IpAddress& address : {our_v4, our_v6}) {
      const std::size_t quoted = wire::ip_header_bytes(address.family()) + 8;
      std::vector<std::byte> sent = own_segment(address, vlan_id);
      const auto error = packet_too_big(sent, 1400, quoted);

      // About another port of ours, of another kind, about a packet that is none of ours, cut
      // short.
      const std::size_t tcp_at = wire::link_bytes(vlan_id) + quoted - 8;
      sent[tcp_at + 1] ^= std::byte{1};
      rig->inject(packet_too_big(sent, 1400, quoted));
      std::vector<std::byte> wrong = error;
      const std::size_t icmp_at = wire::link_bytes(vlan_id) + quoted - 8;
      wrong[icmp_at] = std::byte{1};
      rig->inject(wrong);
      wrong = error;
      wrong[icmp_at + wire::icmp_error_bytes + (address.is_v4() ? 15U : 23U)] ^= std::byte{1};
      rig->inject(wrong);
      wrong = error;
      wrong.resize(wrong.size() - 1);
      rig->inject(wrong);

      rig->inject(error);
      expect_next_is(error);
    }
  }
}

TEST_P(AfXdpFamilies, ping_and_other_errors_stay_the_kernels) {
  serve(rig->net.near().ipv4);
  const CommandResult ping =
      rig->net.run_in_namespace({"ping", "-c", "3", "-i", "0.01", rig->net.near().address});
  EXPECT_EQ(ping.exit_code, 0) << ping.output;
}

}  // namespace
}  // namespace strictsend::test
