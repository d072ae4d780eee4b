// SPDX-License-Identifier: Apache-2.0
// The packetdrill adapter: virtual time, calls that wait, and what is ready.
#include <sys/ioctl.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <fstream>
#include <functional>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "tests/unit/packetdrill/packetdrill_fixture.hpp"

namespace strictsend::testing {
namespace {

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

}  // namespace
}  // namespace strictsend::testing
