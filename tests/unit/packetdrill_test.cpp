// SPDX-License-Identifier: Apache-2.0
// The packetdrill adapter, loaded and called as packetdrill does it: every function of the table.
#include <arpa/inet.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>
#include <unistd.h>

#include <gtest/gtest.h>

#include "tests/support/packetdrill_script.hpp"

namespace strictsend::testing {
namespace {

std::string text_of(std::size_t bytes) {
  std::string text(bytes, ' ');
  for (std::size_t i = 0; i < bytes; ++i)
    text[i] = static_cast<char>('a' + i % 26 + i / 1000 % 3);
  return text;
}

/// -1 with this errno.
#define EXPECT_ERRNO(expected, call) \
  do {                               \
    errno = 0;                       \
    EXPECT_EQ((call), -1);           \
    EXPECT_EQ(errno, expected);      \
  } while (false)

/// Of an option that is a number.
template <class Table>
int option(Table& script, int fd, int level, int name) {
  int value = -12345;
  socklen_t bytes = sizeof value;
  EXPECT_EQ(script.table.getsockopt(script.me(), fd, level, name, &value, &bytes), 0);
  EXPECT_EQ(bytes, sizeof value);
  return value;
}

template <class Table>
int set_option(Table& script, int fd, int level, int name, int value) {
  return script.table.setsockopt(script.me(), fd, level, name, &value, sizeof value);
}

class Packetdrill : public ::testing::Test {
 protected:
  PacketdrillScript script;
  packetdrill_interface& table = script.table;
  void* const me = script.me();
};

// ---- connections --------------------------------------------------------------------------------

TEST_F(Packetdrill, rfc9293_3_5_a_passive_open_and_who_it_was) {
  const int listener = script.listens();
  script.inject({.flags = "S", .window = 32792, .options = {2, 4, 3, 232, 1, 3, 3, 7}});
  const auto answer = script.sniff();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->flags, "SA");
  EXPECT_EQ(answer->ack, 1U);
  // MSS 1460 of the MTU, and the scale that scripts expect: 8.
  EXPECT_EQ(answer->options, (std::vector<std::uint8_t>{2, 4, 1460 >> 8, 1460 & 0xff, 1, 3, 3, 8}));
  script.inject({.flags = "A", .seq = 1, .ack = 1, .window = 257});

