// SPDX-License-Identifier: Apache-2.0
// The packetdrill adapter, loaded and called as packetdrill does it: connections and their bytes.
#include <arpa/inet.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <string>

#include <gtest/gtest.h>

#include "tests/unit/packetdrill/packetdrill_fixture.hpp"

namespace strictsend::testing {
namespace {

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

}  // namespace
}  // namespace strictsend::testing
