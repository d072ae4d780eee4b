// SPDX-License-Identifier: Apache-2.0
#include "tests/relay/relay.hpp"

#include <sys/eventfd.h>
#include <sys/prctl.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <ctime>
#include <optional>
#include <poll.h>
#include <pthread.h>
#include <queue>
#include <span>
#include <unistd.h>
#include <utility>
#include <vector>

#include "tests/relay/ecn_mark.hpp"
#include "tests/relay/packet_port.hpp"

namespace strictsend::relay {
namespace {

constexpr std::size_t receive_burst = 256;  // of one direction, before the other gets its turn
constexpr Duration late_after = milliseconds(1);
constexpr Duration publish_interval = milliseconds(100);
constexpr std::size_t busy_packets = 2;  // of one turn
constexpr Duration busy_interval = microseconds(50);
constexpr Duration sleep_max = milliseconds(100);

/// Memory for packets that are under way.
class Slots {
 public:
  static constexpr std::size_t bytes_each = 2048;
  static constexpr std::uint32_t count = 1 << 16;

  Slots() : bytes_(std::make_unique_for_overwrite<std::byte[]>(bytes_each * count)) {
    for (std::uint32_t slot = count; slot > 0; --slot)
      free_.push_back(slot - 1);
  }
  [[nodiscard]] std::span<std::byte> operator[](std::uint32_t slot) {
    return {&bytes_[slot * bytes_each], bytes_each};
  }
  std::optional<std::uint32_t> take() {
    if (free_.empty()) return std::nullopt;
    const std::uint32_t slot = free_.back();
    free_.pop_back();
    return slot;
  }
  void give_back(std::uint32_t slot) { free_.push_back(slot); }

 private:
  std::unique_ptr<std::byte[]> bytes_;
  std::vector<std::uint32_t> free_;
};

struct Departure {
  Time at;
  std::uint64_t order = 0;  ///< among those of one instant: as they came
  std::uint32_t slot = 0;
  std::uint32_t bytes = 0;
  bool operator<(const Departure& other) const {
    return at != other.at ? at > other.at : order > other.order;
  }
};

}  // namespace

/// What the relay's thread does.
class Relay::Loop {
 public:
  Loop(PacketPort first, PacketPort second, const RelaySetup& setup, int stop_fd)
      : ports_{std::move(first), std::move(second)},
        // Each direction draws for itself: one's traffic does not change the other's fate.
        directions_{Direction(setup.links[0], setup.seed), Direction(setup.links[1], ~setup.seed)},
        stop_fd_(stop_fd) {}

  void run() {
    // Else the kernel may be 50 us late, so that it can wake several threads at once.
    ::prctl(PR_SET_TIMERSLACK, 1UL);
    // A wire is not late because its ends are busy. Where that is not allowed, lateness is counted.
    const sched_param lowest_realtime{.sched_priority = 1};
    ::pthread_setschedparam(::pthread_self(), SCHED_RR, &lowest_realtime);
    while (!stopped_) {
      read_clocks();
      std::size_t received = 0;
      for (std::size_t from : {0U, 1U})
        received += receive(from);
      now_ = monotonic_now();
      for (std::size_t from : {0U, 1U}) {
        while (send_due(from)) {
        }
      }
      if (now_ - published_at_ > publish_interval) publish();
      sleep(received >= busy_packets);
    }
    publish();
  }

  [[nodiscard]] std::array<DirectionCounters, 2> counters() const {
    const std::lock_guard lock(published_mutex_);
    return published_;
  }

 private:
  struct Direction {
    Direction(const LinkSetup& setup, std::uint64_t seed) : link(setup, seed) {}
    RelayLink link;
    Time offered_at;  ///< the last packet
    std::priority_queue<Departure> departures;
    std::uint64_t order = 0;
    DirectionCounters counters;
  };

  /// How many.
  std::size_t receive(std::size_t from) {
    Direction& direction = directions_[from];
    std::size_t count = 0;
    for (; count < receive_burst; ++count) {
      std::optional<std::uint32_t> slot = slots_.take();
      const std::span<std::byte> room = slot ? slots_[*slot] : std::span(spare_room_);
      const auto received = ports_[from].receive(room);
      if (received && received->bytes > 0 && slot) {
        const Time came_at{received->realtime_ns - realtime_ahead_.ns};
        if (decide(direction, room.first(received->bytes), came_at, *slot)) slot.reset();
      } else if (received && received->bytes > 0) {
        ++direction.counters.packets_homeless;
      }
      if (slot) slots_.give_back(*slot);
      if (!received) break;
    }
    return count;
  }

  /// Whether the packet will depart.
  bool decide(Direction& direction, std::span<std::byte> frame, Time came_at, std::uint32_t slot) {
    const auto bytes = static_cast<std::uint32_t>(frame.size());
    // The kernel's word on when it came, within what cannot be otherwise.
    direction.offered_at = std::max(direction.offered_at, std::min(came_at, monotonic_now()));
    const Fate fate = direction.link.offer(bytes, is_ecn_capable(frame), direction.offered_at);
    if (fate.kind != Fate::Kind::departs) return false;
    if (fate.marked) mark_congestion(frame);
    direction.departures.push(
        {.at = fate.departs_at, .order = direction.order++, .slot = slot, .bytes = bytes});
    return true;
  }

