// SPDX-License-Identifier: Apache-2.0
#include <cerrno>
#include <utility>

#include "engine/api/engine_impl.hpp"
#include "nic/open_port.hpp"
#include <strictsend/engine.hpp>

namespace strictsend {

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;

Result<std::unique_ptr<Engine>> Engine::open(const EngineConfig& config) {
  Result<std::unique_ptr<Impl>> impl = Impl::open(config);
  if (!impl) return tl::unexpected(std::move(impl.error()));
  return std::unique_ptr<Engine>(new Engine(std::move(*impl)));
}

Result<bool> Engine::clear_interface(const std::string& nic) {
  return nic::clear_interface(nic);
}

std::string Engine::description() const {
  return impl_->description();
}
std::vector<IpAddress> Engine::addresses() const {
  return impl_->addresses();
}
PortFacts Engine::port() const {
  return impl_->port_facts();
}
std::uint64_t Engine::memory_bytes() const {
  return impl_->memory_bytes();
}
Result<void> Engine::listen(std::uint16_t port) {
  return impl_->listen(port);
}
int Engine::event_fd() const {
  return impl_->event_fd();
}
std::size_t Engine::poll(std::span<Event> events) {
  return impl_->poll(events);
}

Result<std::size_t> Engine::receive(ConnectionId connection, std::span<std::byte> into) {
  return impl_->receive(connection, into);
}
Result<DatagramFlowId> Engine::open_datagram_flow(const DatagramFlowConfig& config) {
  return impl_->open_datagram_flow(config);
}
Result<void> Engine::close(DatagramFlowId flow) {
  return impl_->end(flow, engine::AnyFlow::request_close, "close");
}
Result<void> Engine::abort(DatagramFlowId flow) {
  return impl_->end(flow, engine::AnyFlow::request_abort, "abort");
}
Result<void> Engine::close(ConnectionId connection) {
  return impl_->end(connection, engine::Flow::request_close, "close");
}
Result<void> Engine::abort(ConnectionId connection) {
  return impl_->end(connection, engine::Flow::request_abort, "abort");
}

Result<File> Engine::open_file(const std::string& path, int flags) {
  auto opened = impl_->cache().open_file(path, flags);
  if (!opened) return tl::unexpected(std::move(opened.error()));
  File file;
  file.impl_ = std::move(*opened);
  return file;
}

Result<File> Engine::open_file(int fd) {
  auto opened = impl_->cache().open_file(fd);
  if (!opened) return tl::unexpected(std::move(opened.error()));
  File file;
  file.impl_ = std::move(*opened);
  return file;
}

Result<Snapshot> Engine::freeze(File& file, std::uint64_t offset, std::uint64_t length_bytes) {
  STRICTSEND_ASSERT(file.valid());
  if (impl_->is_stopped()) return fail("freeze", ESHUTDOWN, "the engine has been stopped");
  auto state = impl_->cache().freeze(file.impl_, offset, length_bytes);
  if (!state) return tl::unexpected(std::move(state.error()));
  Snapshot snapshot;
  snapshot.state_ = *state;
  return snapshot;
}

Result<std::uint64_t> Engine::submit(Splice&& splice) {
  return impl_->submit(std::move(splice));
}
Result<std::uint64_t> Engine::submit(DatagramSplice&& splice) {
  return impl_->submit(std::move(splice));
}
Result<void> Engine::cancel(std::uint64_t splice_id) {
  return impl_->cancel(splice_id);
}
EngineStats Engine::stats() const {
  return impl_->stats();
}
std::uint32_t Engine::queue_count() const {
  return impl_->queue_count();
}
QueueStats Engine::queue_stats(std::uint32_t queue) const {
  return impl_->queue_stats(queue);
}
std::optional<Error> Engine::device_failure() const {
  return impl_->device_failure();
}
EngineStats Engine::stop(std::uint32_t drain_ms) {
  return impl_->stop(drain_ms);
}

}  // namespace strictsend
