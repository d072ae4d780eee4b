// SPDX-License-Identifier: Apache-2.0
#include "pagecache/arena.hpp"

#include <sys/mman.h>

#include <cerrno>
#include <fcntl.h>
#include <fstream>
#include <string>
#include <unistd.h>
#include <utility>

namespace strictsend::pagecache {
namespace {

constexpr std::uint64_t huge_page_bytes = std::uint64_t{2} << 20;

bool shmem_huge_pages_by_advice() {
  std::ifstream file("/sys/kernel/mm/transparent_hugepage/shmem_enabled");
  std::string text;
  std::getline(file, text);
  for (const char* word : {"[always]", "[within_size]", "[advise]", "[force]"}) {
    if (text.find(word) != std::string::npos) return true;
  }
  return false;
}

/// Bytes that may be taken without the system swapping or killing; the maximum when unknown.
std::uint64_t available_memory_bytes() {
  std::ifstream file("/proc/meminfo");
  std::string name;
  std::uint64_t kib = 0;
  while (file >> name >> kib) {
    if (name == "MemAvailable:") return kib << 10;
    file.ignore(64, '\n');
  }
  return ~std::uint64_t{0};
}

std::string mib(std::uint64_t bytes) {
  return std::to_string(bytes >> 20) + " MiB";
}

/// A shared view whose address is a multiple of a huge page, so that huge pages can back it.
MappedRange map_aligned(int fd, std::uint64_t bytes) {
  const std::uint64_t reserved_bytes = bytes + huge_page_bytes;
  void* reserved = ::mmap(nullptr, reserved_bytes, PROT_NONE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED) return {};
  const auto start = reinterpret_cast<std::uintptr_t>(reserved);
  const std::uintptr_t aligned = (start + huge_page_bytes - 1) & ~(huge_page_bytes - 1);
  auto* base = static_cast<std::byte*>(reserved) + (aligned - start);
  if (::mmap(base, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED) {
    const int error = errno;
    ::munmap(reserved, reserved_bytes);
    errno = error;
    return {};
  }
  if (aligned != start) ::munmap(reserved, aligned - start);
  const std::uintptr_t tail = start + reserved_bytes - (aligned + bytes);
  if (tail != 0) ::munmap(base + bytes, tail);
  return {base, bytes};
}

}  // namespace

MappedRange::MappedRange(MappedRange&& other) noexcept
    : address_(std::exchange(other.address_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

MappedRange& MappedRange::operator=(MappedRange&& other) noexcept {
  std::swap(address_, other.address_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

MappedRange::~MappedRange() {
  if (address_ != nullptr) ::munmap(address_, bytes_);
}

Result<Arena> Arena::create(std::uint64_t frames) {
  Arena arena;
  arena.frames_ = frames;
  const std::uint64_t bytes = arena.size_bytes();
  if (const std::uint64_t available = available_memory_bytes(); bytes > available) {
    return fail("arena of " + mib(bytes), ENOMEM,
                "only " + mib(available) + " of memory are available; choose a smaller cache");
  }
  arena.fd_ = UniqueFd(::memfd_create("strictsend-arena", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!arena.fd_.valid()) return fail("memfd_create", errno);
  if (::ftruncate(arena.fd_.get(), static_cast<off_t>(bytes)) != 0) {
    return fail("arena of " + mib(bytes), errno,
                "choose a smaller cache, or raise the limit on file size with ulimit -f");
  }

  arena.dma_view_ = map_aligned(arena.fd_.get(), bytes);
  if (arena.dma_view_.data() == nullptr) {
    return fail("DMA view of " + mib(bytes), errno,
                "choose a smaller cache, or raise the limit on address space with ulimit -v");
  }
  // A child could otherwise write into frames behind the parent's protection.
  ::madvise(arena.dma_view_.data(), bytes, MADV_DONTFORK);
  if (shmem_huge_pages_by_advice()) {
    arena.huge_pages_advised_ = ::madvise(arena.dma_view_.data(), bytes, MADV_HUGEPAGE) == 0;
  }
  // Through the view, not by fallocate: so the advice counts, and no later access faults.
  if (::madvise(arena.dma_view_.data(), bytes, MADV_POPULATE_WRITE) != 0 &&
      (errno != EINVAL || ::fallocate(arena.fd_.get(), 0, 0, static_cast<off_t>(bytes)) != 0)) {
    return fail("memory for an arena of " + mib(bytes), errno,
                "the system or this control group (memory.max) has not that much; choose a smaller "
                "cache");
  }

  void* pool = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, arena.fd_.get(), 0);
  if (pool == MAP_FAILED) {
    return fail("pool view of " + mib(bytes), errno,
                "choose a smaller cache, or raise the limit on address space with ulimit -v");
  }
  arena.pool_view_ = MappedRange(static_cast<std::byte*>(pool), bytes);
  // Before anything is duplicated from it: mappings inherit the flag, and VMAs with equal flags
  // merge again when a page comes home.
  if (::madvise(pool, bytes, MADV_DONTFORK) != 0) return fail("MADV_DONTFORK", errno);
  if (::fcntl(arena.fd_.get(), F_ADD_SEALS,
              F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
    return fail("sealing the arena", errno, "F_SEAL_FUTURE_WRITE needs Linux 5.1");
  }
  return arena;
}

int Arena::map_frames(std::byte* address, FrameIndex first, std::uint64_t count) const {
  // With old size 0 mremap duplicates a shared mapping (mremap(2)), under the seal too.
  void* mapped = ::mremap(pool_view_.data() + offset_of(first).value, 0, count << page_shift,
                          MREMAP_MAYMOVE | MREMAP_FIXED, address);
  return mapped == MAP_FAILED ? errno : 0;
}

}  // namespace strictsend::pagecache
