// SPDX-License-Identifier: Apache-2.0
// What `strictsend doctor` makes of the facts about a NIC.
#include <cerrno>
#include <string>

#include <gtest/gtest.h>

#include "apps/doctor/dpdk_checks.hpp"
#include "apps/doctor/interface_checks.hpp"
#include "tests/unit/doctor_expect.hpp"

namespace strictsend::doctor {
namespace {

constexpr KernelVersion new_kernel{6, 12};

/// One on which nothing is wrong.
InterfaceFacts good_interface() {
  InterfaceFacts facts;
  facts.name = "eth0";
  facts.probe.driver = "ice";
  facts.probe.mtu_bytes = 1500;
  facts.probe.rx_queues = 4;
  facts.probe.native_xdp = true;
  facts.probe.zero_copy = true;
  facts.probe.zero_copy_max_segments = 8;
  facts.probe.zero_copy_checksum = true;
  facts.up = facts.carrier = facts.has_address = true;
  facts.combined_queues_max = 64;
  facts.processors = 8;
  facts.gro = true;
  facts.rx_vlan = true;
  return facts;
}

MachineFacts machine() {
  MachineFacts facts;
  facts.kernel = new_kernel;
  facts.bpffs = true;
  return facts;
}

TEST(InterfaceChecks, find_nothing_wrong_with_a_good_nic) {
  const auto findings = check_af_xdp(good_interface(), machine());
  EXPECT_EQ(findings.size(), 12U);
  for (const Finding& finding : findings)
    EXPECT_EQ(finding.verdict, Verdict::ok) << finding.name << ": " << finding.found;
}

TEST(InterfaceChecks, of_an_interface_that_is_not_there_nothing_else_is_said) {
  InterfaceFacts facts = good_interface();
  facts.probed = {ENODEV, "opening interface eth0 failed"};
  const auto findings = check_af_xdp(facts, machine());
  ASSERT_EQ(findings.size(), 1U);
  expect(findings[0], Verdict::missing, "opening interface eth0", "ip link", true);
}

TEST(InterfaceChecks, the_link_must_be_up_and_should_have_a_carrier) {
  InterfaceFacts facts = good_interface();
  facts.carrier = false;
  expect(check_link(facts), Verdict::slow, "no carrier", "");
  facts.up = false;
  expect(check_link(facts), Verdict::missing, "eth0 is down", "ip link set dev eth0 up", true);
}

TEST(InterfaceChecks, an_address_is_the_interfaces_or_given) {
  InterfaceFacts facts = good_interface();
  facts.has_address = false;
  expect(check_address(facts), Verdict::missing, "has none", "ip address add ADDRESS/BITS dev eth0",
         true);
  facts.vlan_id = 5;
  expect(check_address(facts), Verdict::missing, "VLAN 5", "type vlan id 5", true);
  facts.address_given = true;
  expect(check_address(facts), Verdict::ok, "--address", "");
}

TEST(InterfaceChecks, one_engine_at_a_time) {
  InterfaceFacts facts = good_interface();
  facts.probe.held_by_pid = 77;
  expect(check_use(facts), Verdict::missing, "pid 77", "kill -TERM 77", true);
  facts.probe.attached = AttachedProgram{"strictsend_xdp", false, true, false};
  expect(check_other_program(facts, true), Verdict::ok, "that engine's", "");
  facts.probe.held_by_pid = 0;
  expect(check_other_program(facts, true), Verdict::ok, "which serve replaces", "");
}

TEST(InterfaceChecks, another_program_must_leave_room) {
  InterfaceFacts facts = good_interface();
  facts.probe.attached = AttachedProgram{"xdp_drop", false, false, true};
  expect(check_other_program(facts, true), Verdict::ok, "xdp_drop", "");
  expect(check_other_program(facts, false), Verdict::missing, "xdp_drop",
         "ip link set dev eth0 xdpdrv off", true);
  facts.probe.attached = AttachedProgram{"", true, false, false};
  expect(check_other_program(facts, true), Verdict::missing, "may not read",
         "ip link set dev eth0 xdpgeneric off", true);
}

TEST(InterfaceChecks, the_mode_is_the_drivers) {
  InterfaceFacts facts = good_interface();
  expect(check_xdp_mode(facts), Verdict::ok, "zero-copy", "");
  facts.probe.zero_copy = false;
  expect(check_xdp_mode(facts), Verdict::slow, "native, copy mode", "");
  facts.probe.takes_pages = true;
  expect(check_xdp_mode(facts), Verdict::ok, "takes pages", "");
  facts.probe.native_xdp = false;
  expect(check_xdp_mode(facts), Verdict::slow, "generic", "");
  facts.probe.native_xdp.reset();
  expect(check_xdp_mode(facts), Verdict::slow, "does not tell", "sudo strictsend doctor");
}

TEST(InterfaceChecks, packets_of_several_pieces_take_a_kernel_and_a_driver) {
  InterfaceFacts facts = good_interface();
  expect(check_fragments(facts, new_kernel), Verdict::ok, "up to 8 pieces", "");
  expect(check_fragments(facts, {6, 5}), Verdict::slow, "Linux 6.5", "linux-image-amd64");
  facts.probe.zero_copy_max_segments = 1;
  expect(check_fragments(facts, new_kernel), Verdict::slow, "one descriptor", "");
  facts.probe.zero_copy = false;
  expect(check_fragments(facts, new_kernel), Verdict::ok, "in copy mode", "");
}

TEST(InterfaceChecks, checksums_take_a_kernel_and_a_driver) {
  InterfaceFacts facts = good_interface();
  expect(check_checksums(facts, new_kernel), Verdict::ok, "the device", "");
  expect(check_checksums(facts, {6, 7}), Verdict::slow, "Linux 6.7", "linux-image-amd64");
  facts.probe.zero_copy_checksum = false;
  expect(check_checksums(facts, new_kernel), Verdict::slow, "no checksum metadata", "");
  facts.probe.zero_copy = false;
  expect(check_checksums(facts, new_kernel), Verdict::ok, "the kernel", "");
  facts.probe.takes_pages = true;
  expect(check_checksums(facts, new_kernel), Verdict::slow, "may read no", "");
}

TEST(InterfaceChecks, queues_are_as_many_as_are_served) {
  InterfaceFacts facts = good_interface();
  facts.processors = 2;
  expect(check_queues(facts), Verdict::slow, "4 receive queues, 2 processors",
         "ethtool -L eth0 combined 2");
  facts.queues_wanted = 3;
  expect(check_queues(facts), Verdict::missing, "--queues 3", "ethtool -L eth0 combined 3", true);
  facts.queues_wanted = 0;
  facts.combined_queues_max = 0;
  facts.probe.rx_queues = 300;
  expect(check_queues(facts), Verdict::missing, "300", "ethtool -L eth0 rx 256 tx 256", true);
  facts.probe.rx_queues = 0;
  expect(check_queues(facts), Verdict::ok, "does not say", "");
}

TEST(InterfaceChecks, an_mtu_may_be_too_large_or_too_small) {
  InterfaceFacts facts = good_interface();
  facts.probe.mtu_bytes = 9000;
  expect(check_mtu(facts), Verdict::slow, "9000", "ip link set dev eth0 mtu 3498");
  facts.probe.mtu_bytes = 600;
  expect(check_mtu(facts), Verdict::slow, "600", "ip link set dev eth0 mtu 1500");
}

TEST(InterfaceChecks, merging_hurts_before_the_program) {
  InterfaceFacts facts = good_interface();
  expect(check_receive_merging(facts), Verdict::ok, "behind the XDP program", "");
  facts.probe.native_xdp = false;
  expect(check_receive_merging(facts), Verdict::slow, "GRO", "ethtool -K eth0 gro off");
  facts.lro = true;
  expect(check_receive_merging(facts), Verdict::slow, "LRO", "ethtool -K eth0 lro off");
}

TEST(InterfaceChecks, tags_must_stay_where_a_vlan_is_wanted) {
  InterfaceFacts facts = good_interface();
  expect(check_vlan_tags(facts), Verdict::ok, "--vlan alone", "");
  facts.vlan_id = 5;
  expect(check_vlan_tags(facts), Verdict::missing, "rxvlan", "ethtool -K eth0 rxvlan off", true);
  facts.rx_vlan = false;
  expect(check_vlan_tags(facts), Verdict::ok, "stay", "");
}

TEST(InterfaceChecks, a_veths_peer_finishes_its_checksums_or_does_not) {
  InterfaceFacts facts = good_interface();
  facts.probe.driver = "veth";
  expect(check_peer(facts), Verdict::slow, "cannot enter", "sudo strictsend doctor");
  facts.peer = PeerFacts{"veth1", "ip netns exec far", true, true};
  expect(check_peer(facts), Verdict::slow, "veth1 leaves the checksums",
         "ip netns exec far ethtool -K veth1 tx off");
  facts.vlan_id = 5;
  expect(check_peer(facts), Verdict::missing, "txvlan",
         "ip netns exec far ethtool -K veth1 tx off txvlan off", true);
  facts.vlan_id.reset();
  facts.peer = PeerFacts{"veth1", "", false, true};
  expect(check_peer(facts), Verdict::ok, "veth1 finishes", "");
  EXPECT_EQ(check_af_xdp(facts, machine()).size(), 13U) << "the peer has a check";
}

/// One on which nothing is wrong.
DpdkFacts good_device() {
  DpdkFacts facts;
  facts.device = "0000:01:00.0";
  facts.supported = true;
  facts.huge_pages_free_bytes = facts.huge_pages_total_bytes = 512U << 20;
  facts.is_pci = facts.exists = facts.vfio_loaded = true;
  facts.driver = "vfio-pci";
  facts.iommu_group = "7";
  facts.user = "www";
  return facts;
}

TEST(DpdkChecks, find_nothing_wrong_with_a_good_device) {
  const auto findings = check_dpdk(good_device());
  EXPECT_EQ(findings.size(), 7U);
  for (const Finding& finding : findings)
    EXPECT_EQ(finding.verdict, Verdict::ok) << finding.name << ": " << finding.found;
}

TEST(DpdkChecks, a_virtual_device_needs_no_binding) {
  DpdkFacts facts;
  facts.device = "net_tap0";
  facts.supported = true;
  facts.no_huge = true;
  const auto findings = check_dpdk(facts);
  EXPECT_EQ(findings.size(), 2U);
  EXPECT_FALSE(stops_serve(findings));
}

TEST(DpdkChecks, a_build_may_have_none) {
  DpdkFacts facts = good_device();
  facts.supported = false;
  expect(check_dpdk_support(facts), Verdict::missing, "this build has none", "libdpdk-dev", true);
}

TEST(DpdkChecks, huge_pages_are_there_or_not_wanted) {
  DpdkFacts facts = good_device();
  facts.huge_pages_free_bytes = 0;
  expect(check_dpdk_memory(facts), Verdict::missing, "0 B free of 512 MiB",
         "sysctl -w vm.nr_hugepages=256", true);
  facts.no_huge = true;
  expect(check_dpdk_memory(facts), Verdict::ok, "--no-huge", "");
  facts = good_device();
  facts.huge_dir = "/mnt/huge";
  expect(check_dpdk_memory(facts), Verdict::missing, "/mnt/huge is no hugetlbfs",
         "mount -t hugetlbfs none /mnt/huge", true);
  facts.huge_dir_is_hugetlbfs = true;
  expect(check_dpdk_memory(facts), Verdict::ok, "on /mnt/huge", "");
}

TEST(DpdkChecks, a_device_must_be_there_and_be_looked_at) {
  DpdkFacts facts = good_device();
  facts.no_pci = true;
  expect(check_pci_device(facts), Verdict::missing, "--no-pci",
         "strictsend doctor --nic dpdk:0000:01:00.0", true);
  facts.exists = false;
  expect(check_pci_device(facts), Verdict::missing, "there is no 0000:01:00.0", "lspci -D", true);
  EXPECT_EQ(check_dpdk(facts).size(), 3U) << "of what is not there nothing else is said";
}

TEST(DpdkChecks, the_driver_must_be_vfio) {
  DpdkFacts facts = good_device();
  facts.driver = "ice";
  facts.kernel_interfaces = {"eth0"};
  expect(check_driver_binding(facts), Verdict::missing, "the kernel's ice and is eth0 there",
         "dpdk-devbind.py -b vfio-pci 0000:01:00.0", true);
  facts.driver = "";
  facts.vfio_loaded = false;
  expect(check_driver_binding(facts), Verdict::missing, "none is bound",
         "modprobe vfio-pci && dpdk-devbind.py -b vfio-pci 0000:01:00.0", true);
  facts.driver = "igb_uio";
  expect(check_driver_binding(facts), Verdict::missing, "knows no IOMMU", "vfio-pci", true);
}

TEST(DpdkChecks, an_iommu_must_be_on_and_the_group_free) {
  DpdkFacts facts = good_device();
  facts.group_neighbours = {{"0000:01:00.1", "ice"}, {"0000:01:00.2", "igb"}};
  expect(check_iommu_group(facts), Verdict::missing, "0000:01:00.1 (ice), 0000:01:00.2 (igb)",
         "vfio-pci 0000:01:00.1 && dpdk-devbind.py -b vfio-pci 0000:01:00.2", true);
  facts.iommu_group = "";
  expect(check_iommu(facts), Verdict::missing, "no IOMMU group", "intel_iommu=on", true);
}

TEST(DpdkChecks, vfios_files_must_open) {
  DpdkFacts facts = good_device();
  facts.group_errno = EACCES;
  expect(check_vfio_files(facts), Verdict::missing, "/dev/vfio/7 is not open",
         "sudo chown www /dev/vfio/7", true);
  facts.group_errno = EBUSY;
  expect(check_vfio_files(facts), Verdict::missing, "held by another", "fuser -v /dev/vfio/7",
         true);
  facts.group_errno = ENOENT;
  expect(check_vfio_files(facts), Verdict::missing, "/dev/vfio/7 is missing", "dpdk-devbind.py",
         true);
  facts.vfio_errno = ENOENT;
  expect(check_vfio_files(facts), Verdict::missing, "/dev/vfio/vfio is missing",
         "modprobe vfio-pci", true);
  facts.vfio_errno = EIO;
  expect(check_vfio_files(facts), Verdict::missing, "does not open", "", true);
}

}  // namespace
}  // namespace strictsend::doctor
