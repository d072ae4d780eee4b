// SPDX-License-Identifier: Apache-2.0
#include "engine/packetdrill/outbox.hpp"

#include <sys/mman.h>

#include <cerrno>
#include <unistd.h>
#include <utility>

#include "base/assert.hpp"
#include "base/page.hpp"

namespace strictsend::packetdrill {

Outbox::Outbox(pagecache::PageCache& cache, UniqueFd backing,
               std::shared_ptr<pagecache::CachedFile> file)
    : cache_(&cache), backing_(std::move(backing)), file_(std::move(file)) {}

Result<Outbox> Outbox::create(pagecache::PageCache& cache) {
  UniqueFd backing(::memfd_create("strictsend-packetdrill-outbox", MFD_CLOEXEC));
  if (!backing.valid() || ::ftruncate(backing.get(), size_bytes) != 0)
    return fail("make the outbox", errno, "16 MiB of memory are needed");
  auto file = cache.open_file(backing.get());
  if (!file) return tl::unexpected(std::move(file.error()));
  return Outbox(cache, std::move(backing), std::move(*file));
}

Result<pagecache::SnapshotState*> Outbox::put(std::span<const std::byte> bytes) {
  STRICTSEND_ASSERT(!bytes.empty() && bytes.size() <= put_bytes_max);
  if (next_ + bytes.size() > size_bytes) next_ = 0;
  const std::uint64_t at = next_;
  const auto written = pagecache::file_write(*file_, bytes, at);
  if (!written) return tl::unexpected(written.error());
  STRICTSEND_ASSERT(*written == bytes.size());
  // A page of its own for each write: then none is written again while a snapshot needs it.
  next_ = (at + bytes.size() + page_bytes - 1) / page_bytes * page_bytes;
  return cache_->freeze(file_, at, bytes.size());
}

}  // namespace strictsend::packetdrill
