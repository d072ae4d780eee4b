// SPDX-License-Identifier: Apache-2.0
#include "tests/support/socket_engine.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <map>
#include <mutex>
#include <poll.h>
#include <string>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include "base/unique_fd.hpp"

namespace strictsend {

namespace test::socket_engine {
namespace {

std::atomic<std::uint16_t> bound_port{0};
std::atomic<int> submit_refusals{0};
std::atomic<int> refused_count{0};
std::atomic<int> load_count{0};
std::atomic<int> snapshot_count{0};
std::atomic<int> held_count{0};
std::mutex gate_mutex;
std::condition_variable gate;
bool gate_closed = false;  // by gate_mutex

std::atomic<bool> device_lost{false};
std::function<void(const Event&)> post_event;  // to the engine that is open

void reset() {
  device_lost = false;
  submit_refusals = 0;
  refused_count = 0;
  load_count = 0;
  hold_slow_loads(false);
}

void pass_gate() {
  std::unique_lock lock(gate_mutex);
  ++held_count;
  gate.wait(lock, [] { return !gate_closed; });
  --held_count;
}

}  // namespace

std::uint16_t port() {
  return bound_port;
}
void refuse_submits(int count) {
  submit_refusals = count;
}
int submits_refused() {
  return refused_count;
}
void hold_slow_loads(bool hold) {
  {
    const std::lock_guard lock(gate_mutex);
    gate_closed = hold;
  }
  gate.notify_all();
}
void lose_device() {
  device_lost = true;
  Event event;
  event.kind = Event::Kind::device_lost;
  event.result.error = ENODEV;
  post_event(event);
}
int loads() {
  return load_count;
}
int loads_held() {
  return held_count;
}
int snapshots() {
  return snapshot_count;
}

}  // namespace test::socket_engine

namespace fake = test::socket_engine;

namespace pagecache {

/// The bytes are replaced as a whole when the backing file is changed, so a snapshot is a
/// reference.
class CachedFile {
 public:
  UniqueFd fd;
  std::mutex mutex;
  std::shared_ptr<const std::string> bytes;
  FileAttributes attributes;
  std::shared_ptr<std::atomic<std::uint64_t>> room_bytes;
  std::uint64_t charged_bytes = 0;

  CachedFile() = default;
  CachedFile(const CachedFile&) = delete;
  CachedFile& operator=(const CachedFile&) = delete;
  ~CachedFile() { room_bytes->fetch_add(charged_bytes); }
};

class SnapshotState {
 public:
  std::shared_ptr<CachedFile> file;
  std::shared_ptr<const std::string> bytes;
  FileAttributes attributes;
  std::uint64_t offset = 0;
  std::uint64_t length_bytes = 0;
};

}  // namespace pagecache

using pagecache::CachedFile;
using pagecache::SnapshotState;

Snapshot::Snapshot() noexcept = default;
Snapshot::Snapshot(Snapshot&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
Snapshot& Snapshot::operator=(Snapshot&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}
Snapshot::~Snapshot() {
  if (state_ == nullptr) return;
  --fake::snapshot_count;
  delete state_;
}
std::uint64_t Snapshot::offset() const noexcept {
  return state_->offset;
}
std::uint64_t Snapshot::length_bytes() const noexcept {
  return state_->length_bytes;
}
Result<Snapshot> Snapshot::part(std::uint64_t offset, std::uint64_t length_bytes) const {
  const std::uint64_t end = state_->offset + state_->length_bytes;
  const std::uint64_t begin = std::clamp(offset, state_->offset, end);
  ++fake::snapshot_count;
  Snapshot part;
  part.state_ = new SnapshotState{state_->file, state_->bytes, state_->attributes, begin,
                                  std::min(length_bytes, end - begin)};
  return part;
}
const FileAttributes& Snapshot::attributes() const noexcept {
  return state_->attributes;
}

File::File() noexcept = default;
File::File(const File&) noexcept = default;
File::File(File&&) noexcept = default;
File& File::operator=(const File&) noexcept = default;
File& File::operator=(File&&) noexcept = default;
File::~File() = default;
// Its files are read alone. What writes them is linked with other parts of the program.
Result<std::size_t> File::write(std::span<const std::byte>, std::uint64_t) {
  return fail("write", ENOTSUP);
}
Result<std::span<std::byte>> File::map() {
  return fail("map", ENOTSUP);
}
std::uint64_t File::size_bytes() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->bytes->size();
}

class SnapshotAccess {
 public:
  static std::string_view bytes(const Snapshot& snapshot) {
    return std::string_view(*snapshot.state_->bytes)
        .substr(snapshot.offset(), snapshot.length_bytes());
  }
};

class Engine::Impl {
 public:
  explicit Impl(const EngineConfig& engine_config)
      : config(engine_config),
        room_bytes(std::make_shared<std::atomic<std::uint64_t>>(engine_config.cache_bytes)),
        events_fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        wake_fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
        thread([this] { loop(); }) {
    fake::post_event = [this](const Event& event) {
      const std::lock_guard lock(mutex);
      post(event);
    };
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() { stop(); }

  struct Output {
    std::string header;
    Snapshot snapshot;
    std::uint64_t user_data = 0;
    std::size_t sent = 0;
  };
  struct Connection {
    ConnectionId id;
    UniqueFd fd;
    std::string received;
    std::deque<Output> outputs;
    bool peer_closed = false;
    bool closing = false;  // FIN when outputs are empty
    bool fin_sent = false;
    bool aborted = false;
  };

  void loop();
  void step(std::vector<pollfd>& sources);
  void take_connections();
  void read_from(Connection& connection);
  void write_to(Connection& connection);
  void drop(std::uint32_t slot, int error);
  void post(const Event& event) {
    events.push_back(event);
    signal(events_fd);
  }
  static void signal(const UniqueFd& fd) {
    const std::uint64_t one = 1;
    static_cast<void>(::write(fd.get(), &one, sizeof(one)));
  }
  static void clear(const UniqueFd& fd) {
    std::uint64_t count = 0;
    static_cast<void>(::read(fd.get(), &count, sizeof(count)));
  }
  Connection* find(ConnectionId id) {
    const auto found = connections.find(id.slot);
    return found == connections.end() || found->second.id != id ? nullptr : &found->second;
  }
  void stop() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
    }
    signal(wake_fd);
    if (thread.joinable()) thread.join();
    while (!connections.empty())
      drop(connections.begin()->first, ECONNABORTED);
  }
  Result<void> load(CachedFile& file);

