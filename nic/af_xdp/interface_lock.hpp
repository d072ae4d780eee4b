// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <utility>

#include "base/result.hpp"
#include "base/unique_fd.hpp"

namespace strictsend::nic::af_xdp {

/// At most one Port per interface: whoever holds this may treat an XDP program of ours that it
/// finds there as a leftover.
///
/// An abstract unix socket (unix(7)) named after the interface: like the interface it belongs to
/// the network namespace, and the kernel drops it when its process ends, however that happens.
class InterfaceLock {
 public:
  static Result<InterfaceLock> take(const std::string& interface_name,
                                    std::uint32_t interface_index);
  /// The process that has it; 0: nobody.
  [[nodiscard]] static pid_t holder_of(std::uint32_t interface_index);

 private:
  explicit InterfaceLock(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace strictsend::nic::af_xdp
