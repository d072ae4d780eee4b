// SPDX-License-Identifier: Apache-2.0
#include <sys/mman.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <unistd.h>

#include <bpf/libbpf.h>
#include <gtest/gtest.h>

#include "nic/af_xdp/queue_probe.hpp"
#include "nic/af_xdp/socket.hpp"
#include "tests/support/af_xdp_rig.hpp"

namespace strictsend::test {
namespace {

using nic::af_xdp::AfXdpConfig;
using testing::Test;

constexpr char served_port[] = "8080";

/// Opening, closing, being killed, and being refused.
class AfXdpLifecycle : public Test {
 protected:
  void SetUp() override {
    if (auto reason = NetNamespacePair::unavailable()) GTEST_SKIP() << *reason;
    auto made = NetNamespacePair::create(net_options);
    ASSERT_TRUE(made) << made.error().message();
    net.emplace(std::move(*made));
    config.interface_name = net->near().interface_name;
  }

  auto open() { return nic::af_xdp::open_port(config, dma.memory()); }
  [[nodiscard]] std::string refusal() {
    auto port = open();
    return port ? "opened: " + (*port)->capabilities().description : port.error().message();
  }
  [[nodiscard]] bool has_program() const {
    return run_command({"ip", "-d", "link", "show", config.interface_name}).output.find("xdp") !=
           std::string::npos;
  }
  [[nodiscard]] std::vector<std::string> holder() const {
    const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe");
    return {self.parent_path() / "af_xdp_holder", config.interface_name, net->near().address,
            served_port};
  }
  [[nodiscard]] bool peer_can_ping() const {
    return net->run_in_namespace({"ping", "-c", "1", "-W", "5", net->near().address}).exit_code ==
           0;
  }
  /// Runs the holder behind `prefix`, which takes something away from it.
  [[nodiscard]] std::string holder_output(std::vector<std::string> prefix) const {
    for (const std::string& word : holder())
      prefix.push_back(word);
    return run_command(prefix).output;
  }