  sockaddr_in peer{};
  socklen_t bytes = sizeof peer;
  const int fd = table.accept(me, listener, reinterpret_cast<sockaddr*>(&peer), &bytes);
  ASSERT_GE(fd, 0);
  EXPECT_NE(fd, listener);
  EXPECT_EQ(bytes, sizeof peer);
  EXPECT_EQ(peer.sin_family, AF_INET);
  EXPECT_EQ(ntohs(peer.sin_port), 40000);
  EXPECT_EQ(ntohl(peer.sin_addr.s_addr), 0xc0000201U);
}

TEST_F(Packetdrill, an_ipv4_mapped_socket_tells_mapped_addresses) {
  const int listener = script.listens(AF_INET6);
  script.connects();
  sockaddr_in6 peer{};
  socklen_t bytes = sizeof peer;
  ASSERT_GE(table.accept(me, listener, reinterpret_cast<sockaddr*>(&peer), &bytes), 0);
  std::array<char, INET6_ADDRSTRLEN> text{};
  ASSERT_EQ(peer.sin6_family, AF_INET6);
  EXPECT_STREQ(::inet_ntop(AF_INET6, &peer.sin6_addr, text.data(), text.size()),
               "::ffff:192.0.2.1");
}

TEST_F(Packetdrill, rfc9293_3_10_7_1_a_syn_that_nobody_listens_for_is_reset) {
  script.inject({.flags = "S", .seq = 0, .window = 1000});
  const auto reset = script.sniff();
  ASSERT_TRUE(reset);
  EXPECT_EQ(reset->flags, "RA");
  EXPECT_EQ(reset->ack, 1U);
}

TEST_F(Packetdrill, rfc9293_3_6_both_sides_close) {
  const int fd = script.accepted();
  ASSERT_EQ(table.close(me, fd), 0);
  const auto fin = script.sniff_past_acks();
  ASSERT_TRUE(fin);
  EXPECT_EQ(fin->flags, "FA");
  EXPECT_EQ(fin->seq, 1U);
  script.inject({.flags = "FA", .seq = 1, .ack = 2, .window = 257});
  const auto last = script.sniff();
  ASSERT_TRUE(last);
  EXPECT_EQ(last->flags, "A");
  EXPECT_EQ(last->seq, 2U);
  EXPECT_EQ(last->ack, 2U);
  EXPECT_FALSE(script.sniff());
  EXPECT_ERRNO(EBADF, table.close(me, fd));
}

TEST_F(Packetdrill, after_the_peers_fin_reading_ends_and_writing_goes_on) {
  const int fd = script.accepted();
  script.inject({.flags = "FPA", .seq = 1, .ack = 1, .window = 257, .payload = "bye"});
  std::array<char, 16> buffer{};
  EXPECT_EQ(table.read(me, fd, buffer.data(), buffer.size()), 3);
  EXPECT_EQ(table.read(me, fd, buffer.data(), buffer.size()), 0);
  EXPECT_EQ(table.write(me, fd, "and you", 7), 7);
  EXPECT_EQ(script.sniff_payload(7), "and you");
}

TEST_F(Packetdrill, shutdown_ends_one_direction) {
  const int fd = script.accepted();
  EXPECT_ERRNO(EINVAL, table.shutdown(me, fd, 7));
  ASSERT_EQ(table.shutdown(me, fd, SHUT_WR), 0);
  const auto fin = script.sniff_past_acks();
  ASSERT_TRUE(fin);
  EXPECT_EQ(fin->flags, "FA");
  EXPECT_ERRNO(EPIPE, table.write(me, fd, "x", 1));
  script.inject({.flags = "PA", .seq = 1, .ack = 2, .window = 257, .payload = "still here"});
  std::array<char, 16> buffer{};
  EXPECT_EQ(table.read(me, fd, buffer.data(), buffer.size()), 10);
  ASSERT_EQ(table.shutdown(me, fd, SHUT_RD), 0);
  EXPECT_EQ(table.read(me, fd, buffer.data(), buffer.size()), 0);
}

TEST_F(Packetdrill, rfc2525_2_17_closing_with_bytes_unread_resets) {
  const int fd = script.accepted();
  script.inject({.flags = "PA", .seq = 1, .ack = 1, .window = 257, .payload = "unread"});
  ASSERT_EQ(table.close(me, fd), 0);
  const auto reset = script.sniff_past_acks();
  ASSERT_TRUE(reset);
  EXPECT_TRUE(reset->has('R'));
}

TEST_F(Packetdrill, lingering_for_no_time_resets_on_close) {
  const int fd = script.accepted();
  const linger now{.l_onoff = 1, .l_linger = 0};
  ASSERT_EQ(table.setsockopt(me, fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
  ASSERT_EQ(table.close(me, fd), 0);
  const auto reset = script.sniff_past_acks();
  ASSERT_TRUE(reset);
  EXPECT_TRUE(reset->has('R'));
}

TEST_F(Packetdrill, what_comes_after_close_is_answered_with_a_reset) {
  const int fd = script.accepted();
  ASSERT_EQ(table.close(me, fd), 0);
  ASSERT_TRUE(script.sniff_past_acks());
  script.inject({.flags = "PA", .seq = 1, .ack = 2, .window = 257, .payload = "anybody?"});
  const auto reset = script.sniff_past_acks();
  ASSERT_TRUE(reset);
  EXPECT_TRUE(reset->has('R'));
}

TEST_F(Packetdrill, a_peers_reset_is_told_once) {
  const int fd = script.accepted();
  script.inject({.flags = "PA", .seq = 1, .ack = 1, .window = 257, .payload = "last words"});
  script.inject({.flags = "RA", .seq = 11, .ack = 1, .window = 257});
  std::array<char, 16> buffer{};
  EXPECT_EQ(table.read(me, fd, buffer.data(), buffer.size()), 10);
  EXPECT_ERRNO(ECONNRESET, table.read(me, fd, buffer.data(), buffer.size()));
  EXPECT_EQ(table.read(me, fd, buffer.data(), buffer.size()), 0);
  EXPECT_ERRNO(EPIPE, table.write(me, fd, "x", 1));
  EXPECT_EQ(option(script, fd, SOL_SOCKET, SO_ERROR), 0);
}

TEST_F(Packetdrill, closing_the_listener_resets_who_was_not_accepted) {
  const int listener = script.listens();
  script.connects();
  ASSERT_EQ(table.close(me, listener), 0);
  const auto reset = script.sniff_past_acks();
  ASSERT_TRUE(reset);
  EXPECT_TRUE(reset->has('R'));
}

// ---- bytes --------------------------------------------------------------------------------------

TEST_F(Packetdrill, every_way_of_writing_sends_its_bytes) {
  const int fd = script.accepted();
  std::string first = "first ";
  std::string second = "second";
  std::array<iovec, 2> pieces{
      {{.iov_base = first.data(), .iov_len = 6}, {.iov_base = second.data(), .iov_len = 6}}};
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = pieces.size();
  EXPECT_EQ(table.write(me, fd, "write", 5), 5);
  EXPECT_EQ(script.sniff_payload(5), "write");
  EXPECT_EQ(table.writev(me, fd, pieces.data(), 2), 12);
  EXPECT_EQ(script.sniff_payload(12), "first second");
  EXPECT_EQ(table.send(me, fd, "send", 4, MSG_NOSIGNAL), 4);
  EXPECT_EQ(script.sniff_payload(4), "send");
  EXPECT_EQ(table.sendto(me, fd, "sendto", 6, 0, nullptr, 0), 6);
  EXPECT_EQ(script.sniff_payload(6), "sendto");
  EXPECT_EQ(table.sendmsg(me, fd, &message, 0), 12);
  EXPECT_EQ(script.sniff_payload(12), "first second");
  int queued = 0;
  EXPECT_EQ(table.ioctl(me, fd, SIOCOUTQ, &queued), 0);
  EXPECT_EQ(queued, 39);
  EXPECT_EQ(table.ioctl(me, fd, SIOCOUTQNSD, &queued), 0);
  EXPECT_EQ(queued, 0);
}

TEST_F(Packetdrill, a_long_write_is_cut_at_the_peers_mss_and_goes_on_with_acknowledgements) {
  const int fd = script.accepted();
  const std::string text = text_of(30'000);
  EXPECT_EQ(table.write(me, fd, text.data(), text.size()), 30'000);
  std::string received;
  while (received.size() < text.size()) {
    const auto segment = script.sniff_past_acks();
    ASSERT_TRUE(segment);
    ASSERT_FALSE(segment->payload.empty());
    EXPECT_LE(segment->payload.size(), 1000U);
    if (segment->seq != received.size() + 1) continue;  // once more: nothing was lost here
    received += segment->payload;
    script.inject({.flags = "A",
                   .seq = 1,
                   .ack = static_cast<std::uint32_t>(received.size() + 1),
                   .window = 257});
  }
  EXPECT_EQ(received, text);
}

TEST_F(Packetdrill, rfc6298_5_what_is_not_acknowledged_is_sent_again) {
  const int fd = script.accepted();
  ASSERT_EQ(table.write(me, fd, "once more", 9), 9);
  script.sleep_ms(1500);  // RFC 6298 §2.4 knows no first time-out above a second
  const auto first = script.sniff();
  const auto again = script.sniff();
  ASSERT_TRUE(first && again);
  EXPECT_EQ(first->payload, "once more");
  EXPECT_EQ(again->payload, "once more");
  EXPECT_EQ(again->seq, first->seq);
  // Both have waited here since they left.
  EXPECT_GT(again->at_us, first->at_us);
  EXPECT_LE(again->at_us, script.now_us());
}

TEST_F(Packetdrill, every_way_of_reading_takes_what_came) {
  const int fd = script.accepted();
  script.inject({.flags = "PA", .seq = 1, .ack = 1, .window = 257, .payload = "abcdefghijklmnop"});
  int waiting = 0;
  EXPECT_EQ(table.ioctl(me, fd, SIOCINQ, &waiting), 0);
  EXPECT_EQ(waiting, 16);
  std::array<char, 8> buffer{};
  std::array<char, 2> more{};
  std::array<iovec, 2> pieces{{{.iov_base = buffer.data(), .iov_len = 2},
                               {.iov_base = more.data(), .iov_len = more.size()}}};
  EXPECT_EQ(table.read(me, fd, buffer.data(), 2), 2);
  EXPECT_EQ(std::string_view(buffer.data(), 2), "ab");
  EXPECT_EQ(table.readv(me, fd, pieces.data(), 2), 4);
  EXPECT_EQ(std::string_view(buffer.data(), 2), "cd");
  EXPECT_EQ(std::string_view(more.data(), 2), "ef");
  EXPECT_EQ(table.recv(me, fd, buffer.data(), 2, 0), 2);
  EXPECT_EQ(std::string_view(buffer.data(), 2), "gh");
  sockaddr_storage from{};
  socklen_t from_bytes = sizeof from;
  EXPECT_EQ(
      table.recvfrom(me, fd, buffer.data(), 2, 0, reinterpret_cast<sockaddr*>(&from), &from_bytes),
      2);
  EXPECT_EQ(std::string_view(buffer.data(), 2), "ij");
  EXPECT_EQ(from_bytes, 0U);

  ASSERT_EQ(set_option(script, fd, IPPROTO_TCP, TCP_INQ, 1), 0);
  alignas(cmsghdr) std::array<char, 64> control{};
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  EXPECT_EQ(table.recvmsg(me, fd, &message, 0), 2);
  EXPECT_EQ(std::string_view(buffer.data(), 2), "kl");
  const cmsghdr* told = CMSG_FIRSTHDR(&message);
  ASSERT_NE(told, nullptr);
  EXPECT_EQ(told->cmsg_type, TCP_CM_INQ);
  int left = 0;
  std::memcpy(&left, CMSG_DATA(told), sizeof left);
  EXPECT_EQ(left, 4);
  EXPECT_EQ(table.recv(me, fd, buffer.data(), 4, MSG_WAITALL), 4);
  EXPECT_ERRNO(EAGAIN, table.recv(me, fd, buffer.data(), 1, MSG_DONTWAIT));
}

TEST_F(Packetdrill, an_injected_segment_longer_than_the_mtu_arrives_in_pieces) {
  const int fd = script.accepted();
  const std::string text = text_of(9000);
  ASSERT_EQ(script.inject({.flags = "PA", .seq = 1, .ack = 1, .window = 257, .payload = text}), 0);
  const auto answer = script.sniff();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->ack, 9001U);
  std::string received(text.size(), ' ');
  EXPECT_EQ(table.read(me, fd, received.data(), received.size()), 9000);
  EXPECT_EQ(received, text);
}

TEST_F(Packetdrill, a_broken_checksum_is_no_segment) {
  const int fd = script.accepted();
  auto packet =
      script.packet_of({.flags = "PA", .seq = 1, .ack = 1, .window = 257, .payload = "spoilt"});
  packet.back() ^= 1;
  EXPECT_EQ(script.inject_bytes(packet), 0);
  int waiting = -1;
  EXPECT_EQ(table.ioctl(me, fd, SIOCINQ, &waiting), 0);
  EXPECT_EQ(waiting, 0);
}

// ---- families -----------------------------------------------------------------------------------

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

// ---- waiting ------------------------------------------------------------------------------------

TEST_F(Packetdrill, the_clock_moves_only_when_somebody_asks_or_sleeps) {
  const long long start = script.now_us();
  std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(script.now_us(), start + 1);
  EXPECT_EQ(table.usleep(me, 123'456), 0);
  EXPECT_EQ(script.now_us(), start + 1 + 123'456 + 1);
  struct timezone zone {};
  timeval now{};
  EXPECT_EQ(table.gettimeofday(me, &now, &zone), 0);
  EXPECT_ERRNO(EFAULT, table.gettimeofday(me, nullptr, nullptr));
}

TEST_F(Packetdrill, who_does_not_block_is_told_at_once) {
  const int listener = script.listens();
  EXPECT_EQ(table.fcntl(me, listener, F_GETFL), O_RDWR);
  ASSERT_EQ(table.fcntl(me, listener, F_SETFL, O_RDWR | O_NONBLOCK), 0);
  EXPECT_EQ(table.fcntl(me, listener, F_GETFL), O_RDWR | O_NONBLOCK);
  EXPECT_EQ(table.fcntl(me, listener, F_GETFD), FD_CLOEXEC);
  EXPECT_ERRNO(EINVAL, table.fcntl(me, listener, F_GETOWN));
  EXPECT_ERRNO(EAGAIN, table.accept(me, listener, nullptr, nullptr));
  script.connects();
  const int fd = table.accept(me, listener, nullptr, nullptr);
  ASSERT_GE(fd, 0);
  int on = 1;
  ASSERT_EQ(table.ioctl(me, fd, FIONBIO, &on), 0);
  char byte = 0;
  EXPECT_ERRNO(EAGAIN, table.read(me, fd, &byte, 1));
}

TEST_F(Packetdrill, a_wait_of_the_main_thread_lets_time_pass_and_ends) {
  const int listener = script.listens();
  const long long start = script.now_us();
  EXPECT_ERRNO(ETIMEDOUT, table.accept(me, listener, nullptr, nullptr));
  EXPECT_GE(script.now_us() - start, 300'000'000);
}

/// A thread that makes one call, and is asleep in it when the constructor returns, as packetdrill
/// makes sure of it too. `end_us`: what the clock said when the call had ended.
class BlockedCall {
 public:
  BlockedCall(PacketdrillScript& script, const std::function<long()>& call)
      : thread_([this, &script, call] {
          thread_id_ = ::gettid();
          result_ = call();
          end_us_ = script.now_us();
        }) {
    const auto asleep = [this] {
      std::ifstream stat("/proc/self/task/" + std::to_string(thread_id_.load()) + "/stat");
      std::string text;
      std::getline(stat, text);
      return text.find(") S") != std::string::npos;
    };
    for (int i = 0; i < 10'000 && !asleep(); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  long result() {
    thread_.join();
    return result_;
  }
  [[nodiscard]] long long end_us() const { return end_us_; }

 private:
  std::atomic<pid_t> thread_id_ = 0;
  long result_ = 0;
  long long end_us_ = 0;
  std::thread thread_;
};

TEST_F(Packetdrill, a_wait_of_another_thread_ends_when_the_script_has_come_so_far) {
  const int fd = script.accepted();
  std::array<char, 16> buffer{};
  BlockedCall reader(script, [&] { return table.read(me, fd, buffer.data(), buffer.size()); });
  const long long start = script.now_us();
  script.sleep_ms(100);
  script.inject({.flags = "PA", .seq = 1, .ack = 1, .window = 257, .payload = "here"});
  script.sleep_ms(100);
  EXPECT_EQ(reader.result(), 4);
  // The clock stood for it, but for the microsecond that asking takes.
  EXPECT_EQ(reader.end_us() - start, 100'001);
}

TEST_F(Packetdrill, a_wait_of_another_thread_ends_at_its_own_time_too) {
  const int fd = script.accepted();
  pollfd asked{.fd = fd, .events = POLLIN, .revents = 0};
  BlockedCall poller(script, [&] { return table.poll(me, &asked, 1, 30); });
  const long long start = script.now_us();
  script.sleep_ms(100);
  EXPECT_EQ(poller.result(), 0);
  EXPECT_LE(poller.end_us() - start, 30'001);
}

TEST_F(Packetdrill, writes_are_taken_as_far_as_the_send_buffer_goes) {
  const int fd = script.accepted();
  ASSERT_EQ(set_option(script, fd, SOL_SOCKET, SO_SNDBUF, 10'000), 0);
  EXPECT_EQ(option(script, fd, SOL_SOCKET, SO_SNDBUF), 20'000);
  const std::string text = text_of(25'000);
  EXPECT_EQ(table.send(me, fd, text.data(), text.size(), MSG_DONTWAIT), 20'000);
  EXPECT_ERRNO(EAGAIN, table.send(me, fd, text.data(), 1, MSG_DONTWAIT));
  BlockedCall writer(script, [&] { return table.write(me, fd, text.data(), 5000); });
  EXPECT_EQ(script.sniff_payload(10'000), text.substr(0, 10'000));
  script.inject({.flags = "A", .seq = 1, .ack = 10'001, .window = 257});
  EXPECT_EQ(writer.result(), 5000);
}

TEST_F(Packetdrill, poll_tells_what_is_ready) {
  const int listener = script.listens();
  std::array<pollfd, 3> asked{{{.fd = listener, .events = POLLIN, .revents = 0},
                               {.fd = -1, .events = POLLIN, .revents = 0},
                               {.fd = 9999, .events = POLLIN, .revents = 0}}};
  EXPECT_EQ(table.poll(me, asked.data(), 2, 0), 0);
  const long long start = script.now_us();
  EXPECT_EQ(table.poll(me, asked.data(), 2, 50), 0);
  EXPECT_GE(script.now_us() - start, 50'000);
  script.connects();
  EXPECT_EQ(table.poll(me, asked.data(), 3, -1), 2);
  EXPECT_EQ(asked[0].revents, POLLIN);
  EXPECT_EQ(asked[1].revents, 0);
  EXPECT_EQ(asked[2].revents, POLLNVAL);

  const int fd = table.accept(me, listener, nullptr, nullptr);
  pollfd connection{.fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP, .revents = 0};
  EXPECT_EQ(table.poll(me, &connection, 1, 0), 1);
  EXPECT_EQ(connection.revents, POLLOUT);
  script.inject({.flags = "FA", .seq = 1, .ack = 1, .window = 257});
  EXPECT_EQ(table.poll(me, &connection, 1, 0), 1);
  EXPECT_EQ(connection.revents, POLLIN | POLLOUT | POLLRDHUP);
  script.inject({.flags = "RA", .seq = 2, .ack = 1, .window = 257});
  EXPECT_EQ(table.poll(me, &connection, 1, 0), 1);
  EXPECT_EQ(connection.revents, POLLIN | POLLOUT | POLLRDHUP | POLLERR | POLLHUP);
  EXPECT_ERRNO(EFAULT, table.poll(me, nullptr, 1, 0));
}

TEST_F(Packetdrill, epoll_tells_levels_edges_and_one_shots) {
  const int fd = script.accepted();
  const int set = table.epoll_create(me, 1);
  ASSERT_GE(set, 0);
  epoll_event asked{.events = EPOLLIN | EPOLLOUT | EPOLLET, .data = {.u64 = 77}};
  epoll_event told{};
  EXPECT_ERRNO(ENOENT, table.epoll_ctl(me, set, EPOLL_CTL_MOD, fd, &asked));
  ASSERT_EQ(table.epoll_ctl(me, set, EPOLL_CTL_ADD, fd, &asked), 0);
  EXPECT_ERRNO(EEXIST, table.epoll_ctl(me, set, EPOLL_CTL_ADD, fd, &asked));
  // An edge is told once, and once more with more data, read or not.
  EXPECT_EQ(table.epoll_wait(me, set, &told, 1, 0), 1);
  EXPECT_EQ(std::uint32_t{told.events}, std::uint32_t{EPOLLOUT});
  EXPECT_EQ(std::uint64_t{told.data.u64}, 77U);  // the structure is packed
  EXPECT_EQ(table.epoll_wait(me, set, &told, 1, 0), 0);
  script.inject({.flags = "PA", .seq = 1, .ack = 1, .window = 257, .payload = "one"});
  EXPECT_EQ(table.epoll_wait(me, set, &told, 1, 0), 1);
  EXPECT_EQ(std::uint32_t{told.events}, std::uint32_t{EPOLLIN | EPOLLOUT});
  EXPECT_EQ(table.epoll_wait(me, set, &told, 1, 0), 0);
  script.inject({.flags = "PA", .seq = 4, .ack = 1, .window = 257, .payload = "two"});
  EXPECT_EQ(table.epoll_wait(me, set, &told, 1, 0), 1);
  // A level for as long as it lasts.
  asked.events = EPOLLIN;
  ASSERT_EQ(table.epoll_ctl(me, set, EPOLL_CTL_MOD, fd, &asked), 0);
  EXPECT_EQ(table.epoll_wait(me, set, &told, 1, -1), 1);
  EXPECT_EQ(table.epoll_wait(me, set, &told, 1, -1), 1);
  // One shot, until it is armed again.
  asked.events = EPOLLIN | EPOLLONESHOT;
  ASSERT_EQ(table.epoll_ctl(me, set, EPOLL_CTL_MOD, fd, &asked), 0);
  EXPECT_EQ(table.epoll_wait(me, set, &told, 1, 0), 1);
  EXPECT_EQ(table.epoll_wait(me, set, &told, 1, 10), 0);
  ASSERT_EQ(table.epoll_ctl(me, set, EPOLL_CTL_DEL, fd, nullptr), 0);
  EXPECT_ERRNO(ENOENT, table.epoll_ctl(me, set, EPOLL_CTL_DEL, fd, nullptr));
  EXPECT_ERRNO(EINVAL, table.epoll_wait(me, set, &told, 0, 0));
  EXPECT_ERRNO(EINVAL, table.epoll_wait(me, fd, &told, 1, 0));
  EXPECT_ERRNO(EINVAL, table.epoll_create(me, 0));
  EXPECT_EQ(table.close(me, set), 0);
}

TEST_F(Packetdrill, an_edge_tells_of_room_after_a_write_found_none) {
  const int fd = script.accepted();
  ASSERT_EQ(set_option(script, fd, SOL_SOCKET, SO_SNDBUF, 5000), 0);
  const int set = table.epoll_create(me, 1);
  epoll_event asked{.events = EPOLLOUT | EPOLLET, .data = {.fd = fd}};
  epoll_event told{};
  ASSERT_EQ(table.epoll_ctl(me, set, EPOLL_CTL_ADD, fd, &asked), 0);
  EXPECT_EQ(table.epoll_wait(me, set, &told, 1, 0), 1);
  const std::string text = text_of(12'000);
  EXPECT_EQ(table.send(me, fd, text.data(), text.size(), MSG_DONTWAIT), 10'000);
  EXPECT_EQ(table.epoll_wait(me, set, &told, 1, 0), 0);
  script.inject({.flags = "A", .seq = 1, .ack = 1001, .window = 257});
  EXPECT_EQ(table.epoll_wait(me, set, &told, 1, 0), 0);
  script.inject({.flags = "A", .seq = 1, .ack = 10'001, .window = 257});
  EXPECT_EQ(table.epoll_wait(me, set, &told, 1, 0), 1);
}

// ---- options ------------------------------------------------------------------------------------

TEST_F(Packetdrill, options_are_acted_on_or_refused) {
  const int listener = script.listens();
  EXPECT_EQ(set_option(script, listener, SOL_SOCKET, SO_REUSEADDR, 1), 0);
  EXPECT_EQ(option(script, listener, SOL_SOCKET, SO_REUSEADDR), 1);
  EXPECT_EQ(option(script, listener, SOL_SOCKET, SO_ACCEPTCONN), 1);
  EXPECT_EQ(option(script, listener, SOL_SOCKET, SO_TYPE), SOCK_STREAM);
  EXPECT_EQ(option(script, listener, SOL_SOCKET, SO_DOMAIN), AF_INET);
  EXPECT_EQ(option(script, listener, SOL_SOCKET, SO_PROTOCOL), IPPROTO_TCP);
  EXPECT_EQ(set_option(script, listener, SOL_SOCKET, SO_RCVBUF, 20'000), 0);
  EXPECT_EQ(option(script, listener, SOL_SOCKET, SO_RCVBUF), 40'000);
  EXPECT_EQ(set_option(script, listener, IPPROTO_TCP, TCP_MAXSEG, 900), 0);
  EXPECT_ERRNO(EINVAL, set_option(script, listener, IPPROTO_TCP, TCP_MAXSEG, 40));
  EXPECT_EQ(option(script, listener, IPPROTO_TCP, TCP_MAXSEG), 900);
  EXPECT_EQ(set_option(script, listener, IPPROTO_TCP, TCP_NODELAY, 1), 0);
  EXPECT_EQ(option(script, listener, IPPROTO_TCP, TCP_NODELAY), 1);
  EXPECT_ERRNO(EOPNOTSUPP, set_option(script, listener, IPPROTO_TCP, TCP_NODELAY, 0));
  EXPECT_EQ(set_option(script, listener, IPPROTO_TCP, TCP_NOTSENT_LOWAT, 5000), 0);
  EXPECT_EQ(option(script, listener, IPPROTO_TCP, TCP_NOTSENT_LOWAT), 5000);
  EXPECT_EQ(option(script, listener, IPPROTO_TCP, TCP_INQ), 0);
  EXPECT_EQ(option(script, listener, IPPROTO_IP, IP_TOS), 0);
  EXPECT_EQ(option(script, listener, IPPROTO_IP, IP_MTU_DISCOVER), IP_PMTUDISC_DO);
  EXPECT_ERRNO(ENOPROTOOPT, set_option(script, listener, IPPROTO_IPV6, IPV6_V6ONLY, 0));
  for (const int refused : {TCP_CORK, TCP_USER_TIMEOUT, TCP_FASTOPEN, TCP_DEFER_ACCEPT})
    EXPECT_ERRNO(ENOPROTOOPT, set_option(script, listener, IPPROTO_TCP, refused, 1));
  for (const int refused : {SO_ZEROCOPY, SO_KEEPALIVE, SO_MARK})
    EXPECT_ERRNO(ENOPROTOOPT, set_option(script, listener, SOL_SOCKET, refused, 1));
  linger slowly{.l_onoff = 1, .l_linger = 5};
  EXPECT_ERRNO(EOPNOTSUPP,
               table.setsockopt(me, listener, SOL_SOCKET, SO_LINGER, &slowly, sizeof slowly));
  EXPECT_ERRNO(EINVAL, table.setsockopt(me, listener, SOL_SOCKET, SO_SNDBUF, &slowly, 1));
  EXPECT_ERRNO(EFAULT, table.setsockopt(me, listener, SOL_SOCKET, SO_SNDBUF, nullptr, 4));
  EXPECT_ERRNO(EFAULT, table.getsockopt(me, listener, SOL_SOCKET, SO_SNDBUF, nullptr, nullptr));

  // What was set before the first packet is in the SYN-ACK: no scale for so small a buffer.
  script.inject({.flags = "S", .window = 32792, .options = {2, 4, 3, 232, 1, 3, 3, 7}});
  const auto answer = script.sniff();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->options, (std::vector<std::uint8_t>{2, 4, 900 >> 8, 900 & 0xff, 1, 3, 3, 0}));
  EXPECT_EQ(answer->window, 40'000);
  EXPECT_ERRNO(EOPNOTSUPP, set_option(script, listener, IPPROTO_TCP, TCP_MAXSEG, 1000));
}

TEST_F(Packetdrill, the_congestion_control_is_chosen_before_the_first_packet) {
  const int listener = script.listens();
  const auto name_of = [&](int fd) {
    std::array<char, 16> name{};
    socklen_t bytes = name.size();
    EXPECT_EQ(table.getsockopt(me, fd, IPPROTO_TCP, TCP_CONGESTION, name.data(), &bytes), 0);
    return std::string(name.data());
  };
  const auto set = [&](int fd, std::string_view name) {
    return table.setsockopt(me, fd, IPPROTO_TCP, TCP_CONGESTION, name.data(),
                            static_cast<socklen_t>(name.size()));
  };
  EXPECT_EQ(name_of(listener), "cubic");
  EXPECT_EQ(set(listener, "reno"), 0);
  EXPECT_ERRNO(ENOENT, set(listener, "vegas"));
  script.connects();
  const int fd = table.accept(me, listener, nullptr, nullptr);
  EXPECT_EQ(name_of(fd), "reno");
  EXPECT_EQ(set(fd, "reno"), 0);
  EXPECT_ERRNO(EOPNOTSUPP, set(fd, "cubic"));
}

TEST_F(Packetdrill, tcp_info_is_had_past_the_table_too) {
  const int fd = script.accepted();
  const std::string text = text_of(12'000);
  ASSERT_EQ(table.write(me, fd, text.data(), text.size()), 12'000);
  const auto ask =
      reinterpret_cast<int (*)(int, int, int, void*, socklen_t*)>(script.symbol("getsockopt"));
  tcp_info info{};
  socklen_t bytes = sizeof info;
  ASSERT_EQ(ask(fd, IPPROTO_TCP, TCP_INFO, &info, &bytes), 0);
  EXPECT_EQ(bytes, sizeof info);
  EXPECT_EQ(info.tcpi_state, 1);  // TCP_ESTABLISHED
  EXPECT_EQ(info.tcpi_snd_mss, 1000U);
  EXPECT_EQ(info.tcpi_advmss, 1460U);
  EXPECT_EQ(info.tcpi_snd_cwnd, 10U);              // RFC 6928 §2
  EXPECT_EQ(info.tcpi_snd_ssthresh, 0x7fffffffU);  // TCP_INFINITE_SSTHRESH
  EXPECT_EQ(info.tcpi_ca_state, TCP_CA_Open);
  EXPECT_EQ(info.tcpi_unacked, 10U);
  EXPECT_EQ(info.tcpi_notsent_bytes, 2000U);
  EXPECT_EQ(info.tcpi_snd_wnd, 257U << 7);
  std::array<std::uint32_t, 9> memory{};
  bytes = sizeof memory;
  ASSERT_EQ(ask(fd, SOL_SOCKET, SO_MEMINFO, memory.data(), &bytes), 0);
  EXPECT_EQ(memory[2], 12'000U);  // SK_MEMINFO_WMEM_ALLOC
  bytes = 64;
  std::array<char, 64> none{};
  ASSERT_EQ(ask(fd, IPPROTO_TCP, TCP_CC_INFO, none.data(), &bytes), 0);
  EXPECT_EQ(bytes, 0U);
  // A socket of the kernel's is the kernel's.
  const int kernels = ::socket(AF_INET, SOCK_STREAM, 0);
  ASSERT_GE(kernels, 0);
  bytes = sizeof info;
  ASSERT_EQ(ask(kernels, IPPROTO_TCP, TCP_INFO, &info, &bytes), 0);
  EXPECT_EQ(info.tcpi_state, 7);  // TCP_CLOSE
  ::close(kernels);
}

TEST_F(Packetdrill, tcp_info_tells_of_disorder_while_a_hole_may_still_close) {
  const int listener = script.listens();
  script.inject({.flags = "S", .window = 32792, .options = {2, 4, 3, 232, 1, 1, 4, 2}});
  ASSERT_TRUE(script.sniff());
  script.sleep_ms(100);  // of which RFC 8985 §6.2 grants a quarter for reordering
  script.inject({.flags = "A", .seq = 1, .ack = 1, .window = 32792});
  const int fd = table.accept(me, listener, nullptr, nullptr);
  const std::string text = text_of(4000);
  ASSERT_EQ(table.write(me, fd, text.data(), text.size()), 4000);
  const std::string sent = script.sniff_payload(4000);
  ASSERT_EQ(sent, text);
  script.sleep_ms(100);
  // The second of them: RFC 2018 §3.
  const auto bytes = script.packet_of({.flags = "A",
                                       .seq = 1,
                                       .ack = 1,
                                       .window = 32792,
                                       .options = script.sack_option(1001, 2001)});
  ASSERT_EQ(script.inject_bytes(bytes), 0);
  tcp_info info{};
  socklen_t info_bytes = sizeof info;
  ASSERT_EQ(table.getsockopt(me, fd, IPPROTO_TCP, TCP_INFO, &info, &info_bytes), 0);
  EXPECT_EQ(info.tcpi_ca_state, TCP_CA_Disorder);
  EXPECT_EQ(info.tcpi_sacked, 1U);
}

// ---- what makes no sense ------------------------------------------------------------------------

TEST_F(Packetdrill, a_descriptor_that_is_no_socket_here_is_a_bad_one) {
  constexpr int none = 9999;
  std::array<char, 4> buffer{};
  std::array<iovec, 1> pieces{{{.iov_base = buffer.data(), .iov_len = buffer.size()}}};
  msghdr message{};
  message.msg_iov = pieces.data();
  message.msg_iovlen = 1;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  auto* const to = reinterpret_cast<sockaddr*>(&address);
  int value = 1;
  socklen_t bytes = sizeof value;
  epoll_event event{};
  EXPECT_ERRNO(EBADF, table.bind(me, none, to, sizeof address));
  EXPECT_ERRNO(EBADF, table.listen(me, none, 1));
  EXPECT_ERRNO(EBADF, table.accept(me, none, nullptr, nullptr));
  EXPECT_ERRNO(EBADF, table.connect(me, none, to, sizeof address));
  EXPECT_ERRNO(EBADF, table.read(me, none, buffer.data(), 1));
  EXPECT_ERRNO(EBADF, table.readv(me, none, pieces.data(), 1));
  EXPECT_ERRNO(EBADF, table.recv(me, none, buffer.data(), 1, 0));
  EXPECT_ERRNO(EBADF, table.recvfrom(me, none, buffer.data(), 1, 0, nullptr, nullptr));
  EXPECT_ERRNO(EBADF, table.recvmsg(me, none, &message, 0));
  EXPECT_ERRNO(EBADF, table.write(me, none, buffer.data(), 1));
  EXPECT_ERRNO(EBADF, table.writev(me, none, pieces.data(), 1));
  EXPECT_ERRNO(EBADF, table.send(me, none, buffer.data(), 1, 0));
  EXPECT_ERRNO(EBADF, table.sendto(me, none, buffer.data(), 1, 0, to, sizeof address));
  EXPECT_ERRNO(EBADF, table.sendmsg(me, none, &message, 0));
  EXPECT_ERRNO(EBADF, table.fcntl(me, none, F_GETFL));
  EXPECT_ERRNO(EBADF, table.ioctl(me, none, SIOCINQ, &value));
  EXPECT_ERRNO(EBADF, table.close(me, none));
  EXPECT_ERRNO(EBADF, table.shutdown(me, none, SHUT_WR));
  EXPECT_ERRNO(EBADF, table.getsockopt(me, none, SOL_SOCKET, SO_ERROR, &value, &bytes));
  EXPECT_ERRNO(EBADF, table.setsockopt(me, none, SOL_SOCKET, SO_SNDBUF, &value, bytes));
  EXPECT_ERRNO(EBADF, table.epoll_ctl(me, none, EPOLL_CTL_ADD, none, &event));
  EXPECT_ERRNO(EBADF, table.epoll_wait(me, none, &event, 1, 0));
  EXPECT_ERRNO(EBADF, table.splice(me, none, nullptr, none, nullptr, 1, 0));
}

TEST_F(Packetdrill, what_the_engine_is_not_is_refused) {
  EXPECT_ERRNO(EAFNOSUPPORT, table.socket(me, AF_UNIX, SOCK_STREAM, 0));
  EXPECT_ERRNO(ESOCKTNOSUPPORT, table.socket(me, AF_INET, SOCK_DGRAM, 0));
  EXPECT_ERRNO(EPROTONOSUPPORT, table.socket(me, AF_INET, SOCK_STREAM, IPPROTO_SCTP));
  const int fresh = table.socket(me, AF_INET, SOCK_STREAM | SOCK_NONBLOCK, IPPROTO_TCP);
  ASSERT_GE(fresh, 0);
  EXPECT_EQ(table.fcntl(me, fresh, F_GETFL), O_RDWR | O_NONBLOCK);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(8080);
  auto* const to = reinterpret_cast<sockaddr*>(&address);
  EXPECT_ERRNO(EOPNOTSUPP, table.connect(me, fresh, to, sizeof address));
  EXPECT_ERRNO(EOPNOTSUPP, table.sendto(me, fresh, "tfo", 3, MSG_FASTOPEN, to, sizeof address));
  EXPECT_ERRNO(EDESTADDRREQ, table.listen(me, fresh, 1));
  EXPECT_ERRNO(EINVAL, table.accept(me, fresh, nullptr, nullptr));
  EXPECT_ERRNO(ENOTCONN, table.shutdown(me, fresh, SHUT_WR));
  char byte = 0;
  EXPECT_ERRNO(ENOTCONN, table.read(me, fresh, &byte, 1));
  EXPECT_ERRNO(EPIPE, table.write(me, fresh, &byte, 1));
  EXPECT_ERRNO(EFAULT, table.bind(me, fresh, nullptr, sizeof address));
  EXPECT_ERRNO(EINVAL, table.bind(me, fresh, to, 2));
  ASSERT_EQ(table.bind(me, fresh, to, sizeof address), 0);
  EXPECT_ERRNO(EINVAL, table.bind(me, fresh, to, sizeof address));
  ASSERT_EQ(table.listen(me, fresh, 1), 0);
  EXPECT_EQ(table.listen(me, fresh, 1), 0);
  const int second = table.socket(me, AF_INET, SOCK_STREAM, IPPROTO_TCP);
  ASSERT_EQ(table.bind(me, second, to, sizeof address), 0);
  EXPECT_ERRNO(EADDRINUSE, table.listen(me, second, 1));
  EXPECT_ERRNO(ENOTTY, table.ioctl(me, fresh, TIOCGWINSZ, &byte));
  std::array<int, 2> ends{};
  EXPECT_ERRNO(ENOSYS, table.pipe(me, ends.data()));
  EXPECT_ERRNO(EINVAL, table.splice(me, fresh, nullptr, second, nullptr, 1, 0));
}

TEST_F(Packetdrill, bad_pointers_flags_and_packets_are_refused) {
  const int fd = script.accepted();
  std::array<char, 4> buffer{};
  EXPECT_ERRNO(EFAULT, table.read(me, fd, nullptr, 1));
  EXPECT_ERRNO(EFAULT, table.write(me, fd, nullptr, 1));
  EXPECT_ERRNO(EFAULT, table.readv(me, fd, nullptr, 1));
  EXPECT_ERRNO(EINVAL, table.writev(me, fd, nullptr, -1));
  EXPECT_ERRNO(EFAULT, table.recvmsg(me, fd, nullptr, 0));
  EXPECT_ERRNO(EFAULT, table.sendmsg(me, fd, nullptr, 0));
  EXPECT_ERRNO(EFAULT, table.ioctl(me, fd, SIOCINQ, nullptr));
  EXPECT_ERRNO(EOPNOTSUPP, table.recv(me, fd, buffer.data(), 1, MSG_OOB));
  EXPECT_ERRNO(EOPNOTSUPP, table.recv(me, fd, buffer.data(), 1, MSG_PEEK));
  EXPECT_ERRNO(EOPNOTSUPP, table.send(me, fd, buffer.data(), 1, MSG_OOB));
  EXPECT_EQ(table.read(me, fd, buffer.data(), 0), 0);
  EXPECT_EQ(table.write(me, fd, buffer.data(), 0), 0);
  EXPECT_ERRNO(EFAULT, table.netdev_send(me, nullptr, 40));
  EXPECT_ERRNO(EINVAL, table.netdev_send(me, buffer.data(), buffer.size()));
  std::array<std::uint8_t, 60> packet{0x50};  // of no version
  EXPECT_ERRNO(EINVAL, script.inject_bytes(packet));
  packet[0] = 0x60;
  EXPECT_ERRNO(EINVAL, script.inject_bytes(std::span(packet).first(39)));
  long long at = 0;
  std::size_t bytes = 4;
  EXPECT_ERRNO(EFAULT, table.netdev_receive(me, buffer.data(), nullptr, &at));
  ASSERT_EQ(table.write(me, fd, "too long for it", 15), 15);
  EXPECT_ERRNO(EMSGSIZE, table.netdev_receive(me, buffer.data(), &bytes, &at));
}

// ---- instances ----------------------------------------------------------------------------------

TEST(PacketdrillInstance, one_after_another_are_alike_and_leave_nothing_behind) {
  const auto descriptors = [] {
    return std::ranges::distance(std::filesystem::directory_iterator("/proc/self/fd"));
  };
  const auto play = [] {
    PacketdrillScript script;
    const int fd = script.accepted();
    script.table.write(script.me(), fd, "the same", 8);
    const auto segment = script.sniff();
    // As packetdrill ends: it closes what is open itself. The number may be another's by then.
    ::close(fd);
    const int others = ::open("/dev/null", O_RDONLY);
    EXPECT_EQ(others, fd);
    script.inject({.flags = "RA", .seq = 1, .ack = 1, .window = 257});
    EXPECT_ERRNO(EBADF, script.table.write(script.me(), fd, "x", 1));
    return std::pair(segment->at_us, others);
  };
  const auto [first_us, first_other] = play();
  EXPECT_EQ(::close(first_other), 0);  // it was left alone
  const auto before = descriptors();
  const auto [second_us, second_other] = play();
  EXPECT_EQ(::close(second_other), 0);
  EXPECT_EQ(descriptors(), before);
  EXPECT_EQ(first_us, second_us);
}

TEST(PacketdrillInstance, flags_say_what_the_network_is_like) {
  PacketdrillScript script(
      "mtu=1000,receive_buffer=60000,send_buffer=5000,congestion=bbr,sack=0,ecn=0,pacing=1");
  const int listener = script.listens();
  EXPECT_EQ(option(script, listener, SOL_SOCKET, SO_SNDBUF), 5000);
  script.inject({.flags = "S", .window = 32792, .options = {2, 4, 3, 232, 1, 3, 3, 7, 1, 1, 4, 2}});
  const auto answer = script.sniff();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->options, (std::vector<std::uint8_t>{2, 4, 960 >> 8, 960 & 0xff, 1, 3, 3, 0}));
  EXPECT_EQ(answer->window, 60'000);
}

TEST(PacketdrillInstance, with_flags_that_are_none_every_call_fails) {
  for (const char* flags : {"mtu", "mtu=abc", "mtu=10", "congestion=x", "ecn=2", "colour=red"}) {
    PacketdrillScript script(flags);
    timeval now{};
    EXPECT_ERRNO(ENODEV, script.table.gettimeofday(script.me(), &now, nullptr));
    EXPECT_ERRNO(ENODEV, script.table.socket(script.me(), AF_INET, SOCK_STREAM, 0));
  }
}

}  // namespace
}  // namespace strictsend::testing
