// SPDX-License-Identifier: Apache-2.0
#include "apps/serve/server.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <mutex>
#include <optional>
#include <poll.h>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "apps/serve/connection.hpp"
#include "apps/serve/file_loader.hpp"

namespace strictsend::serve {
namespace {

using std::chrono::milliseconds;

/// How often deadlines are looked at: time-outs are seconds, so this is fine enough.
constexpr milliseconds tick_period{250};
/// Once the last response is through, how long clients get to answer our FIN with theirs. What is
/// still open then is reset, which costs them nothing: they have everything.
constexpr milliseconds close_grace{1'000};

struct ConnectionHash {
  std::size_t operator()(const ConnectionId& id) const noexcept {
    return std::hash<std::uint64_t>{}((std::uint64_t{id.slot} << 32) | id.generation);
  }
};

}  // namespace

class Server::Impl {
 public:
  Impl(Engine& engine, ServerConfig config, std::unique_ptr<FileLoader> loader,
       std::unique_ptr<UploadQueue> uploads, app::WakeUp stop, app::Ticker ticker)
      : engine_(engine),
        config_(std::move(config)),
        stop_(std::move(stop)),
        ticker_(std::move(ticker)),
        loader_(std::move(loader)),
        uploads_(std::move(uploads)),
        context_{engine_,        *loader_,         transfers_,
                 uploads_.get(), config_.observer, config_.access_log != nullptr,
                 blocked_} {}

  Result<void> run() {
    Result<void> served = serve();
    let_go();
    return served;
  }
  void conclude();

  void request_stop() noexcept {
    // Relaxed: the eventfd carries the order; the flag only tells this wake-up from none.
    stop_requested_.store(true, std::memory_order_relaxed);
    stop_.signal();
  }

  [[nodiscard]] ServerCounters counters() const {
    const std::lock_guard lock(published_mutex_);
    return published_;
  }

 private:
  Result<void> serve();
  Result<void> wait();
  void take_stop_requests();
  void begin_drain();
  [[nodiscard]] bool finished();
  void let_go();

  void take_engine_events();
  void on_event(const Event& event);
  void on_accepted(const Event& event);
  void on_released(const Event& event);
  bool end_pieces(std::uint64_t key, std::size_t pieces, const SpliceResult& result);
  void finish(const Transfer& transfer);

  void take_files();
  void take_uploads();
  void unblock();
  void tick();
  void publish();
  [[nodiscard]] Connection* find(ConnectionId id);

  using Connections = std::unordered_map<ConnectionId, std::unique_ptr<Connection>, ConnectionHash>;
  void forget(Connections::iterator connection);

  Engine& engine_;
  const ServerConfig config_;
  const http::SystemClock clock_;
  app::WakeUp stop_;
  app::Ticker ticker_;
  std::atomic<bool> stop_requested_{false};  // written by anyone, only ever to true
  // What the last wait ended for.
  bool ticked_ = false;
  bool files_ready_ = false;
  bool uploads_ready_ = false;
  bool stop_ready_ = false;
  bool more_events_ = false;  // the engine has more than were taken
  bool draining_ = false;
  bool hurried_ = false;  // asked to stop a second time
  std::optional<Error> device_failure_;
  http::TimePoint drain_ends_;
  std::optional<http::TimePoint> grace_ends_;
  ServerCounters counters_;  // but for what others count: see publish

  Transfers transfers_;
  std::vector<ConnectionId> blocked_;
  bool sends_finished_ = false;           // since blocked_ was looked at
  std::unique_ptr<FileLoader> loader_;    // null once `run` has ended
  std::unique_ptr<UploadQueue> uploads_;  // likewise, and without PUT
  ConnectionContext context_;             // the connections', so of no use then either
  Connections connections_;

