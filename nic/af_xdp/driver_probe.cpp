// SPDX-License-Identifier: Apache-2.0
#include "nic/af_xdp/driver_probe.hpp"

#include <sys/mman.h>

#include <cerrno>
#include <memory>

#include "base/page.hpp"
#include "nic/af_xdp/interface_lock.hpp"
#include "nic/af_xdp/program.hpp"
#include "nic/af_xdp/socket.hpp"

namespace strictsend::nic::af_xdp {
namespace {

constexpr std::uint32_t tried_frames = 64;

struct Unmap {
  void operator()(std::byte* memory) const { ::munmap(memory, tried_frames * page_bytes); }
};

/// What an error of attaching or binding says about the driver.
std::optional<bool> meaning(int error) {
  if (error == EOPNOTSUPP || error == EINVAL) return false;
  return std::nullopt;
}

std::optional<bool> binds_zero_copy(const InterfaceFacts& facts) {
  void* mapped = ::mmap(nullptr, tried_frames * page_bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (mapped == MAP_FAILED) return std::nullopt;
  const std::unique_ptr<std::byte, Unmap> memory(static_cast<std::byte*>(mapped));
  SocketConfig config;
  config.interface_index = facts.index;
  config.ring_entries = tried_frames;
  config.fill_ring_entries = tried_frames;
  config.zero_copy = true;
  const DmaMemory umem{memory.get(), tried_frames * page_bytes, -1, {}, {}};
  const Result<Socket> socket =
      Socket::open(config, umem, FrameIndex{0}, FrameIndex{tried_frames - 1});
  return socket ? std::optional(true) : meaning(socket.error().errno_value);
}

}  // namespace

TriedModes try_modes(const InterfaceFacts& facts) {
  const Result<InterfaceLock> lock = InterfaceLock::take(facts.name, facts.index);
  if (!lock) return {};
  const Result<XdpProgram> program = XdpProgram::attach(facts.name, facts.index, XdpHook::native);
  TriedModes tried;
  tried.native_xdp = program ? std::optional(true) : meaning(program.error().errno_value);
  tried.zero_copy = program ? binds_zero_copy(facts) : tried.native_xdp;
  return tried;
}

}  // namespace strictsend::nic::af_xdp
