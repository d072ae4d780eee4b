// SPDX-License-Identifier: Apache-2.0
#include "engine/exchange/loop_ring.hpp"

#include <sys/eventfd.h>

#include <cerrno>

#include "base/assert.hpp"

namespace strictsend::engine {
namespace {

/// What a loop takes of its own queue in one turn. Once their hash has changed, all
/// acknowledgements of a connection come this way, and the next loop may be in a long turn of its
/// own.
constexpr std::uint32_t handed_segments_max = 1024;

}  // namespace

Result<std::unique_ptr<LoopRing>> LoopRing::create(std::uint32_t loops,
                                                   std::uint32_t frame_bytes_max) {
  STRICTSEND_ASSERT(loops > 0);
  std::unique_ptr<LoopRing> ring(new LoopRing);
  for (std::uint32_t i = 0; i < loops; ++i) {
    UniqueFd event_fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!event_fd.valid()) return fail("eventfd", errno, "raise RLIMIT_NOFILE (ulimit -n)");
    Member& member = *ring->members_.emplace_back(std::make_unique<Member>(std::move(event_fd)));
    if (loops > 1) {
      member.inbox =
          std::make_unique<HandOver>(handed_segments_max, frame_bytes_max, member.wake_up);
    }
  }
  return ring;
}

std::uint64_t LoopRing::memory_bytes() const {
  std::uint64_t bytes = 0;
  for (const auto& member : members_)
    bytes += sizeof(Member) + (member->inbox ? member->inbox->memory_bytes() : 0);
  return bytes;
}

}  // namespace strictsend::engine
