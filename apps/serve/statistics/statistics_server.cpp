// SPDX-License-Identifier: Apache-2.0
#include "apps/serve/statistics/statistics_server.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <list>
#include <poll.h>
#include <utility>
#include <vector>

#include <spdlog/spdlog.h>

#include "apps/serve/statistics/client.hpp"
#include "apps/support/blocked_signals.hpp"

namespace strictsend::statistics {
namespace {

using TimePoint = Sampler::TimePoint;
using std::chrono::milliseconds;

/// How long no further clients are taken when the process has no descriptor left for them.
constexpr milliseconds accept_pause{100};
/// At once, so that those who are there get their turn under any load.
constexpr int accepts_max = 16;

}  // namespace

/// What the thread does; but for `run`'s end all of it is the thread's.
class StatisticsServer::Loop {
 public:
  Loop(std::optional<UnixListener> unix_listener, std::optional<LoopbackListener> loopback_listener,
       Source source, const StatisticsLimits& limits)
      : unix_listener_(std::move(unix_listener)),
        loopback_listener_(std::move(loopback_listener)),
        limits_(limits),
        sampler_(std::move(source), limits.sample_age_max) {}

  void run(const app::WakeUp& stop, const std::atomic<bool>& stopping) {
    while (!stopping.load(std::memory_order_relaxed)) {
      if (!wait(stop)) return;
      const TimePoint now = std::chrono::steady_clock::now();
      serve_clients(now);
      take_clients(now);
    }
  }

 private:
  using Clients = std::list<Client>;  // in the order of coming

  bool wait(const app::WakeUp& stop);
  void serve_clients(TimePoint now);
  void take_clients(TimePoint now);
  void take_from(int listener, bool is_http, TimePoint now);
  void make_room(bool is_http);

  const std::optional<UnixListener> unix_listener_;
  const std::optional<LoopbackListener> loopback_listener_;
  const StatisticsLimits limits_;
  Sampler sampler_;
  Clients clients_;
  std::vector<pollfd> sources_;
  TimePoint accept_from_{};  // no client is taken before
};

bool StatisticsServer::Loop::wait(const app::WakeUp& stop) {
  TimePoint next = TimePoint::max();
  const TimePoint now = std::chrono::steady_clock::now();
  const bool pausing = now < accept_from_;
  if (pausing) next = accept_from_;
  const auto listener = [pausing](int fd) { return pollfd{pausing ? -1 : fd, POLLIN, 0}; };
  sources_.assign({{stop.fd(), POLLIN, 0},
                   listener(unix_listener_ ? unix_listener_->fd() : -1),
                   listener(loopback_listener_ ? loopback_listener_->fd() : -1)});
  for (const Client& client : clients_) {
    sources_.push_back({client.fd(), client.events(), 0});
    next = std::min(next, client.deadline());
  }
  int wait_ms = -1;
  if (next != TimePoint::max()) {
    const auto left = std::chrono::ceil<milliseconds>(next - now);
    wait_ms = static_cast<int>(std::clamp<milliseconds::rep>(left.count(), 0, 60'000));
  }
  if (::poll(sources_.data(), sources_.size(), wait_ms) >= 0 || errno == EINTR) return true;
  spdlog::error("{}", Error{"wait for who asks for statistics", errno, {}}.message());
  return false;
}

void StatisticsServer::Loop::serve_clients(TimePoint now) {
  // Behind the three others they stand in the same order.
  auto source = sources_.begin() + 3;
  for (auto client = clients_.begin(); client != clients_.end(); ++source) {
    const bool lives =
        now < client->deadline() && (source->revents == 0 || client->go_on(sampler_, now));
    client = lives ? std::next(client) : clients_.erase(client);
  }
}

void StatisticsServer::Loop::take_clients(TimePoint now) {
  if (now < accept_from_) return;
  if (sources_[1].revents != 0) take_from(unix_listener_->fd(), false, now);
  if (sources_[2].revents != 0) take_from(loopback_listener_->fd(), true, now);
}

void StatisticsServer::Loop::take_from(int listener, bool is_http, TimePoint now) {
  for (int i = 0; i < accepts_max; ++i) {
    app::UniqueFd fd(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd.valid()) {
      // Those are of the one client, which went before it was taken; all others pass, or not soon.
      const bool harmless = errno == EAGAIN || errno == EINTR || errno == ECONNABORTED;
      if (!harmless) accept_from_ = now + accept_pause;
      return;
    }
    const TimePoint deadline = now + limits_.client_timeout;
    Client client = is_http ? Client::of_http(std::move(fd), deadline)
                            : Client::of_unix_socket(std::move(fd), sampler_.json(now), deadline);
    if (!client.go_on(sampler_, now)) continue;
    make_room(is_http);
    clients_.push_back(std::move(client));
  }
}

void StatisticsServer::Loop::make_room(bool is_http) {
  const auto is_same = [is_http](const Client& client) { return client.is_http() == is_http; };
  if (static_cast<std::size_t>(std::count_if(clients_.begin(), clients_.end(), is_same)) <
      limits_.clients_max)
    return;
  clients_.erase(std::find_if(clients_.begin(), clients_.end(), is_same));
}

StatisticsServer::StatisticsServer(std::unique_ptr<Loop> loop, app::WakeUp stop)
    : loop_(std::move(loop)), stop_(std::move(stop)) {
  const app::BlockedSignals blocked;
  thread_ = std::thread([this] { loop_->run(stop_, stopping_); });
}

StatisticsServer::~StatisticsServer() {
  stopping_.store(true, std::memory_order_relaxed);
  stop_.signal();
  thread_.join();
}

Result<std::unique_ptr<StatisticsServer>> StatisticsServer::start(
    std::optional<UnixListener> unix_listener, std::optional<LoopbackListener> loopback_listener,
    Source source, const StatisticsLimits& limits) {
  Result<app::WakeUp> stop = app::WakeUp::create();
  if (!stop) return tl::unexpected(stop.error());
  return std::unique_ptr<StatisticsServer>(new StatisticsServer(
      std::make_unique<Loop>(std::move(unix_listener), std::move(loopback_listener),
                             std::move(source), limits),
      std::move(*stop)));
}

}  // namespace strictsend::statistics