  EngineConfig config;
  std::mutex mutex;
  std::shared_ptr<std::atomic<std::uint64_t>> room_bytes;
  bool stopping = false;
  std::uint32_t next_slot = 0;
  EngineStats counted;
  UniqueFd listener;
  std::map<std::uint32_t, Connection> connections;
  std::deque<Event> events;
  UniqueFd events_fd;
  UniqueFd wake_fd;
  std::thread thread;
};

void Engine::Impl::loop() {
  while (true) {
    std::vector<pollfd> sources{{wake_fd.get(), POLLIN, 0}};
    {
      const std::lock_guard lock(mutex);
      if (stopping) return;
      if (listener.valid()) sources.push_back({listener.get(), POLLIN, 0});
      for (auto& [slot, c] : connections) {
        short wanted = 0;
        if (!c.peer_closed && c.received.size() < config.receive_buffer_bytes) wanted |= POLLIN;
        if (!c.outputs.empty()) wanted |= POLLOUT;
        sources.push_back({c.fd.get(), wanted, 0});
      }
    }
    ::poll(sources.data(), sources.size(), -1);
    clear(wake_fd);
    const std::lock_guard lock(mutex);
    take_connections();
    std::vector<std::uint32_t> slots;
    for (auto& [slot, c] : connections)
      slots.push_back(slot);
    for (const std::uint32_t slot : slots) {
      Connection& c = connections.at(slot);
      if (c.aborted) {
        const linger reset{1, 0};
        ::setsockopt(c.fd.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        drop(slot, ECONNRESET);
        continue;
      }
      read_from(c);
      write_to(c);
      if (c.fin_sent && c.peer_closed) drop(slot, 0);
    }
  }
}

void Engine::Impl::take_connections() {
  if (!listener.valid()) return;
  while (true) {
    sockaddr_in peer{};
    socklen_t length = sizeof(peer);
    UniqueFd fd(::accept4(listener.get(), reinterpret_cast<sockaddr*>(&peer), &length,
                          SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd.valid()) return;
    Event event;
    event.kind = Event::Kind::accepted;
    event.connection = {next_slot++, 7};
    Ipv4Address peer_address{};
    std::memcpy(peer_address.data(), &peer.sin_addr, peer_address.size());
    event.peer_address = peer_address;
    event.peer_port = ntohs(peer.sin_port);
    Connection& c = connections[event.connection.slot];
    c.id = event.connection;
    c.fd = std::move(fd);
    ++counted.connections_accepted;
    post(event);
  }
}

void Engine::Impl::read_from(Connection& c) {
  bool any = false;
  while (!c.peer_closed && c.received.size() < config.receive_buffer_bytes) {
    char block[4096];
    const std::size_t room =
        std::min(sizeof(block), config.receive_buffer_bytes - c.received.size());
    const ssize_t n = ::recv(c.fd.get(), block, room, 0);
    if (n < 0 && errno == EAGAIN) break;
    if (n < 0) {
      c.aborted = true;
      signal(wake_fd);
      return;
    }
    if (n > 0) {
      c.received.append(block, static_cast<std::size_t>(n));
      any = true;
      continue;
    }
    c.peer_closed = true;
    Event event;
    event.kind = Event::Kind::peer_closed;
    event.connection = c.id;
    if (any) post({.kind = Event::Kind::readable, .connection = c.id});
    any = false;
    post(event);
  }
  if (any) post({.kind = Event::Kind::readable, .connection = c.id});
}

void Engine::Impl::write_to(Connection& c) {
  while (!c.outputs.empty()) {
    Output& out = c.outputs.front();
    const std::string_view body =
        out.snapshot.valid() ? SnapshotAccess::bytes(out.snapshot) : std::string_view();
    const std::size_t total = out.header.size() + body.size();
    while (out.sent < total) {
      const bool in_header = out.sent < out.header.size();
      const std::string_view part = in_header ? std::string_view(out.header) : body;
      const std::size_t at = in_header ? out.sent : out.sent - out.header.size();
      const ssize_t n =
          ::send(c.fd.get(), part.data() + at, part.size() - at, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n < 0 && errno == EAGAIN) return;
      if (n < 0) {
        c.aborted = true;
        signal(wake_fd);
        return;
      }
      out.sent += static_cast<std::size_t>(n);
    }
    Event event;
    event.kind = Event::Kind::released;
    event.connection = c.id;
    event.user_data = out.user_data;
    event.result.bytes_sent = event.result.bytes_acked = total;
    c.outputs.pop_front();
    post(event);
  }
  if (c.closing && !c.fin_sent) {
    ::shutdown(c.fd.get(), SHUT_WR);
    c.fin_sent = true;
  }
}

void Engine::Impl::drop(std::uint32_t slot, int error) {
  Connection& c = connections.at(slot);
  for (const Output& out : c.outputs) {
    Event event;
    event.kind = Event::Kind::released;
    event.connection = c.id;
    event.user_data = out.user_data;
    event.result.error = error;
    post(event);
  }
  Event event;
  event.kind = Event::Kind::closed;
  event.connection = c.id;
  event.result.error = error;
  post(event);
  connections.erase(slot);
}

Result<void> Engine::Impl::load(CachedFile& file) {
  struct stat status {};
  if (::fstat(file.fd.get(), &status) != 0) return fail("fstat", errno);
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (size > config.cache_bytes) return fail("load", EFBIG);
  std::uint64_t room = room_bytes->load();
  do {
    if (room < size) return fail("load", ENOBUFS);
  } while (!room_bytes->compare_exchange_weak(room, room - size));
  file.charged_bytes += size;
  auto bytes = std::make_shared<std::string>(size, '\0');
  if (::pread(file.fd.get(), bytes->data(), size, 0) != status.st_size) return fail("read", EIO);
  ++fake::load_count;
  if (bytes->starts_with("slow")) fake::pass_gate();
  file.bytes = bytes;
  file.attributes.size_bytes = size;
  file.attributes.mtime_ns = status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec;
  file.attributes.entity_tag =
      std::to_string(file.attributes.mtime_ns) + "-" + std::to_string(size);
  return {};
}

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;
Result<std::unique_ptr<Engine>> Engine::open(const EngineConfig& config) {
  fake::reset();
  return std::unique_ptr<Engine>(new Engine(std::make_unique<Impl>(config)));
}
/// Sockets leave nothing on an interface.
Result<bool> Engine::clear_interface(const std::string& /*nic*/) {
  return false;
}
std::string Engine::description() const {
  return "kernel sockets on loopback, port " + std::to_string(fake::port());
}
std::vector<IpAddress> Engine::addresses() const {
  return {IpAddress(127, 0, 0, 1)};
}
PortFacts Engine::port() const {
  return {};
}
std::uint64_t Engine::memory_bytes() const {
  return impl_->config.cache_bytes;
}

Result<void> Engine::listen(std::uint16_t) {
  const std::lock_guard lock(impl_->mutex);
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(address);
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), length) != 0 ||
      ::listen(fd.get(), 128) != 0 ||
      ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0)
    return fail("listen", errno);
  fake::bound_port = ntohs(address.sin_port);
  impl_->listener = std::move(fd);
  Impl::signal(impl_->wake_fd);
  return {};
}

