// SPDX-License-Identifier: Apache-2.0
// The packetdrill adapter: IPv4, mapped and IPv6 sockets, and routers' errors.
#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <string>

#include <gtest/gtest.h>

#include "tests/unit/packetdrill/packetdrill_fixture.hpp"

namespace strictsend::testing {
namespace {

/// As packetdrill's --ip_version= has them: of the sockets, and of the packets.
struct IpVersion {
  const char* name;
  int domain;
  AddressFamily family;
};

class PacketdrillIpVersion : public ::testing::TestWithParam<IpVersion> {
 protected:
  PacketdrillIpVersion() { script.speak(GetParam().family); }

  int accepted(std::uint16_t mss_bytes = 1000) {
    const int listener = script.listens(GetParam().domain);
    script.connects(mss_bytes);
    const int fd = table.accept(me, listener, nullptr, nullptr);
    EXPECT_GE(fd, 0);
    return fd;
  }
  /// RFC 1191 §4, RFC 4443 §3.2.
  int inject_too_big(std::uint32_t mtu_bytes, std::uint32_t quoted_seq) {
    ScriptIcmp error{.type = 3, .code = 4, .mtu_bytes = mtu_bytes, .quoted_seq = quoted_seq};
    if (script.speaks_ipv6()) error = {.type = 2, .mtu_bytes = mtu_bytes, .quoted_seq = quoted_seq};
    return script.inject(error);
  }

