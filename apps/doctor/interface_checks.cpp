// SPDX-License-Identifier: Apache-2.0
#include "apps/doctor/interface_checks.hpp"

#include <string>

#include <fmt/format.h>

#include "apps/doctor/kernel_versions.hpp"

namespace strictsend::doctor {
namespace {

/// Places in the XDP program's map of sockets.
constexpr std::uint32_t queues_max = 256;

bool has_zero_copy(const InterfaceFacts& facts) {
  return facts.probe.zero_copy.value_or(false);
}

std::string shown_name(const AttachedProgram& program) {
  return program.name.empty() ? "a program whose name this user may not read" : program.name;
}

/// `what`: as ethtool -K names it.
std::string switch_off(const std::string& interface_name, const char* what) {
  return fmt::format("ethtool -K {} {} off", interface_name, what);
}

}  // namespace

Finding check_interface(const InterfaceFacts& facts) {
  if (facts.probed.errno_value != 0)
    return missing("interface", facts.probed.message,
                   "AF_XDP takes an Ethernet interface of the "
                   "network namespace that it is started in",
                   "ip link");
  return ok("interface", fmt::format("{}, driver {}", facts.name,
                                     facts.probe.driver.empty() ? "unknown" : facts.probe.driver));
}

Finding check_link(const InterfaceFacts& facts) {
  if (!facts.up)
    return missing("link", facts.name + " is down", "a queue of it cannot be taken",
                   fmt::format("ip link set dev {} up", facts.name));
  if (!facts.carrier)
    return slow("link", facts.name + " is up and has no carrier",
                "nothing is sent until the other end of its cable is up", "");
  return ok("link", "up");
}

Finding check_address(const InterfaceFacts& facts) {
  if (facts.address_given) return ok("address", "--address names one");
  if (facts.has_address)
    return ok("address", facts.vlan_id ? "the VLAN device has one" : "it has one");
  if (facts.vlan_id)
    return missing("address",
                   fmt::format("no device of VLAN {} on {} has one", *facts.vlan_id, facts.name),
                   "serve answers on the VLAN device's address, unless --address names another",
                   fmt::format("ip link add link {0} name {0}.{1} type vlan id {1} && ip address "
                               "add ADDRESS/BITS dev {0}.{1} && ip link set dev {0}.{1} up",
                               facts.name, *facts.vlan_id));
  return missing("address", facts.name + " has none",
                 "serve answers on the interface's address, unless --address names another",
                 fmt::format("ip address add ADDRESS/BITS dev {}", facts.name));
}

Finding check_use(const InterfaceFacts& facts) {
  if (facts.probe.held_by_pid == 0) return ok("use", "no other engine is on it");
  return missing(
      "use",
      fmt::format("another strictsend process (pid {}) is using it", facts.probe.held_by_pid),
      "an interface serves one engine at a time",
      fmt::format("kill -TERM {}", facts.probe.held_by_pid));
}

Finding check_other_program(const InterfaceFacts& facts, bool bpffs) {
  const char* const name = "other XDP program";
  if (!facts.probe.attached) return ok(name, "none is attached");
  const AttachedProgram& program = *facts.probe.attached;
  if (program.ours)
    return ok(name, facts.probe.held_by_pid != 0 ? "that engine's"
                                                 : "an ended engine's, which serve replaces");
  if (program.leaves_room && bpffs)
    return ok(name,
              shown_name(program) + " is attached through libxdp, beside which there is room");
  return missing(name, shown_name(program) + " is attached and leaves no room beside it",
                 "an interface has one XDP program, unless all were loaded through libxdp with "
                 "bpffs mounted on /sys/fs/bpf",
                 fmt::format("ip link set dev {} {} off", facts.name,
                             program.generic ? "xdpgeneric" : "xdpdrv"));
}

Finding check_xdp_mode(const InterfaceFacts& facts) {
  const char* const name = "XDP mode";
  if (!facts.probe.native_xdp)
    return slow(name, "the kernel does not tell (before Linux 6.3), and trying it did not either",
                "whether payload is copied shows when serve starts",
                "sudo strictsend doctor --nic af_xdp:" + facts.name);
  if (!*facts.probe.native_xdp)
    return slow(name, "generic: its driver runs no XDP programs",
                "each packet becomes an sk_buff first, and payload is copied; a NIC with another "
                "driver does better",
                "");
  if (has_zero_copy(facts)) return ok(name, "native, zero-copy");
  if (facts.probe.takes_pages)
    return ok(name, "native, copy mode of a driver that takes pages as they are");
  return slow(name, "native, copy mode: its driver has no zero-copy mode",
              "the kernel copies each packet once; a NIC with another driver does better", "");
}

Finding check_fragments(const InterfaceFacts& facts, const KernelVersion& kernel) {
  const char* const name = "fragments";
  if (kernel < for_fragments)
    return slow(
        name, fmt::format("Linux {}.{} sends packets of one piece", kernel.major, kernel.minor),
        "payload is copied behind each header (--tx linear) before Linux 6.6", newer_kernel);
  if (!has_zero_copy(facts)) return ok(name, "packets of several pieces, in copy mode");
  if (facts.probe.zero_copy_max_segments > 1)
    return ok(name, fmt::format("packets of up to {} pieces", facts.probe.zero_copy_max_segments));
  return slow(name, "the driver takes one descriptor a packet in zero-copy mode",
              "payload is copied behind each header (--tx linear); a newer kernel's driver may do "
              "better",
              "");
}

Finding check_checksums(const InterfaceFacts& facts, const KernelVersion& kernel) {
  const char* const name = "checksums";
  const char* const why = "they are computed in software, over every byte once a page changes";
  if (kernel < for_checksums)
    return slow(name,
                fmt::format("Linux {}.{} has no transmit metadata", kernel.major, kernel.minor),
                why, newer_kernel);
  if (has_zero_copy(facts) && !facts.probe.zero_copy_checksum)
    return slow(name, "the driver offers no checksum metadata in zero-copy mode", why, "");
  if (!has_zero_copy(facts) && facts.probe.takes_pages)
    return slow(name, "copy mode of this driver may read no checksum metadata", why, "");
  return ok(name, has_zero_copy(facts) ? "the device fills them in" : "the kernel fills them in");
}

Finding check_queues(const InterfaceFacts& facts) {
  const char* const name = "queues";
  const std::uint32_t queues = facts.probe.rx_queues;
  if (queues == 0) return ok(name, "the driver does not say how many; one is served");
  std::string found =
      fmt::format("{} receive {}, {} {}", queues, queues == 1 ? "queue" : "queues",
                  facts.processors, facts.processors == 1 ? "processor" : "processors");
  const auto set_to = [&](std::uint32_t number) {
    return facts.combined_queues_max > 0
               ? fmt::format("ethtool -L {} combined {}", facts.name, number)
               : fmt::format("ethtool -L {0} rx {1} tx {1}", facts.name, number);
  };
  if (facts.queues_wanted > 0 && facts.queues_wanted != queues)
    return missing(name, fmt::format("{}, --queues {}", found, facts.queues_wanted),
                   "what arrives in queues that are not served would not be seen",
                   set_to(facts.queues_wanted));
  if (queues > queues_max)
    return missing(name, std::move(found), "all have to be served, and 256 can be",
                   set_to(queues_max));
  if (queues > facts.processors)
    return slow(name, std::move(found),
                "each queue is served by a thread and takes 15 MiB, and threads share processors",
                set_to(facts.processors));
  return ok(name, std::move(found));
}

Finding check_mtu(const InterfaceFacts& facts) {
  // A page without XDP's headroom and what the kernel keeps behind a packet is what drivers take.
  constexpr std::uint32_t most = 3498;
  constexpr std::uint32_t least = 1280;
  std::string found = fmt::format("{} bytes", facts.probe.mtu_bytes);
  if (facts.probe.mtu_bytes > most)
    return slow("MTU", std::move(found),
                "beyond a page drivers refuse native XDP, and packets received in pieces are lost",
                fmt::format("ip link set dev {} mtu {}", facts.name, most));
  if (facts.probe.mtu_bytes < least)
    return slow("MTU", std::move(found), "IPv6 needs 1280, and small packets cost time",
                fmt::format("ip link set dev {} mtu 1500", facts.name));
  return ok("MTU", std::move(found));
}

Finding check_receive_merging(const InterfaceFacts& facts) {
  const char* const name = "LRO and GRO";
  if (facts.lro)
    return slow(name, "LRO is on",
                "drivers refuse native XDP with it, or lose the packets that they merged",
                switch_off(facts.name, "lro"));
  if (facts.gro && !facts.probe.native_xdp.value_or(true))
    return slow(name, "GRO is on, before generic XDP",
                "packets that were merged are larger than the queue's buffers, and are lost",
                switch_off(facts.name, "gro"));
  return ok(name, facts.gro ? "GRO is on, behind the XDP program" : "off");
}

Finding check_vlan_tags(const InterfaceFacts& facts) {
  const char* const name = "VLAN tags";
  if (!facts.rx_vlan) return ok(name, "stay in received frames");
  if (!facts.vlan_id) return ok(name, "are taken off, which matters with --vlan alone");
  // A veth takes off none by itself: what counts there is how its peer sends them.
  if (facts.probe.driver == "veth") return ok(name, "are the peer's to leave in");
  return missing(name, "are taken off received frames (rxvlan)",
                 "an XDP program does not see them then, and the VLAN's frames pass it by",
                 switch_off(facts.name, "rxvlan"));
}

Finding check_peer(const InterfaceFacts& facts) {
  const char* const name = "veth peer";
  if (!facts.peer)
    return slow(name, "it is in a network namespace that this process cannot enter",
                "what arrives unfinished or without its tag depends on it",
                "sudo strictsend doctor --nic af_xdp:" + facts.name);
  const PeerFacts& peer = *facts.peer;
  const std::string enter = peer.enter.empty() ? "" : peer.enter + " ";
  if (facts.vlan_id && peer.tx_vlan)
    return missing(name, peer.name + " hands tags over beside the frame (txvlan)",
                   "an XDP program does not see them then, and the VLAN's frames pass it by",
                   enter + switch_off(peer.name, peer.tx_checksum ? "tx off txvlan" : "txvlan"));
  if (peer.tx_checksum)
    return slow(name, peer.name + " leaves the checksums of what it sends unfinished",
                "strictsend takes such packets unchecked, where a wire would have had a sum",
                enter + switch_off(peer.name, "tx"));
  return ok(name, peer.name + " finishes its checksums");
}

std::vector<Finding> check_af_xdp(const InterfaceFacts& facts, const MachineFacts& machine) {
  std::vector<Finding> findings{check_interface(facts)};
  if (facts.probed.errno_value != 0) return findings;
  findings.insert(findings.end(),
                  {check_link(facts), check_address(facts), check_use(facts),
                   check_other_program(facts, machine.bpffs), check_xdp_mode(facts),
                   check_fragments(facts, machine.kernel), check_checksums(facts, machine.kernel),
                   check_queues(facts), check_mtu(facts), check_receive_merging(facts),
                   check_vlan_tags(facts)});
  if (facts.probe.driver == "veth") findings.push_back(check_peer(facts));
  return findings;
}

}  // namespace strictsend::doctor