int Engine::event_fd() const {
  return impl_->events_fd.get();
}
std::size_t Engine::poll(std::span<Event> into) {
  const std::lock_guard lock(impl_->mutex);
  const std::size_t n = std::min(into.size(), impl_->events.size());
  std::copy_n(impl_->events.begin(), n, into.begin());
  impl_->events.erase(impl_->events.begin(),
                      impl_->events.begin() + static_cast<std::ptrdiff_t>(n));
  if (impl_->events.empty()) Impl::clear(impl_->events_fd);
  return n;
}

Result<std::size_t> Engine::receive(ConnectionId id, std::span<std::byte> into) {
  const std::lock_guard lock(impl_->mutex);
  Impl::Connection* c = impl_->find(id);
  if (c == nullptr) return fail("receive", ENOTCONN);
  const std::size_t n = std::min(into.size(), c->received.size());
  std::memcpy(into.data(), c->received.data(), n);
  c->received.erase(0, n);
  if (n > 0) Impl::signal(impl_->wake_fd);
  return n;
}
Result<void> Engine::close(ConnectionId id) {
  const std::lock_guard lock(impl_->mutex);
  Impl::Connection* c = impl_->find(id);
  if (c == nullptr) return fail("close", ENOTCONN);
  c->closing = true;
  Impl::signal(impl_->wake_fd);
  return {};
}
Result<void> Engine::abort(ConnectionId id) {
  const std::lock_guard lock(impl_->mutex);
  Impl::Connection* c = impl_->find(id);
  if (c == nullptr) return fail("abort", ENOTCONN);
  c->aborted = true;
  Impl::signal(impl_->wake_fd);
  return {};
}