  PacketdrillScript script;
  packetdrill_interface& table = script.table;
  void* const me = script.me();
};

INSTANTIATE_TEST_SUITE_P(All, PacketdrillIpVersion,
                         ::testing::Values(IpVersion{"ipv4", AF_INET, AddressFamily::ipv4},
                                           IpVersion{"mapped", AF_INET6, AddressFamily::ipv4},
                                           IpVersion{"ipv6", AF_INET6, AddressFamily::ipv6}),
                         [](const auto& version) { return std::string(version.param.name); });

TEST_P(PacketdrillIpVersion, rfc9293_3_7_1_the_mss_is_what_the_headers_leave) {
  script.listens(GetParam().domain);
  script.inject({.flags = "S", .window = 32792, .options = {2, 4, 3, 232}});
  const auto answer = script.sniff();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->flags, "SA");
  const std::size_t mss_bytes = 1500 - 20 - script.ip_bytes();
  EXPECT_EQ(answer->options, (std::vector<std::uint8_t>{2, 4, std::uint8_t(mss_bytes >> 8),
                                                        std::uint8_t(mss_bytes & 0xff)}));
}

TEST_P(PacketdrillIpVersion, bytes_go_both_ways_and_again_when_they_are_lost) {
  const int fd = accepted();
  const std::string text = text_of(2500);
  ASSERT_EQ(table.write(me, fd, text.data(), text.size()), 2500);
  EXPECT_EQ(script.sniff_payload(2500), text);
  script.sleep_ms(1500);  // RFC 6298 §5.4: the first that is not acknowledged
  const auto again = script.sniff_past_acks();
  ASSERT_TRUE(again);
  EXPECT_EQ(again->payload, text.substr(again->seq - 1, again->payload.size()));
  script.inject({.flags = "A", .seq = 1, .ack = 2501, .window = 257});
  // Longer than the MTU: it arrives in pieces.
  ASSERT_EQ(script.inject({.flags = "PA", .seq = 1, .ack = 2501, .window = 257, .payload = text}),
            0);
  std::string received(text.size(), ' ');
  EXPECT_EQ(table.read(me, fd, received.data(), received.size()), 2500);
  EXPECT_EQ(received, text);
}

TEST_P(PacketdrillIpVersion, a_packet_too_big_shrinks_the_segments) {
  const int fd = accepted(1400);
  const std::string text = text_of(2800);
  ASSERT_EQ(table.write(me, fd, text.data(), text.size()), 2800);
  EXPECT_EQ(script.sniff()->payload.size(), 1400U);
  EXPECT_EQ(script.sniff()->payload.size(), 1400U);
  ASSERT_EQ(inject_too_big(1280, 1), 0);
  const std::size_t mss_bytes = 1280 - 20 - script.ip_bytes();
  const auto again = script.sniff();
  ASSERT_TRUE(again);
  EXPECT_EQ(again->seq, 1U);
  EXPECT_EQ(again->payload, text.substr(0, mss_bytes));
  tcp_info info{};
  socklen_t bytes = sizeof info;
  ASSERT_EQ(table.getsockopt(me, fd, IPPROTO_TCP, TCP_INFO, &info, &bytes), 0);
  EXPECT_EQ(info.tcpi_snd_mss, mss_bytes);
  EXPECT_EQ(info.tcpi_pmtu, 1280U);
  EXPECT_EQ(info.tcpi_advmss, 1480 - script.ip_bytes());
}

TEST_P(PacketdrillIpVersion, rfc5927_an_error_about_what_was_never_sent_is_not_believed) {
  const int fd = accepted(1400);
  ASSERT_EQ(table.write(me, fd, "sent", 4), 4);
  EXPECT_EQ(script.sniff_payload(4), "sent");
  EXPECT_EQ(inject_too_big(1280, 1'000'000), 0);
  script.inject({.flags = "A", .seq = 1, .ack = 5, .window = 257});
  const std::string text = text_of(1400);
  ASSERT_EQ(table.write(me, fd, text.data(), text.size()), 1400);
  EXPECT_EQ(script.sniff()->payload, text);
}

TEST_P(PacketdrillIpVersion, rfc1122_4_2_3_9_unreachable_does_not_end_a_connection) {
  const int fd = accepted();
  ASSERT_EQ(table.write(me, fd, "sent", 4), 4);
  const std::uint8_t unreachable = script.speaks_ipv6() ? 1 : 3;
  EXPECT_EQ(script.inject(ScriptIcmp{.type = unreachable, .code = 1, .quoted_seq = 1}), 0);
  EXPECT_EQ(option(script, fd, SOL_SOCKET, SO_ERROR), 0);
  EXPECT_EQ(table.write(me, fd, " on", 3), 3);
  EXPECT_EQ(script.sniff_payload(7), "sent on");
}

TEST_F(Packetdrill, an_ipv6_socket_tells_its_peers_address) {
  script.speak(AddressFamily::ipv6);
  const int listener = script.listens();
  script.connects();
  sockaddr_in6 peer{};
  socklen_t bytes = sizeof peer;
  ASSERT_GE(table.accept(me, listener, reinterpret_cast<sockaddr*>(&peer), &bytes), 0);
  EXPECT_EQ(bytes, sizeof peer);
  std::array<char, INET6_ADDRSTRLEN> text{};
  ASSERT_EQ(peer.sin6_family, AF_INET6);
  EXPECT_STREQ(::inet_ntop(AF_INET6, &peer.sin6_addr, text.data(), text.size()), "2001:db8::1");
  EXPECT_EQ(ntohs(peer.sin6_port), 40000);
}

/// Listens on every address of IPv6, and of IPv4 if it may.
int listens_everywhere(PacketdrillScript& script, bool v6_only) {
  const int fd = script.table.socket(script.me(), AF_INET6, SOCK_STREAM, 0);
  EXPECT_EQ(set_option(script, fd, IPPROTO_IPV6, IPV6_V6ONLY, v6_only ? 1 : 0), 0);
  EXPECT_EQ(option(script, fd, IPPROTO_IPV6, IPV6_V6ONLY), v6_only ? 1 : 0);
  sockaddr_in6 any{};
  any.sin6_family = AF_INET6;
  any.sin6_port = htons(8080);
  EXPECT_EQ(script.table.bind(script.me(), fd, reinterpret_cast<const sockaddr*>(&any), sizeof any),
            0);
  EXPECT_EQ(script.table.listen(script.me(), fd, 1), 0);
  return fd;
}

TEST_F(Packetdrill, rfc3493_3_7_the_unspecified_address_of_ipv6_is_ipv4s_too) {
  const int listener = listens_everywhere(script, false);
  for (const AddressFamily family : {AddressFamily::ipv4, AddressFamily::ipv6}) {
    script.speak(family);
    script.connects();
    sockaddr_in6 peer{};
    socklen_t bytes = sizeof peer;
    const int fd = table.accept(me, listener, reinterpret_cast<sockaddr*>(&peer), &bytes);
    ASSERT_GE(fd, 0);
    EXPECT_EQ(IN6_IS_ADDR_V4MAPPED(&peer.sin6_addr), family == AddressFamily::ipv4);
    EXPECT_EQ(option(script, fd, SOL_SOCKET, SO_DOMAIN), AF_INET6);
    ASSERT_EQ(table.write(me, fd, "hello", 5), 5);
    EXPECT_EQ(script.sniff_payload(5), "hello");
    script.inject({.flags = "A", .seq = 1, .ack = 6, .window = 257});
  }
}

TEST_F(Packetdrill, rfc3493_5_3_with_v6only_it_is_not) {
  listens_everywhere(script, true);
  script.inject({.flags = "S", .window = 1000});
  const auto reset = script.sniff();
  ASSERT_TRUE(reset);
  EXPECT_EQ(reset->flags, "RA");
  script.speak(AddressFamily::ipv6);
  script.connects();
}

TEST_F(Packetdrill, an_ipv4_listener_is_not_there_for_ipv6) {
  script.listens();
  script.speak(AddressFamily::ipv6);
  script.inject({.flags = "S", .window = 1000});
  const auto reset = script.sniff();
  ASSERT_TRUE(reset);
  EXPECT_EQ(reset->flags, "RA");
  script.speak(AddressFamily::ipv4);
  script.connects();
}

TEST_F(Packetdrill, an_address_of_another_domain_is_none_to_bind_to) {
  sockaddr_in6 mapped{};
  mapped.sin6_family = AF_INET6;
  mapped.sin6_port = htons(8080);
  ASSERT_EQ(::inet_pton(AF_INET6, "::ffff:192.168.0.1", &mapped.sin6_addr), 1);
  const auto* const address = reinterpret_cast<const sockaddr*>(&mapped);
  const int ipv4 = table.socket(me, AF_INET, SOCK_STREAM, 0);
  EXPECT_ERRNO(EAFNOSUPPORT, table.bind(me, ipv4, address, sizeof mapped));
  const int ipv6 = table.socket(me, AF_INET6, SOCK_STREAM, 0);
  ASSERT_EQ(set_option(script, ipv6, IPPROTO_IPV6, IPV6_V6ONLY, 1), 0);
  EXPECT_ERRNO(EINVAL, table.bind(me, ipv6, address, sizeof mapped));
  ASSERT_EQ(set_option(script, ipv6, IPPROTO_IPV6, IPV6_V6ONLY, 0), 0);
  EXPECT_EQ(table.bind(me, ipv6, address, sizeof mapped), 0);
  EXPECT_ERRNO(EINVAL, set_option(script, ipv6, IPPROTO_IPV6, IPV6_V6ONLY, 1));
}

TEST_F(Packetdrill, the_mss_that_a_script_asks_for_is_announced_over_ipv6_too) {
  script.speak(AddressFamily::ipv6);
  const int listener = script.listens();
  ASSERT_EQ(set_option(script, listener, IPPROTO_TCP, TCP_MAXSEG, 900), 0);
  script.inject({.flags = "S", .window = 32792, .options = {2, 4, 3, 232}});
  const auto answer = script.sniff();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->options, (std::vector<std::uint8_t>{2, 4, 900 >> 8, 900 & 0xff}));
}

}  // namespace
}  // namespace strictsend::testing
