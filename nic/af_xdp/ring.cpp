// SPDX-License-Identifier: Apache-2.0
#include "nic/af_xdp/ring.hpp"

#include <sys/mman.h>

#include <cerrno>

namespace strictsend::nic::af_xdp {

Result<RingMapping> RingMapping::map(int socket_fd, const xdp_ring_offset& offsets,
                                     std::uint64_t page_offset, std::uint32_t size_entries,
                                     std::size_t entry_bytes) {
  const std::size_t bytes = offsets.desc + size_entries * entry_bytes;
  void* base = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, socket_fd,
                      static_cast<off_t>(page_offset));
  if (base == MAP_FAILED) return fail("mapping an AF_XDP ring", errno);
  auto* bytes_base = static_cast<std::byte*>(base);
  RingMapping ring;
  ring.base_ = base;
  ring.mapped_bytes_ = bytes;
  ring.producer = reinterpret_cast<std::uint32_t*>(bytes_base + offsets.producer);
  ring.consumer = reinterpret_cast<std::uint32_t*>(bytes_base + offsets.consumer);
  ring.flags = reinterpret_cast<std::uint32_t*>(bytes_base + offsets.flags);
  ring.entries = bytes_base + offsets.desc;
  ring.size_entries = size_entries;
  return ring;
}

RingMapping& RingMapping::operator=(RingMapping&& other) noexcept {
  if (this != &other) {
    unmap();
    producer = std::exchange(other.producer, nullptr);
    consumer = std::exchange(other.consumer, nullptr);
    flags = std::exchange(other.flags, nullptr);
    entries = std::exchange(other.entries, nullptr);
    size_entries = std::exchange(other.size_entries, 0);
    base_ = std::exchange(other.base_, nullptr);
    mapped_bytes_ = std::exchange(other.mapped_bytes_, 0);
  }
  return *this;
}

void RingMapping::unmap() noexcept {
  if (base_ != nullptr) ::munmap(base_, mapped_bytes_);
  base_ = nullptr;
}

}  // namespace strictsend::nic::af_xdp
