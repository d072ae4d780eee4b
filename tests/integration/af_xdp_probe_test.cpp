// SPDX-License-Identifier: Apache-2.0
// What is found out about an interface without opening a port on it.
#include <optional>
#include <string>
#include <unistd.h>

#include <gtest/gtest.h>

#include "nic/af_xdp/driver_probe.hpp"
#include "nic/probe.hpp"
#include "tests/support/af_xdp_rig.hpp"

namespace strictsend::test {
namespace {

class AfXdpProbe : public testing::Test {
 protected:
  void SetUp() override {
    if (auto reason = NetNamespacePair::unavailable()) GTEST_SKIP() << *reason;
    auto made = NetNamespacePair::create({.queues = 2});
    ASSERT_TRUE(made) << made.error().message();
    net.emplace(std::move(*made));
  }
  [[nodiscard]] const std::string& name() const { return net->near().interface_name; }
  [[nodiscard]] InterfaceProbe probe() const {
    const auto probed = nic::probe_interface(name());
    if (!probed) ADD_FAILURE() << probed.error().message();
    return probed.value_or(InterfaceProbe{});
  }

  std::optional<NetNamespacePair> net;
};

TEST_F(AfXdpProbe, a_free_veth_is_described) {
  const InterfaceProbe found = probe();
  EXPECT_EQ(found.index, net->near().interface_index);
  EXPECT_EQ(found.driver, "veth");
  EXPECT_EQ(found.rx_queues, 2U);
  EXPECT_EQ(found.mtu_bytes, 1500U);
  EXPECT_FALSE(found.attached);
  EXPECT_EQ(found.held_by_pid, 0);
  EXPECT_EQ(found.native_xdp, true);
  EXPECT_EQ(found.zero_copy, false);
}

TEST_F(AfXdpProbe, trying_finds_what_newer_kernels_tell_and_leaves_nothing_behind) {
  const auto facts = nic::af_xdp::inspect_interface(name());
  ASSERT_TRUE(facts) << facts.error().message();
  const nic::af_xdp::TriedModes tried = nic::af_xdp::try_modes(*facts);
  EXPECT_EQ(tried.native_xdp, true);
  EXPECT_EQ(tried.zero_copy, false);
  EXPECT_FALSE(probe().attached);
}

TEST_F(AfXdpProbe, an_engine_on_it_is_named) {
  DmaBuffer dma{512, 64};
  nic::af_xdp::AfXdpConfig config;
  config.interface_name = name();
  config.queues = {0, 1};
  auto port = nic::af_xdp::open_port(config, dma.memory());
  ASSERT_TRUE(port) << port.error().message();
  const InterfaceProbe found = probe();
  EXPECT_EQ(found.held_by_pid, ::getpid());
  ASSERT_TRUE(found.attached);
  EXPECT_TRUE(found.attached->ours);
  EXPECT_FALSE(found.attached->generic);
}

TEST_F(AfXdpProbe, somebody_elses_program_is_named_with_its_hook) {
  // Without a dispatcher. ip mounts a bpffs for it and leaves it there: not on this machine's.
  const CommandResult attached =
      run_command({"unshare", "--mount", "ip", "link", "set", "dev", name(), "xdpgeneric", "obj",
                   "/usr/lib/x86_64-linux-gnu/bpf/xdpdump_xdp.o", "sec", "xdp"});
  if (attached.exit_code != 0) GTEST_SKIP() << "cannot attach a program: " << attached.output;
  const InterfaceProbe found = probe();
  ASSERT_TRUE(found.attached);
  EXPECT_NE(found.attached->name, "");
  EXPECT_TRUE(found.attached->generic);
  EXPECT_FALSE(found.attached->ours);
  EXPECT_FALSE(found.attached->leaves_room);
}

}  // namespace
}  // namespace strictsend::test