Result<File> Engine::open_file(const std::string& path, int flags) {
  const UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC));
  if (!fd.valid()) return fail("open " + path, errno);
  return open_file(fd.get());
}
Result<File> Engine::open_file(int fd) {
  auto cached = std::make_shared<CachedFile>();
  cached->room_bytes = impl_->room_bytes;
  cached->fd = UniqueFd(::dup(fd));
  if (Result<void> loaded = impl_->load(*cached); !loaded) return tl::unexpected(loaded.error());
  File file;
  file.impl_ = std::move(cached);
  return file;
}

Result<Snapshot> Engine::freeze(File& file, std::uint64_t, std::uint64_t) {
  const std::lock_guard lock(file.impl_->mutex);
  CachedFile& cached = *file.impl_;
  struct stat status {};
  ::fstat(cached.fd.get(), &status);
  const std::int64_t mtime_ns = status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec;
  if (mtime_ns != cached.attributes.mtime_ns ||
      static_cast<std::uint64_t>(status.st_size) != cached.attributes.size_bytes) {
    if (Result<void> loaded = impl_->load(cached); !loaded) return tl::unexpected(loaded.error());
  }
  ++fake::snapshot_count;
  Snapshot snapshot;
  snapshot.state_ =
      new SnapshotState{file.impl_, cached.bytes, cached.attributes, 0, cached.bytes->size()};
  return snapshot;
}

Result<std::uint64_t> Engine::submit(Splice&& splice) {
  const std::lock_guard lock(impl_->mutex);
  if (fake::submit_refusals > 0) {
    --fake::submit_refusals;
    ++fake::refused_count;
    return fail("submit", EAGAIN);
  }
  Impl::Connection* c = impl_->find(splice.connection);
  if (c == nullptr) return fail("submit", ENOTCONN);
  if (c->closing || c->aborted) return fail("submit", EPIPE);
  const auto* header = reinterpret_cast<const char*>(splice.header.data());
  if (splice.snapshot.valid()) impl_->counted.payload_bytes_sent += splice.snapshot.length_bytes();
  c->outputs.push_back(
      {std::string(header, splice.header.size()), std::move(splice.snapshot), splice.user_data, 0});
  Impl::signal(impl_->wake_fd);
  return ++impl_->counted.splices_submitted;
}

EngineStats Engine::stats() const {
  const std::lock_guard lock(impl_->mutex);
  EngineStats stats = impl_->counted;
  stats.connections_open = impl_->connections.size();
  stats.snapshots_live = static_cast<std::uint64_t>(fake::snapshots());
  return stats;
}
std::uint32_t Engine::queue_count() const {
  return 1;
}
QueueStats Engine::queue_stats(std::uint32_t) const {
  return {};
}
std::optional<Error> Engine::device_failure() const {
  if (!fake::device_lost) return std::nullopt;
  return Error{"sending over " + impl_->config.nic, ENODEV, "it was removed"};
}
EngineStats Engine::stop(std::uint32_t) {
  impl_->stop();
  return stats();
}

}  // namespace strictsend
