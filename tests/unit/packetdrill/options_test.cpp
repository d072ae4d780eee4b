// SPDX-License-Identifier: Apache-2.0
// The packetdrill adapter: options, what makes no sense, and one instance after another.
#include <arpa/inet.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <string>
#include <unistd.h>

#include <gtest/gtest.h>

#include "tests/unit/packetdrill/packetdrill_fixture.hpp"

namespace strictsend::testing {
namespace {

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
