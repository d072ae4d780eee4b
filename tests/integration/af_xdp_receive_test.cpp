// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <sys/socket.h>

#include <cstring>
#include <fcntl.h>
#include <poll.h>

#include <gtest/gtest.h>

#include "nic/wire/layout.hpp"
#include "nic/wire/tcp_packet.hpp"
#include "tests/support/af_xdp_rig.hpp"

namespace strictsend::test {
namespace {

constexpr std::uint16_t served_port = 8080;
constexpr std::uint16_t kernel_port = 8081;

/// Both hooks of the XDP program have to behave alike.
class AfXdpReceive : public testing::TestWithParam<nic::af_xdp::XdpHook> {
 protected:
  void SetUp() override {
    if (auto reason = NetNamespacePair::unavailable()) GTEST_SKIP() << *reason;
    AfXdpRig::Options options;
    options.port.hook = GetParam();
    auto made = AfXdpRig::make(options);
    ASSERT_TRUE(made) << made.error().message();
    rig = std::move(*made);
    const auto done = rig->port->accept_flows({rig->net.near().ipv4, served_port});
    ASSERT_TRUE(done) << done.error().message();
  }

  /// A client socket at the far end that begins to connect to `port`, without waiting.
  [[nodiscard]] UniqueFd begin_connecting(std::uint16_t port) const {
    UniqueFd fd;
    rig->net.in_namespace([&] {
      fd = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
      const sockaddr_in address = near_address(port);
      ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
    });
    return fd;
  }
  /// 0: connected; else what became of it.
  [[nodiscard]] static int connection_error(const UniqueFd& fd) {
    pollfd entry{fd.get(), POLLOUT, 0};
    if (::poll(&entry, 1, 10'000) <= 0) return ETIMEDOUT;
    int error = 0;
    socklen_t bytes = sizeof error;
    ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &bytes);
    return error;
  }
  [[nodiscard]] UniqueFd listen_in_kernel(std::uint16_t port) const {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in address = near_address(port);
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(fd.get(), 8), 0);
    return fd;
  }
  [[nodiscard]] sockaddr_in near_address(std::uint16_t port) const {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    std::memcpy(&address.sin_addr, rig->net.near().ipv4.data(), 4);
    return address;
  }

  /// A TCP segment from the far end to the served port.
  [[nodiscard]] std::vector<std::byte> segment(std::uint32_t seq,
                                               std::uint32_t payload_bytes) const {
    const wire::TcpHeaderTemplate headers({rig->net.peer().mac, rig->net.near().mac,
                                           rig->net.peer().ipv4, rig->net.near().ipv4, 5000,
                                           served_port});
    std::vector<std::byte> frame(wire::tcp_frame_header_bytes_max + payload_bytes);
    wire::TcpSegmentHeader header;
    header.seq = seq;
    header.flags.ack = true;
    header.payload_bytes = payload_bytes;
    const std::vector<std::byte> payload(payload_bytes, static_cast<std::byte>(seq));
    const std::uint32_t header_bytes = headers.emit(frame, header, inet_sum(payload));
    std::ranges::copy(payload, frame.begin() + header_bytes);
    frame.resize(header_bytes + payload_bytes);
    return frame;
  }
  void expect_next_is(std::uint32_t seq) const {
    const std::vector<std::byte> frame = rig->next_received();
    const auto parsed = wire::parse_tcp_packet(frame, nic::RxChecksum::unknown);
    ASSERT_TRUE(parsed) << wire::to_string(parsed.error());
    EXPECT_EQ(parsed->seq, seq);
  }

