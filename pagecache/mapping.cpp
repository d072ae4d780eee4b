// SPDX-License-Identifier: Apache-2.0
#include "pagecache/mapping.hpp"

#include <sys/mman.h>

#include <cerrno>
#include <utility>

#include "base/assert.hpp"
#include "base/unique_fd.hpp"
#include "pagecache/userfaultfd.hpp"

namespace strictsend::pagecache {

Result<std::unique_ptr<Mapping>> Mapping::reserve(const Arena& arena, const Userfaultfd* uffd,
                                                  std::uint64_t pages_max) {
  const std::uint64_t bytes = pages_max << page_shift;
  void* address =
      ::mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (address == MAP_FAILED) {
    return fail(
        "addresses for a mapping", errno,
        "each mapped file reserves as many addresses as the cache has bytes; raise the limit "
        "on address space with ulimit -v");
  }
  return std::unique_ptr<Mapping>(
      new Mapping(arena, uffd, MappedRange(static_cast<std::byte*>(address), bytes)));
}

int Mapping::append(FrameIndex first, std::uint64_t count) {
  STRICTSEND_ASSERT(pages_ + count <= pages_max());
  std::byte* at = address(pages_);
  const std::uint64_t bytes = count << page_shift;
  int error = arena_.map_frames(at, first, count);
  if (error == 0 && uffd_ != nullptr) {
    error = uffd_->register_range(at, bytes);
    if (error == 0) error = uffd_->install(at, bytes, true);
    if (error != 0) {
      const std::uint64_t pages = pages_;
      pages_ += count;
      cut(pages);
    }
  }
  if (error == 0) pages_ += count;
  return error;
}

void Mapping::cut(std::uint64_t pages) {
  if (pages >= pages_) return;
  // Over the pages, never unmapped first: nobody else may be given these addresses meanwhile.
  void* mapped = ::mmap(address(pages), (pages_ - pages) << page_shift, PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  STRICTSEND_ASSERT(mapped != MAP_FAILED);
  pages_ = pages;
}

int Mapping::move_page(std::uint64_t page, FrameIndex to, bool protect, bool& touched) {
  touched = false;
  std::byte* at = address(page);
  if (const int error = arena_.map_frames(at, to, 1); error != 0) return error;
  if (uffd_ == nullptr) {
    touched = true;
    return 0;
  }
  // The page is a VMA of its own now: registering it needs no split, so it cannot run out of VMAs.
  const int registered = uffd_->register_range(at, page_bytes);
  STRICTSEND_ASSERT(registered == 0);
  const int installed = uffd_->install(at, page_bytes, protect);
  if (installed == EEXIST) {
    touched = true;
    if (protect) {
      const int error = uffd_->protect(at, page_bytes);
      STRICTSEND_ASSERT(error == 0);
    }
  } else {
    STRICTSEND_ASSERT(installed == 0);
  }
  uffd_->wake(at, page_bytes);
  return 0;
}

int Mapping::hide(std::uint64_t page) const {
  if (uffd_ == nullptr || !uffd_->sees_kernel_faults()) return ENOTSUP;
  // It is protected already; this tells whether it is ours still.
  if (const int error = uffd_->protect(address(page), page_bytes); error != 0) return error;
  return ::madvise(address(page), page_bytes, MADV_DONTNEED) == 0 ? 0 : errno;
}

void Mapping::lose(std::uint64_t page) const {
  // Memory behind the end of an empty file.
  const UniqueFd empty(::memfd_create("strictsend-lost", MFD_CLOEXEC));
  void* mapped = MAP_FAILED;
  if (empty.valid())
    mapped = ::mmap(address(page), page_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                    empty.get(), 0);
  if (mapped == MAP_FAILED)  // then it is SIGSEGV
    mapped = ::mmap(address(page), page_bytes, PROT_NONE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  STRICTSEND_ASSERT(mapped != MAP_FAILED);
  wake(page);
}

void Mapping::install(std::uint64_t page, bool protect) const {
  if (uffd_ == nullptr) return;
  // EEXIST: another thread's fault on the page was answered already.
  (void)uffd_->install(address(page), page_bytes, protect);
  uffd_->wake(address(page), page_bytes);
}

int Mapping::protect(std::uint64_t page, std::uint64_t count) const {
  return uffd_ == nullptr ? 0 : uffd_->protect(address(page), count << page_shift);
}

void Mapping::unprotect(std::uint64_t page, std::uint64_t count) const {
  if (uffd_ == nullptr) return;
  const std::uint64_t bytes = count << page_shift;
  if (uffd_->unprotect(address(page), bytes) != 0) uffd_->wake(address(page), bytes);
}

void Mapping::wake(std::uint64_t page) const {
  if (uffd_ != nullptr) uffd_->wake(address(page), page_bytes);
}

void MappingIndex::add(const std::byte* begin, std::uint64_t bytes,
                       std::weak_ptr<CachedFile> file) {
  const std::scoped_lock lock(mutex_);
  entries_[begin] = Entry{bytes, std::move(file)};
}

void MappingIndex::remove(const std::byte* begin) {
  const std::scoped_lock lock(mutex_);
  entries_.erase(begin);
}

std::shared_ptr<CachedFile> MappingIndex::find(const std::byte* address, PageIndex& page) const {
  const std::scoped_lock lock(mutex_);
  auto entry = entries_.upper_bound(address);
  if (entry == entries_.begin()) return nullptr;
  --entry;
  const auto offset = static_cast<std::uint64_t>(address - entry->first);
  if (offset >= entry->second.bytes) return nullptr;
  page = PageIndex{static_cast<std::uint32_t>(offset >> page_shift)};
  return entry->second.file.lock();
}

std::vector<std::shared_ptr<CachedFile>> MappingIndex::files() const {
  const std::scoped_lock lock(mutex_);
  std::vector<std::shared_ptr<CachedFile>> files;
  for (const auto& [begin, entry] : entries_)
    if (auto file = entry.file.lock()) files.push_back(std::move(file));
  return files;
}

bool MappingIndex::overlaps(const std::byte* begin, std::uint64_t bytes) const {
  if (bytes == 0) return false;
  const std::scoped_lock lock(mutex_);
  auto entry = entries_.upper_bound(begin + bytes - 1);
  if (entry == entries_.begin()) return false;
  --entry;
  return entry->first + entry->second.bytes > begin;
}

}  // namespace strictsend::pagecache
