// SPDX-License-Identifier: Apache-2.0
#include "pagecache/page_cache.hpp"

#include <cerrno>
#include <utility>

#include "base/assert.hpp"
#include "pagecache/cache_core.hpp"
#include "pagecache/file_source.hpp"

namespace strictsend::pagecache {

class PageCache::Impl {
 public:
  Impl(std::shared_ptr<CacheCore> c, std::unique_ptr<FileSource> s)
      : core(std::move(c)), source(std::move(s)) {}
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() {
    source.reset();
    core->shutdown();
  }

  std::shared_ptr<CacheCore> core;
  std::unique_ptr<FileSource> source;
};

Result<std::unique_ptr<PageCache>> PageCache::create(const CacheConfig& config) {
  return create(config, CacheTuning{});
}

Result<std::unique_ptr<PageCache>> PageCache::create(const CacheConfig& config,
                                                     const CacheTuning& tuning) {
  auto core = CacheCore::create(config, tuning);
  if (!core) return tl::unexpected(core.error());
  auto source = make_file_source(*core);
  if (!source) {
    (*core)->shutdown();
    return tl::unexpected(source.error());
  }
  return std::unique_ptr<PageCache>(
      new PageCache(std::make_unique<Impl>(*std::move(core), *std::move(source))));
}

PageCache::PageCache(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PageCache::~PageCache() = default;

std::byte* PageCache::dma_view() const {
  return impl_->core->arena().dma_view();
}
std::uint64_t PageCache::arena_bytes() const {
  return impl_->core->arena().size_bytes();
}
int PageCache::arena_fd() const {
  return impl_->core->arena().fd();
}
FrameIndex PageCache::port_frames_begin() const {
  return FrameIndex{1};
}
std::uint64_t PageCache::metadata_bytes() const {
  return impl_->core->metadata_bytes();
}

Result<std::shared_ptr<CachedFile>> PageCache::open_file(const std::string& path, int flags) {
  return impl_->source->open(path, flags);
}
Result<std::shared_ptr<CachedFile>> PageCache::open_file(int fd) {
  return impl_->source->open(fd);
}

Result<SnapshotState*> PageCache::freeze(std::shared_ptr<CachedFile>& file, std::uint64_t offset,
                                         std::uint64_t length_bytes) {
  if (auto refreshed = impl_->source->refresh(file); !refreshed) {
    return tl::unexpected(refreshed.error());
  }
  return impl_->core->freeze(file, offset, length_bytes);
}

void PageCache::release(SnapshotState* snapshot) {
  impl_->core->release(snapshot);
}

PinOutcome PageCache::resolve_and_pin(SnapshotState& snapshot, PageIndex page, FrameIndex& frame) {
  return impl_->core->resolve_for_sending(snapshot, page, frame);
}

void PageCache::wake_loader() {
  impl_->core->wants().wake();
}

void PageCache::on_pages_came(std::function<void()> listener) {
  impl_->core->wants().listen(std::move(listener));
}

std::uint64_t PageCache::pages_came() const {
  return impl_->core->wants().pages_came();
}

void PageCache::pin_blindly(FrameIndex frame) {
  impl_->core->pin_blindly(frame);
}

void PageCache::unpin(FrameIndex frame) {
  impl_->core->unpin(frame);
}

void PageCache::advance(SnapshotState& snapshot, std::uint64_t file_offset, Time now) {
  advance_snapshot(snapshot, file_offset, now);
}

void PageCache::belongs_to(SnapshotState& snapshot, std::uint64_t owner) {
  snapshot.owner.store(owner, std::memory_order_relaxed);
}

void PageCache::turn_has_come(SnapshotState& snapshot, Time now) {
  snapshot.progress_ns.store(now.ns, std::memory_order_relaxed);
}

std::uint64_t PageCache::frame_sum(FrameIndex frame, std::uint32_t offset, std::uint32_t length) {
  CacheCore& core = *impl_->core;
  const std::span<const std::byte, page_bytes> bytes(core.arena().dma(frame), page_bytes);
  // Without protection nobody tells of a write: a remembered sum would stay wrong for ever.
  if (!core.config().protect) return inet_sum(bytes.subspan(offset, length));
  return core.memo().sum(frame, bytes, offset, length);
}

bool PageCache::writers_wait_for_device() const {
  return impl_->core->writers_wait_for_device().load(std::memory_order_relaxed);
}

CacheStats PageCache::stats() const {
  return impl_->core->stats();
}

void PageCache::close_files() {
  impl_->source.reset();
}

bool PageCache::settle(Duration limit) {
  return impl_->core->settle(limit);
}

std::uint64_t snapshot_offset(const SnapshotState& snapshot) {
  return snapshot.offset;
}
std::uint64_t snapshot_length_bytes(const SnapshotState& snapshot) {
  return snapshot.end_offset - snapshot.offset;
}
const FileAttributes& snapshot_attributes(const SnapshotState& snapshot) {
  return snapshot.attributes;
}
std::uint64_t snapshot_pages_preserved(const SnapshotState& snapshot) {
  return snapshot.pages_preserved.load(std::memory_order_relaxed);
}
bool snapshot_revoked(const SnapshotState& snapshot) {
  return snapshot.revoked.load(std::memory_order_acquire);
}
int snapshot_failure(const SnapshotState& snapshot) {
  if (snapshot.revoked.load(std::memory_order_acquire)) {
    const int error = snapshot.failure.load(std::memory_order_relaxed);
    return error != 0 ? error : ENOBUFS;
  }
  return snapshot.file->load_error.load(std::memory_order_relaxed);
}
Result<SnapshotState*> snapshot_part(const SnapshotState& snapshot, std::uint64_t offset,
                                     std::uint64_t length_bytes) {
  return snapshot.core->part(snapshot, offset, length_bytes);
}
void snapshot_release(SnapshotState* snapshot) {
  snapshot->core->release(snapshot);
}

std::uint64_t file_size_bytes(const CachedFile& file) {
  return file.size_bytes.load(std::memory_order_relaxed);
}
}  // namespace strictsend::pagecache
