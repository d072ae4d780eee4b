// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "nic/port.hpp"
#include <strictsend/probe.hpp>

namespace strictsend::nic::af_xdp {

/// What is on the interface's XDP hook. Empty: nothing is. Set-up thread.
[[nodiscard]] std::optional<AttachedProgram> attached_program(std::uint32_t interface_index);

/// Which hook the XDP program runs in: the driver's, before an sk_buff exists, or the generic one.
enum class XdpHook : std::uint8_t {
  automatic,  ///< the driver's where it takes the program, else the generic one
  native,
  generic,
};

/// The XDP program on an interface (redirect.bpf.c) with its maps, attached through libxdp: beside
/// other programs where bpffs is mounted on /sys/fs/bpf, alone otherwise.
///
/// Owned by a Port, set-up thread. Detached by the destructor. A killed process leaves it attached
/// (libxdp attaches by netlink, not by a link that dies with its process); then its socket map is
/// empty and it passes everything, until `attach` finds and replaces it.
class XdpProgram {
 public:
  /// The caller holds the interface's InterfaceLock.
  static Result<XdpProgram> attach(const std::string& interface_name, std::uint32_t interface_index,
                                   XdpHook hook);

  /// Detaches what an ended process has left; whether there was any. The same holds.
  static Result<bool> remove_stale(const std::string& interface_name,
                                   std::uint32_t interface_index);

  XdpProgram(XdpProgram&&) noexcept;
  XdpProgram& operator=(XdpProgram&&) noexcept;
  XdpProgram(const XdpProgram&) = delete;
  XdpProgram& operator=(const XdpProgram&) = delete;
  ~XdpProgram();

  [[nodiscard]] bool is_native() const;
  /// Beside others under libxdp's dispatcher.
  [[nodiscard]] bool is_shared() const;
  /// A program of ours that an ended process had left was replaced.
  [[nodiscard]] bool replaced_stale() const;

  /// Redirects a receive queue's packets to a bound AF_XDP socket. The kernel removes the entry
  /// when the socket is closed.
  Result<void> set_socket(std::uint32_t queue, int socket_fd);
  Result<void> add_flow(const FlowFilter& filter);

 private:
  struct State;
  explicit XdpProgram(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace strictsend::nic::af_xdp
