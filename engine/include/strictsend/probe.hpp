// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <strictsend/result.hpp>

/// What a machine offers to an engine, found out without opening one: each function tries the very
/// calls that opening makes, and undoes them. `strictsend doctor` is made of these. Set-up code; it
/// waits for the kernel alone.
namespace strictsend {

/// A program on an interface's XDP hook.
struct AttachedProgram {
  std::string name;          ///< empty: this user may not know
  bool generic = false;      ///< on the generic hook, not the driver's
  bool ours = false;         ///< of an engine, running or ended
  bool leaves_room = false;  ///< libxdp's dispatcher: another program can stand beside it
};

/// A kernel interface as AF_XDP sees it.
struct InterfaceProbe {
  std::uint32_t index = 0;      ///< if_nametoindex(3)
  std::uint32_t mtu_bytes = 0;  ///< of the IP packet
  std::string driver;           ///< "veth"; empty where it does not say
  std::uint32_t rx_queues = 0;  ///< in use; 0: the driver does not say
  /// Whether the driver has an XDP hook of its own, and a zero-copy mode. Empty: the kernel does
  /// not say (before 6.3), and trying needs rights that are missing or an interface that is free.
  std::optional<bool> native_xdp;
  std::optional<bool> zero_copy;             ///< the driver reads the arena's pages itself
  std::uint32_t zero_copy_max_segments = 1;  ///< descriptors of one packet in zero-copy mode
  bool zero_copy_checksum = false;           ///< checksum metadata in zero-copy mode
  bool takes_pages = false;  ///< copy mode hands the device pages as they are (virtio_net)
  std::optional<AttachedProgram> attached;  ///< on the XDP hook now; empty: none
  std::int32_t held_by_pid = 0;             ///< of a running engine; 0: none
};

/// Of the calling thread's network namespace. Where the kernel does not tell what the driver can,
/// the XDP program is attached for a moment and a socket bound, which some drivers answer with a
/// restart of the link.
/// \param name of the interface: "eth0"
/// \return what it is; ENODEV: there is none of that name
[[nodiscard]] STRICTSEND_API Result<InterfaceProbe> probe_interface(const std::string& name);

/// Maps a page and protects it, by userfaultfd(2).
/// \return whether faults inside system calls are seen too; without that read(2) into a mapping
/// fails with EFAULT. The error: there are no writable mappings, and why
[[nodiscard]] STRICTSEND_API Result<bool> probe_write_protection();

/// Sets an io_uring(7) up; without one no file is loaded.
/// \return why it cannot be had, and what mends it
[[nodiscard]] STRICTSEND_API Result<void> probe_file_loading();

/// Does not start DPDK.
/// \return whether the library was built with DPDK's ports
[[nodiscard]] STRICTSEND_API bool probe_dpdk_support();

}  // namespace strictsend
