// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "base/assert.hpp"
#include "pagecache/page_cache.hpp"
#include <strictsend/file.hpp>

// The public handles: thin, so that the page cache stays behind them.

namespace strictsend {

Snapshot::Snapshot() noexcept = default;
Snapshot::Snapshot(Snapshot&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
Snapshot& Snapshot::operator=(Snapshot&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}
Snapshot::~Snapshot() {
  if (state_ != nullptr) pagecache::snapshot_release(state_);
}

std::uint64_t Snapshot::offset() const noexcept {
  STRICTSEND_ASSERT(valid());
  return pagecache::snapshot_offset(*state_);
}
std::uint64_t Snapshot::length_bytes() const noexcept {
  STRICTSEND_ASSERT(valid());
  return pagecache::snapshot_length_bytes(*state_);
}
const FileAttributes& Snapshot::attributes() const noexcept {
  STRICTSEND_ASSERT(valid());
  return pagecache::snapshot_attributes(*state_);
}
Result<Snapshot> Snapshot::part(std::uint64_t offset, std::uint64_t length_bytes) const {
  STRICTSEND_ASSERT(valid());
  auto state = pagecache::snapshot_part(*state_, offset, length_bytes);
  if (!state) return tl::unexpected(std::move(state.error()));
  Snapshot part;
  part.state_ = *state;
  return part;
}

File::File() noexcept = default;
File::File(const File&) noexcept = default;
File::File(File&&) noexcept = default;
File& File::operator=(const File&) noexcept = default;
File& File::operator=(File&&) noexcept = default;
File::~File() = default;

std::uint64_t File::size_bytes() const {
  STRICTSEND_ASSERT(valid());
  return pagecache::file_size_bytes(*impl_);
}
Result<std::size_t> File::read(std::span<std::byte> into, std::uint64_t offset) const {
  STRICTSEND_ASSERT(valid());
  return pagecache::file_read(*impl_, into, offset);
}
Result<std::size_t> File::write(std::span<const std::byte> from, std::uint64_t offset) {
  STRICTSEND_ASSERT(valid());
  return pagecache::file_write(*impl_, from, offset);
}
Result<std::uint64_t> File::append(std::span<const std::byte> from) {
  STRICTSEND_ASSERT(valid());
  return pagecache::file_append(*impl_, from);
}
Result<void> File::truncate(std::uint64_t size_bytes) {
  STRICTSEND_ASSERT(valid());
  return pagecache::file_truncate(*impl_, size_bytes);
}
Result<std::span<std::byte>> File::map() {
  STRICTSEND_ASSERT(valid());
  return pagecache::file_map(impl_);
}
Result<void> File::sync() {
  STRICTSEND_ASSERT(valid());
  return pagecache::file_sync(*impl_);
}

}  // namespace strictsend