  bool send_due(std::size_t from) {
    Direction& direction = directions_[from];
    std::array<std::uint32_t, PacketPort::burst_max> slots;
    std::array<std::span<const std::byte>, PacketPort::burst_max> frames;
    std::size_t count = 0;
    while (count < frames.size() && !direction.departures.empty() &&
           direction.departures.top().at <= now_) {
      const Departure due = direction.departures.top();
      direction.departures.pop();
      const Duration lateness = now_ - due.at;
      direction.counters.packets_late += lateness > late_after ? 1U : 0U;
      direction.counters.lateness_max = std::max(direction.counters.lateness_max, lateness);
      direction.counters.bytes_forwarded += due.bytes;
      slots[count] = due.slot;
      frames[count++] = slots_[due.slot].first(due.bytes);
    }
    if (count == 0) return false;
    ports_[1 - from].send(std::span(frames).first(count));
    direction.counters.packets_forwarded += count;
    for (std::size_t i = 0; i < count; ++i)
      slots_.give_back(slots[i]);
    return true;
  }

  void read_clocks() {
    timespec realtime{};
    ::clock_gettime(CLOCK_REALTIME, &realtime);
    now_ = monotonic_now();
    realtime_ahead_ = seconds(realtime.tv_sec) + nanoseconds(realtime.tv_nsec) - (now_ - Time{});
  }

  /// Until a packet has to go, or comes. Where packets come in quick succession the relay takes a
  /// few at a time: waking for each costs more than the packet. Their times are the kernel's.
  void sleep(bool busy) {
    Time until = now_ + (busy ? busy_interval : sleep_max);
    for (const Direction& direction : directions_)
      if (!direction.departures.empty()) until = std::min(until, direction.departures.top().at);
    const Duration left = std::max(until - monotonic_now(), Duration{});
    const timespec timeout{.tv_sec = left.ns / 1'000'000'000, .tv_nsec = left.ns % 1'000'000'000};
    // While it is busy, it only looks whether it is to stop.
    std::array<pollfd, 3> fds{pollfd{stop_fd_, POLLIN, 0}, pollfd{ports_[0].fd(), POLLIN, 0},
                              pollfd{ports_[1].fd(), POLLIN, 0}};
    if (::ppoll(fds.data(), busy ? 1 : fds.size(), &timeout, nullptr) > 0)
      stopped_ = (fds[0].revents & POLLIN) != 0;
  }

  void publish() {
    published_at_ = now_;
    const std::lock_guard lock(published_mutex_);
    for (std::size_t from : {0U, 1U}) {
      const Direction& direction = directions_[from];
      published_[from] = direction.counters;
      published_[from].link = direction.link.counters();
      const PacketPort::Counters in = ports_[from].counters();
      published_[from].packets_unfit = in.unfit;
      published_[from].packets_missed = in.missed;
      published_[from].packets_not_sent = ports_[1 - from].counters().not_sent;
    }
  }

  std::array<PacketPort, 2> ports_;
  std::array<Direction, 2> directions_;
  Slots slots_;
  std::array<std::byte, Slots::bytes_each> spare_room_;
  const int stop_fd_;
  bool stopped_ = false;
  Time now_;
  Duration realtime_ahead_;  // CLOCK_REALTIME's, of the monotonic clock
  Time published_at_;
  mutable std::mutex published_mutex_;
  std::array<DirectionCounters, 2> published_;
};

Relay::Relay(std::unique_ptr<Loop> loop, UniqueFd stop)
    : stop_(std::move(stop)), loop_(std::move(loop)), thread_([this] { loop_->run(); }) {}

Relay::~Relay() {
  if (thread_.joinable()) stop();
}

std::array<DirectionCounters, 2> Relay::stop() {
  const std::uint64_t one = 1;
  static_cast<void>(::write(stop_.get(), &one, sizeof one));
  thread_.join();
  return counters();
}

Result<std::unique_ptr<Relay>> Relay::start(const RelaySetup& setup) {
  UniqueFd stop(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stop.valid()) return fail("an eventfd", errno);
  auto first = PacketPort::open(setup.interfaces[0]);
  if (!first) return tl::unexpected(std::move(first.error()));
  auto second = PacketPort::open(setup.interfaces[1]);
  if (!second) return tl::unexpected(std::move(second.error()));
  auto loop = std::make_unique<Loop>(std::move(*first), std::move(*second), setup, stop.get());
  return std::unique_ptr<Relay>(new Relay(std::move(loop), std::move(stop)));
}

std::array<DirectionCounters, 2> Relay::counters() const {
  return loop_->counters();
}

Duration Relay::cpu_time() const {
  clockid_t clock{};
  timespec used{};
  // pthread handles are std::thread's native ones here; it runs until this object is destroyed.
  if (::pthread_getcpuclockid(const_cast<std::thread&>(thread_).native_handle(), &clock) == 0)
    ::clock_gettime(clock, &used);
  return seconds(used.tv_sec) + nanoseconds(used.tv_nsec);
}

}  // namespace strictsend::relay