  NetNamespacePair::Options net_options;
  std::optional<NetNamespacePair> net;
  DmaBuffer dma{512, 64};
  AfXdpConfig config;
};

class AfXdpTwoQueues : public AfXdpLifecycle {
 protected:
  AfXdpTwoQueues() { net_options.queues = 2; }
};

TEST_F(AfXdpLifecycle, a_port_takes_its_program_with_it_and_can_be_opened_again) {
  for (int i = 0; i < 3; ++i) {
    auto port = open();
    ASSERT_TRUE(port) << port.error().message();
    EXPECT_TRUE(has_program());
    EXPECT_EQ((*port)->capabilities().description.find("replaced"), std::string::npos);
    port->reset();
    EXPECT_FALSE(has_program());
  }
}

TEST_F(AfXdpLifecycle, an_interface_serves_one_port) {
  auto port = open();
  ASSERT_TRUE(port) << port.error().message();
  EXPECT_EQ(refusal(), "claiming interface " + config.interface_name +
                           " failed: Device or resource busy (EBUSY): another port of this process "
                           "is using it; an interface serves one engine at a time");
  EXPECT_TRUE(has_program());
}

TEST_F(AfXdpLifecycle, the_process_that_uses_an_interface_is_named) {
  auto other = ChildProcess::spawn(holder());
  ASSERT_TRUE(other) << other.error().message();
  ASSERT_TRUE(other->wait_for_output("open: ")) << other->output();
  EXPECT_NE(refusal().find("another strictsend process (pid " + std::to_string(other->pid()) + ")"),
            std::string::npos)
      << refusal();
  other->signal(SIGTERM);
  const auto ended = other->wait();
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->exit_code, 0) << ended->output;
  EXPECT_FALSE(has_program());
}

TEST_F(AfXdpLifecycle, a_queue_that_somebody_elses_socket_holds_is_reported) {
  DmaBuffer other_memory(64, 8);
  nic::af_xdp::SocketConfig other;
  other.interface_index = net->near().interface_index;
  other.ring_entries = 64;
  other.fill_ring_entries = 64;
  auto socket =
      nic::af_xdp::Socket::open(other, other_memory.memory(), FrameIndex{1}, FrameIndex{9});
  ASSERT_TRUE(socket) << socket.error().message();
  auto probe = nic::af_xdp::QueueProbe::open(other.interface_index, 0);
  ASSERT_TRUE(probe) << probe.error().message();
  EXPECT_FALSE(probe->is_free());
  EXPECT_EQ(refusal(),
            "binding to queue 0 failed: Device or resource busy (EBUSY): queue 0 is taken by "
            "another AF_XDP socket: stop that program, or choose another queue");
  EXPECT_FALSE(has_program());
  socket->close();
  EXPECT_TRUE(probe->wait(seconds(10)));
  EXPECT_EQ(refusal().substr(0, 7), "opened:");
}

TEST_F(AfXdpLifecycle, after_sigkill_the_interface_works_and_a_restart_replaces_the_program) {
  for (int i = 0; i < 2; ++i) {
    auto victim = ChildProcess::spawn(holder());
    ASSERT_TRUE(victim) << victim.error().message();
    ASSERT_TRUE(victim->wait_for_output("open: ")) << victim->output();
    victim->signal(SIGKILL);
    ASSERT_TRUE(victim->wait());
    EXPECT_TRUE(has_program());
    EXPECT_TRUE(peer_can_ping());
    // The served port is the kernel's again: nobody listens, so it refuses.
    const CommandResult refused = net->run_in_namespace(
        {"curl", "-sS", "--max-time", "20", "http://" + net->near().address + ":" + served_port});
    EXPECT_EQ(refused.exit_code, 7) << refused.output;

    auto port = open();
    ASSERT_TRUE(port) << port.error().message();
    EXPECT_NE((*port)->capabilities().description.find("replaced the XDP program"),
              std::string::npos)
        << (*port)->capabilities().description;
    port->reset();
    EXPECT_FALSE(has_program());
  }
}

// With bpffs libxdp shares the interface through its dispatcher. The mount namespace is the
// script's own.
TEST_F(AfXdpLifecycle, beside_other_programs_where_bpffs_is_mounted_sigkill_included) {
  if (libbpf_probe_bpf_prog_type(BPF_PROG_TYPE_EXT, nullptr) != 1)
    GTEST_SKIP() << "this kernel refuses extension programs (BPF_PROG_TYPE_EXT), of which libxdp's "
                    "dispatcher is made";
  std::string command = "exec";
  for (const std::string& word : holder())
    command += " " + word;
  const std::string script =
      "mount -t bpf bpf /sys/fs/bpf || exit 77\n"
      "for i in 1 2; do\n"
      "  (" +
      command +
      ") > $0 & victim=$!\n"
      "  until grep -q : $0; do sleep 0.01; done\n"
      "  cat $0; : > $0\n"
      "  [ $i = 1 ] && kill -KILL $victim || kill -TERM $victim\n"
      "  wait $victim; echo ended $?\n"
      "done\n"
      "ls /sys/fs/bpf/xdp\n";
  char path[] = "/tmp/strictsend-holder-XXXXXX";
  const UniqueFd file(::mkstemp(path));
  const CommandResult result = run_command({"unshare", "-m", "sh", "-c", script, path});
  ::unlink(path);
  if (result.exit_code == 77) GTEST_SKIP() << "bpffs cannot be mounted here: " << result.output;
  const std::string& output = result.output;
  const std::size_t restarted = output.find("ended 137");
  ASSERT_NE(restarted, std::string::npos) << output;
  EXPECT_LT(output.find("beside other programs"), restarted) << output;
  EXPECT_NE(output.find("beside other programs", restarted), std::string::npos) << output;
  EXPECT_NE(output.find("replaced the XDP program", restarted), std::string::npos) << output;
  EXPECT_NE(output.find("ended 0", restarted), std::string::npos) << output;
  EXPECT_EQ(output.find("dispatch-"), std::string::npos) << output;
  EXPECT_FALSE(has_program());
}

TEST_F(AfXdpLifecycle, a_missing_interface_is_reported_with_those_that_are_there) {
  config.interface_name = "no-such-nic";
  const std::string message = refusal();
  EXPECT_NE(message.find("no-such-nic failed: No such device (ENODEV)"), std::string::npos)
      << message;
  EXPECT_NE(message.find(net->near().interface_name), std::string::npos) << message;
}

TEST_F(AfXdpLifecycle, the_loopback_interface_is_refused) {
  config.interface_name = "lo";
  EXPECT_NE(refusal().find("it is not an Ethernet interface"), std::string::npos) << refusal();
}

TEST_F(AfXdpLifecycle, a_queue_that_does_not_exist_is_reported) {
  config.queues = {3};
  EXPECT_NE(refusal().find("has 1 receive queue, counted from 0"), std::string::npos) << refusal();
}

TEST_F(AfXdpTwoQueues, queues_that_would_not_be_served_are_reported) {
  EXPECT_NE(refusal().find("has 2 receive queues but 1 would be served"), std::string::npos)
      << refusal();
  config.allow_other_queues = true;
  config.queues = {1};
  EXPECT_EQ(refusal().substr(0, 7), "opened:");
}

TEST_F(AfXdpLifecycle, zero_copy_is_refused_where_the_driver_has_none) {
  config.copy_mode = nic::af_xdp::CopyMode::zero_copy;
  EXPECT_NE(refusal().find("its driver has no zero-copy mode"), std::string::npos) << refusal();
}

TEST_F(AfXdpLifecycle, a_ring_size_that_is_no_power_of_two_is_reported) {
  config.ring_entries = 1000;
  EXPECT_NE(refusal().find("ring sizes are powers of two"), std::string::npos) << refusal();
}

TEST_F(AfXdpLifecycle, memory_that_cannot_be_written_is_reported) {
  nic::DmaMemory read_only = dma.memory();
  void* mapped =
      ::mmap(nullptr, read_only.size_bytes, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(mapped, MAP_FAILED);
  read_only.base = static_cast<std::byte*>(mapped);
  auto port = nic::af_xdp::open_port(config, read_only);
  ASSERT_FALSE(port);
  EXPECT_EQ(port.error().errno_value, EFAULT);
  EXPECT_NE(port.error().message().find("Register first, protect after"), std::string::npos)
      << port.error().message();
  ::munmap(mapped, read_only.size_bytes);
}

TEST_F(AfXdpLifecycle, another_program_that_leaves_no_room_is_named) {
  // libxdp's own AF_XDP program, attached the old way, without a dispatcher. ip mounts a bpffs on
  // /sys/fs/bpf for it and leaves it there: not on this machine's.
  const CommandResult attached =
      run_command({"unshare", "--mount", "ip", "link", "set", "dev", config.interface_name,
                   "xdpdrv", "obj", "/usr/lib/x86_64-linux-gnu/bpf/xdpdump_xdp.o", "sec", "xdp"});
  if (attached.exit_code != 0) GTEST_SKIP() << "cannot attach a program: " << attached.output;
  const std::string message = refusal();
  EXPECT_NE(message.find("leaves no room beside it"), std::string::npos) << message;
  EXPECT_TRUE(has_program());
}

TEST_F(AfXdpLifecycle, missing_rights_are_explained) {
  const std::string output =
      holder_output({"setpriv", "--bounding-set", "-net_admin,-sys_admin,-bpf"});
  EXPECT_NE(output.find("it needs CAP_NET_ADMIN, CAP_BPF and CAP_PERFMON"), std::string::npos)
      << output;
  EXPECT_FALSE(has_program());
  const std::string no_raw = holder_output({"setpriv", "--bounding-set", "-net_raw"});
  EXPECT_NE(no_raw.find("it needs CAP_NET_RAW"), std::string::npos) << no_raw;
  EXPECT_FALSE(has_program());
}

TEST_F(AfXdpLifecycle, too_little_lockable_memory_is_explained) {
  const std::string output =
      holder_output({"setpriv", "--bounding-set", "-ipc_lock", "prlimit", "--memlock=65536:65536"});
  EXPECT_NE(output.find("RLIMIT_MEMLOCK 64 KiB < 2048 KiB"), std::string::npos) << output;
  EXPECT_FALSE(has_program());
}

TEST_F(AfXdpLifecycle, the_65th_flow_is_refused) {
  auto port = open();
  ASSERT_TRUE(port) << port.error().message();
  for (std::uint16_t i = 0; i < 64; ++i)
    ASSERT_TRUE((*port)->accept_flows({net->near().ipv4, static_cast<std::uint16_t>(1000 + i)}));
  EXPECT_TRUE((*port)->accept_flows({net->near().ipv4, 1000}));  // again: nothing changes
  const auto refused = (*port)->accept_flows({net->near().ipv4, 2000});
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("at most 64"), std::string::npos);
}

}  // namespace
}  // namespace strictsend::test
