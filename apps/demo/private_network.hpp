// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <strictsend/result.hpp>

namespace strictsend::demo {

/// Two ends of a cable on this machine: a veth interface here, its peer in a network namespace of
/// its own where the clients run. Needs root and iproute2. Removed by the destructor; nothing
/// outside the pair is touched.
class PrivateNetwork {
 public:
  static Result<PrivateNetwork> create();
  PrivateNetwork(PrivateNetwork&& other) noexcept
      : interface_(std::exchange(other.interface_, {})), namespace_(std::move(other.namespace_)) {}
  PrivateNetwork& operator=(PrivateNetwork&&) = delete;
  PrivateNetwork(const PrivateNetwork&) = delete;
  PrivateNetwork& operator=(const PrivateNetwork&) = delete;
  ~PrivateNetwork();

  [[nodiscard]] const std::string& interface_name() const { return interface_; }
  [[nodiscard]] std::string server_address() const { return "198.18.77.1"; }
  /// The command that runs `argv` at the clients' end.
  [[nodiscard]] std::vector<std::string> in_namespace(std::vector<std::string> argv) const;

 private:
  PrivateNetwork(std::string interface_name, std::string name_space)
      : interface_(std::move(interface_name)), namespace_(std::move(name_space)) {}
  std::string interface_;  // empty: moved from
  std::string namespace_;
};

}  // namespace strictsend::demo