  std::unique_ptr<AfXdpRig> rig;
};

INSTANTIATE_TEST_SUITE_P(Hooks, AfXdpReceive,
                         testing::Values(nic::af_xdp::XdpHook::native,
                                         nic::af_xdp::XdpHook::generic),
                         [](const auto& hook) {
                           return hook.param == nic::af_xdp::XdpHook::native ? "native" : "generic";
                         });

TEST_P(AfXdpReceive, the_served_port_comes_here_and_everything_else_reaches_the_kernel) {
  const UniqueFd listener = listen_in_kernel(kernel_port);
  const UniqueFd shadowed = listen_in_kernel(served_port);

  const UniqueFd client = begin_connecting(served_port);
  const std::vector<std::byte> syn = rig->next_received();
  // A veth peer leaves the checksum to the device that is not there.
  const auto parsed = wire::parse_tcp_packet(syn, nic::RxChecksum::partial);
  ASSERT_TRUE(parsed) << wire::to_string(parsed.error());
  EXPECT_TRUE(parsed->flags.syn);
  EXPECT_EQ(parsed->destination_port, served_port);

  EXPECT_EQ(connection_error(begin_connecting(kernel_port)), 0);
  EXPECT_EQ(connection_error(begin_connecting(kernel_port + 1)), ECONNREFUSED);
  const CommandResult ping =
      rig->net.run_in_namespace({"ping", "-c", "3", "-i", "0.01", rig->net.near().address});
  EXPECT_EQ(ping.exit_code, 0) << ping.output;
  // The kernel never saw the served connection.
  pollfd entry{shadowed.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&entry, 1, 0), 0);
}

// Why the port says RxChecksum::partial on veth.
TEST_P(AfXdpReceive, a_veth_peer_leaves_checksums_unfinished_unless_its_offload_is_off) {
  for (const bool offload : {true, false}) {
    const std::string state = offload ? "on" : "off";
    ASSERT_EQ(
        rig->net.run_in_namespace({"ethtool", "-K", rig->net.peer().interface_name, "tx", state})
            .exit_code,
        0);
    const UniqueFd client = begin_connecting(served_port);
    const std::vector<std::byte> syn = rig->next_received();
    EXPECT_TRUE(wire::parse_tcp_packet(syn, nic::RxChecksum::partial));
    EXPECT_EQ(wire::parse_tcp_packet(syn, nic::RxChecksum::unknown).has_value(), !offload);
  }
}

TEST_P(AfXdpReceive, the_same_port_of_another_address_is_the_kernels) {
  ASSERT_TRUE(rig->port->accept_flows({{203, 0, 113, 1}, kernel_port}));
  const UniqueFd listener = listen_in_kernel(kernel_port);
  EXPECT_EQ(connection_error(begin_connecting(kernel_port)), 0);
}

TEST_P(AfXdpReceive, receive_frames_go_round) {
  // Many times as many packets as there are receive frames, in bursts that fit.
  std::uint32_t seq = 0;
  for (int burst = 0; burst < 60; ++burst) {
    const std::uint32_t first = seq;
    for (int i = 0; i < 16; ++i)
      rig->inject(segment(seq++, 1200));
    for (std::uint32_t expected = first; expected < seq; ++expected)
      expect_next_is(expected);
  }
  const nic::QueueCounters& counters = rig->queue().counters();
  EXPECT_EQ(counters.rx_packets, seq);
  EXPECT_EQ(counters.rx_dropped, 0U);
}

TEST_P(AfXdpReceive, what_does_not_fit_is_dropped_and_counted_and_then_it_goes_on) {
  // 64 receive frames: more packets than that at once, and nobody takes them.
  for (std::uint32_t seq = 0; seq < 200; ++seq)
    rig->inject(segment(seq, 100));
  std::uint32_t received = 0;
  while (!rig->queue().arm_wait() || received == 0) {
    const std::vector<std::byte> frame = rig->next_received();
    ASSERT_FALSE(frame.empty());
    ++received;
    if (received + rig->queue().counters().rx_dropped == 200) break;
  }
  EXPECT_EQ(received + rig->queue().counters().rx_dropped, 200U);
  EXPECT_GT(rig->queue().counters().rx_dropped, 0U);
  rig->inject(segment(1000, 100));
  expect_next_is(1000);
}

TEST_P(AfXdpReceive, fragments_and_tagged_frames_pass_by) {
  std::vector<std::byte> fragment = segment(1, 100);
  wire::Ipv4Layout ip;
  std::memcpy(&ip, fragment.data() + wire::ethernet_bytes, sizeof ip);
  ip.flags_fragment_offset = 0x2000;  // more fragments
  std::memcpy(fragment.data() + wire::ethernet_bytes, &ip, sizeof ip);
  rig->inject(fragment);
  ip.flags_fragment_offset = 5;  // a later one
  std::memcpy(fragment.data() + wire::ethernet_bytes, &ip, sizeof ip);
  rig->inject(fragment);

  std::vector<std::byte> tagged = segment(2, 100);
  const std::array tag = {std::byte{0x81}, std::byte{0}, std::byte{0}, std::byte{5}};
  tagged.insert(tagged.begin() + 12, tag.begin(), tag.end());
  rig->inject(tagged);

  std::vector<std::byte> cut = segment(3, 0);
  cut.resize(wire::ethernet_bytes + wire::ipv4_bytes_min + 10);
  rig->inject(cut);

  rig->inject(segment(4, 100));
  expect_next_is(4);
}

TEST_P(AfXdpReceive, a_header_with_ip_options_is_found) {
  std::vector<std::byte> frame = segment(7, 50);
  const std::array<std::byte, 4> options = {std::byte{1}, std::byte{1}, std::byte{1}, std::byte{0}};
  frame[wire::ethernet_bytes] = std::byte{0x46};
  frame.insert(frame.begin() + wire::ethernet_bytes + wire::ipv4_bytes_min, options.begin(),
               options.end());
  rig->inject(frame);
  EXPECT_EQ(rig->next_received(), frame);
}

TEST_P(AfXdpReceive, several_packets_can_be_held_before_they_are_released) {
  for (std::uint32_t seq = 0; seq < 10; ++seq)
    rig->inject(segment(seq, 10));
  std::array<nic::RxPacket, 16> held;
  std::size_t count = 0;
  const Time deadline = monotonic_now() + seconds(10);
  while (count < 10 && (deadline - monotonic_now()).ns > 0)
    count += rig->queue().receive(std::span(held).subspan(count));
  ASSERT_EQ(count, 10U);
  for (std::uint32_t seq = 0; seq < 10; ++seq) {
    const auto parsed = wire::parse_tcp_packet(held[seq]);
    ASSERT_TRUE(parsed);
    EXPECT_EQ(parsed->seq, seq);
    EXPECT_EQ(held[seq].checksum, nic::RxChecksum::partial);
  }
  rig->queue().release_received();
}

}  // namespace
}  // namespace strictsend::test
