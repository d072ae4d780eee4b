// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <strictsend/probe.hpp>

// What the probes find and the checks judge; a test makes its own.
namespace strictsend::doctor {

struct KernelVersion {
  unsigned major = 0;
  unsigned minor = 0;
  auto operator<=>(const KernelVersion&) const = default;
};

/// The capabilities that matter here, as far as this process has them.
struct Capabilities {
  bool net_admin = false;
  bool net_raw = false;
  bool bpf = false;
  bool perfmon = false;
  bool sys_admin = false;  ///< holds the two before
  bool ipc_lock = false;
};

/// Why something that was tried does not work; errno_value 0: it does.
struct Trial {
  int errno_value = 0;
  std::string message;
};

struct MachineFacts {
  std::string kernel_release;  ///< "6.1.0-18-amd64"
  KernelVersion kernel;
  std::uint64_t cache_bytes = 0;  ///< that are wanted
  std::uint32_t queues = 1;       ///< that would be served
  std::uint64_t available_bytes = 0;

  Capabilities capabilities;
  bool locks_memory = true;                         ///< hardware, or AF_XDP, is to read it
  std::optional<std::uint64_t> lockable_bytes;      ///< RLIMIT_MEMLOCK; empty: unlimited
  std::optional<std::uint64_t> lockable_bytes_max;  ///< its hard limit; empty: unlimited
  Trial mapping;                                    ///< a page mapped and write-protected
  bool sees_kernel_faults = false;
  std::string shmem_huge_pages;  ///< the chosen word of shmem_enabled; empty: there is no such file
  std::uint64_t max_map_count = 0;
  Trial io_uring;
  int io_uring_disabled = 0;  ///< the sysctl; 0 where there is none
  bool bpffs = false;         ///< on /sys/fs/bpf

  // For commands that start the program anew.
  std::string program;  ///< its path
  std::string nic;      ///< as --nic has it; empty: none was named
  uid_t user = 0;
  gid_t group = 0;
};

/// The other end of a veth pair.
struct PeerFacts {
  std::string name;
  /// What brings a command into its network namespace: "ip netns exec NAME", "nsenter -t PID -n";
  /// empty: it is in this one.
  std::string enter;
  bool tx_checksum = false;  ///< its offload: sums are left unfinished
  bool tx_vlan = false;      ///< tags are handed over beside the frame
};

struct InterfaceFacts {
  std::string name;
  Trial probed;  ///< ENODEV: there is no such interface
  InterfaceProbe probe;
  bool up = false;
  bool carrier = false;
  bool address_given = false;             ///< by --address
  bool has_address = false;               ///< or the VLAN device on it, where a VLAN is wanted
  std::uint32_t combined_queues_max = 0;  ///< that `ethtool -L` can set; 0: it cannot
  bool gro = false;
  bool lro = false;
  bool rx_vlan = false;                  ///< tags are taken off
  std::optional<std::uint16_t> vlan_id;  ///< that is wanted
  std::optional<PeerFacts> peer;  ///< of a veth; empty there: it is where this process cannot look
  std::uint32_t processors = 1;
  std::uint32_t queues_wanted = 0;  ///< 0: all that there are
};

/// A device of DPDK's.
struct DpdkFacts {
  std::string device;
  bool supported = false;  ///< by this build
  bool no_huge = false;    ///< EAL's option
  bool no_pci = false;
  std::uint64_t huge_pages_free_bytes = 0;
  std::uint64_t huge_pages_total_bytes = 0;
  std::optional<std::string> huge_dir;  ///< EAL's option
  bool huge_dir_is_hugetlbfs = false;

  bool is_pci = false;  ///< its name is a PCI address; the rest is of such a device
  bool exists = false;
  std::string driver;        ///< empty: none is bound
  bool vfio_loaded = false;  ///< the module vfio-pci
  std::string iommu_group;
  /// Others of the group that are bound to a driver of the kernel's, which keep the group from
  /// being taken: "0000:01:00.1 (igb)".
  struct Neighbour {
    std::string address;
    std::string driver;
  };
  std::vector<Neighbour> group_neighbours;
  std::vector<std::string> kernel_interfaces;  ///< that the device is now
  int vfio_errno = 0;                          ///< of opening /dev/vfio/vfio
  int group_errno = 0;                         ///< of opening /dev/vfio/GROUP
  std::string user;
};

}  // namespace strictsend::doctor