  mutable std::mutex published_mutex_;  // held only to copy
  ServerCounters published_;            // by published_mutex_
};

Result<void> Server::Impl::serve() {
  while (!finished()) {
    if (Result<void> waited = wait(); !waited) return waited;
    take_stop_requests();
    take_engine_events();
    take_files();
    take_uploads();
    unblock();
    tick();
    publish();
    // Without it nothing is left to wait for.
    if (device_failure_) return tl::unexpected(*device_failure_);
  }
  return {};
}

Result<void> Server::Impl::wait() {
  std::array<pollfd, 7> sources{{
      {engine_.event_fd(), POLLIN, 0},
      {loader_->fd(), POLLIN, 0},
      {stop_.fd(), POLLIN, 0},
      {ticker_.fd(), POLLIN, 0},
      {config_.stop_signals != nullptr ? config_.stop_signals->fd() : -1, POLLIN, 0},
      {uploads_ != nullptr ? uploads_->fd() : -1, POLLIN, 0},
      {config_.reopen_signal != nullptr ? config_.reopen_signal->fd() : -1, POLLIN, 0},
  }};
  if (::poll(sources.data(), sources.size(), more_events_ ? 0 : -1) < 0 && errno != EINTR)
    return fail("wait for events", errno);
  files_ready_ = sources[1].revents != 0;
  stop_ready_ = sources[2].revents != 0 || sources[4].revents != 0;
  ticked_ = sources[3].revents != 0;
  uploads_ready_ = sources[5].revents != 0;
  if (sources[6].revents != 0 && config_.reopen_signal->take() && config_.access_log != nullptr)
    config_.access_log->reopen();
  if (ticked_) ticker_.clear();
  return {};
}

void Server::Impl::take_stop_requests() {
  if (!stop_ready_) return;
  stop_.clear();
  if (stop_requested_.load(std::memory_order_relaxed) && !draining_) begin_drain();
  if (config_.stop_signals == nullptr) return;
  while (config_.stop_signals->take() != 0) {
    if (draining_)
      hurried_ = true;
    else
      begin_drain();
  }
}

void Server::Impl::begin_drain() {
  draining_ = true;
  drain_ends_ = clock_.now() + config_.drain_timeout;
  spdlog::info("stopping: {} connections, {} responses under way", connections_.size(),
               transfers_.size());
  if (config_.on_drain) config_.on_drain();
  for (auto& [id, connection] : connections_)
    connection->session().drain();
}

bool Server::Impl::finished() {
  if (!draining_) return false;
  const http::TimePoint now = clock_.now();
  if (hurried_ || connections_.empty() || now >= drain_ends_) return true;
  const bool busy = std::any_of(connections_.begin(), connections_.end(),
                                [](auto& entry) { return entry.second->session().busy(); });
  if (busy) {
    grace_ends_.reset();
    return false;
  }
  if (!grace_ends_) grace_ends_ = now + close_grace;
  return now >= *grace_ends_;
}

/// Only what was submitted is left after this: no snapshot on its way there, and no file.
void Server::Impl::let_go() {
  while (!connections_.empty())
    forget(connections_.begin());
  publish();
  uploads_.reset();
  loader_.reset();
}

/// Once in a turn, so that who reads statistics sees numbers of one moment, and holds up nobody.
void Server::Impl::publish() {
  counters_.connections_open = connections_.size();
  counters_.connections_blocked = blocked_.size();
  counters_.responses_open = transfers_.size();
  if (loader_ != nullptr) loader_->store().counts(counters_);
  if (uploads_ != nullptr) uploads_->counts(counters_);
  if (config_.access_log != nullptr)
    counters_.access_log_lines_lost = config_.access_log->lines_lost();
  const std::lock_guard lock(published_mutex_);
  published_ = counters_;
}

void Server::Impl::conclude() {
  std::array<Event, 256> events;
  while (const std::size_t count = engine_.poll(events)) {
    for (const Event& event : std::span(events).first(count)) {
      if (event.kind == Event::Kind::released) on_released(event);
    }
  }
  publish();
}

void Server::Impl::take_engine_events() {
  std::array<Event, 256> events;
  // Bounded, so that files and stop requests get their turn under any load.
  constexpr int batches = 16;
  more_events_ = false;
  for (int i = 0; i < batches; ++i) {
    const std::size_t count = engine_.poll(events);
    for (const Event& event : std::span(events).first(count))
      on_event(event);
    if (count < events.size()) return;
  }
  more_events_ = true;
}

void Server::Impl::on_event(const Event& event) {
  if (event.kind == Event::Kind::accepted) return on_accepted(event);
  if (event.kind == Event::Kind::released) return on_released(event);
  if (event.kind == Event::Kind::device_lost) device_failure_ = engine_.device_failure();
  Connection* connection = find(event.connection);
  if (connection == nullptr) return;
  switch (event.kind) {
    case Event::Kind::readable:
      connection->session().on_readable();
      break;
    case Event::Kind::peer_closed:
      connection->session().on_peer_closed();
      break;
    case Event::Kind::closed:
      if (event.result.error != 0)
        spdlog::debug("a connection ended: {}", Error{"send", event.result.error, {}}.message());
      forget(connections_.find(event.connection));
      break;
    case Event::Kind::accepted:
    case Event::Kind::released:
    case Event::Kind::sent:
    case Event::Kind::device_lost:
      break;
  }
}

void Server::Impl::on_accepted(const Event& event) {
  auto connection = std::make_unique<Connection>(context_, event, clock_, config_.limits);
  if (draining_) connection->session().drain();
  ++counters_.connections_accepted;
  connections_.insert_or_assign(event.connection, std::move(connection));
}

void Server::Impl::on_released(const Event& event) {
  const Transfer* transfer = transfers_.find(event.user_data);
  if (transfer == nullptr) return;
  sends_finished_ = true;
  const ConnectionId id = transfer->connection;
  const bool ended = end_pieces(event.user_data, 1, event.result);
  if (Connection* connection = find(id)) connection->on_released(ended);
}

/// True: the response has none left.
bool Server::Impl::end_pieces(std::uint64_t key, std::size_t pieces, const SpliceResult& result) {
  Transfer& transfer = *transfers_.find(key);
  add(transfer.result, result);
  transfer.pieces_left -= pieces;
  if (transfer.pieces_left > 0) return false;
  finish(transfers_.remove(key));
  return true;
}

void Server::Impl::finish(const Transfer& transfer) {
  const SpliceResult& result = transfer.result;
  if (transfer.status < 200) return;  // not the answer yet
  if (result.error != 0)
    ++counters_.requests_cut;
  else
    count_response(counters_, transfer.method, transfer.status);
  counters_.bytes_sent += result.bytes_sent;
  counters_.bytes_acked += result.bytes_acked;
  counters_.pages_preserved += result.pages_preserved;
  counters_.bytes_copied += result.bytes_copied;
  if (transfer.observed && config_.observer != nullptr)
    config_.observer->on_released(transfer.splice_id, result);
  log_transfer(transfer);
  if (config_.access_log == nullptr) return;
  const std::chrono::duration<double> took = clock_.now() - transfer.began;
  config_.access_log->add(access_line(transfer, clock_.unix_seconds(), took.count()));
}

void Server::Impl::take_files() {
  if (!files_ready_) return;
  for (FileLoader::Done& done : loader_->take()) {
    if (Connection* connection = find(done.connection))
      connection->session().on_resolved(std::move(done.resolution));
  }
}

void Server::Impl::take_uploads() {
  if (!uploads_ready_) return;
  for (const UploadQueue::Done& done : uploads_->take()) {
    if (Connection* connection = find(done.connection))
      connection->session().on_upload(done.outcome);
  }
}

void Server::Impl::unblock() {
  if (blocked_.empty() || (!sends_finished_ && !ticked_)) return;
  sends_finished_ = false;
  // Those that are refused again come back into blocked_.
  for (const ConnectionId id : std::exchange(blocked_, {})) {
    if (Connection* connection = find(id)) connection->on_send_possible();
  }
}

void Server::Impl::tick() {
  if (!ticked_) return;
  for (auto& [id, connection] : connections_)
    connection->session().on_tick();
  if (config_.on_tick) config_.on_tick();
}

Connection* Server::Impl::find(ConnectionId id) {
  const auto found = connections_.find(id);
  return found == connections_.end() ? nullptr : found->second.get();
}

void Server::Impl::forget(Connections::iterator connection) {
  // Its peer went, or the server stops, before a response could be submitted.
  if (connection->second->session().owes_response()) ++counters_.requests_cut;
  // What was queued behind it goes with it.
  SpliceResult unsent;
  unsent.error = ECONNRESET;
  for (const Outgoing& outgoing : connection->second->outgoing())
    end_pieces(outgoing.key(), outgoing.pieces_left(), unsent);
  connections_.erase(connection);
}

Result<std::unique_ptr<Server>> Server::create(Engine& engine, ServerConfig config) {
  Result<FileResolver> resolver = FileResolver::create(config.root);
  if (!resolver) return tl::unexpected(resolver.error());
  Result<app::WakeUp> stop = app::WakeUp::create();
  if (!stop) return tl::unexpected(stop.error());
  Result<app::Ticker> ticker = app::Ticker::create(tick_period);
  if (!ticker) return tl::unexpected(ticker.error());
  auto loader = FileLoader::create(engine, std::move(*resolver), config.store);
  if (!loader) return tl::unexpected(loader.error());
  std::unique_ptr<UploadQueue> uploads;
  if (config.allow_put) {
    auto queue = UploadQueue::create((*loader)->store());
    if (!queue) return tl::unexpected(queue.error());
    uploads = std::move(*queue);
  }
  if (Result<void> listening = engine.listen(config.port); !listening)
    return tl::unexpected(listening.error());
  return std::unique_ptr<Server>(
      new Server(std::make_unique<Impl>(engine, std::move(config), std::move(*loader),
                                        std::move(uploads), std::move(*stop), std::move(*ticker))));
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() = default;

Result<void> Server::run() {
  return impl_->run();
}
void Server::conclude() {
  impl_->conclude();
}
void Server::request_stop() noexcept {
  impl_->request_stop();
}
ServerCounters Server::counters() const {
  return impl_->counters();
}

}  // namespace strictsend::serve
