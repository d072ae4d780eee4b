// SPDX-License-Identifier: Apache-2.0
// What only DPDK has: telemetry, start-up that names the missing step, queues without a kernel.
#include <regex>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/integration/serve_fixture.hpp"

namespace strictsend::test {
namespace {

class Dpdk : public Serve {
 protected:
  /// What dpdk-telemetry.py prints for a command.
  [[nodiscard]] nlohmann::json telemetry(const std::string& command) const {
    const CommandResult asked =
        run_command({"sh", "-c",
                     "echo " + command + " | timeout 20 dpdk-telemetry.py -f " +
                         network_->near().interface_name});
    const std::size_t begin = asked.output.find("{\"" + command.substr(0, command.find(',')));
    if (begin == std::string::npos) {
      ADD_FAILURE() << asked.output;
      return {};
    }
    const auto answer = nlohmann::json::parse(asked.output.substr(begin), nullptr, false);
    EXPECT_FALSE(answer.is_discarded()) << asked.output;
    return answer.is_object() && !answer.empty() ? *answer.begin() : nlohmann::json{};
  }
};
class DpdkTwoQueues : public Serve {
 protected:
  DpdkTwoQueues() { dpdk_queues_ = 2; }
};

INSTANTIATE_TEST_SUITE_P(Ports, Dpdk, ::testing::Values("dpdk_af_packet"),
                         [](const auto& port) { return std::string(port.param); });
INSTANTIATE_TEST_SUITE_P(Ports, DpdkTwoQueues, ::testing::Values("dpdk_tap", "dpdk_af_packet"),
                         [](const auto& port) { return std::string(port.param); });

TEST_P(Dpdk, telemetry_shows_port_queue_device_and_engine) {
  make_file("file", 1'000'000);
  ASSERT_EQ(difference("file"), "");
  const std::string name = "net_af_packet0";
  EXPECT_EQ(telemetry("/strictsend/list"), nlohmann::json::array({name}));
  const auto port = telemetry("/strictsend/port," + name);
  EXPECT_EQ(port["queues"], 1);
  EXPECT_EQ(port["mtu_bytes"], 1500);
  EXPECT_EQ(port["link_up"], 1);
  const auto queue = telemetry("/strictsend/queue," + name + ",0");
  EXPECT_GT(queue["tx_packets"], 690);
  EXPECT_GT(queue["tx_bytes"], 1'000'000);
  EXPECT_EQ(queue["unexpected_completions"], 0);
  EXPECT_GT(telemetry("/strictsend/device," + name)["tx_good_packets"], 690);
  const auto engine = telemetry("/strictsend/engine," + name);
  EXPECT_EQ(engine["connections_accepted"], 1);
  EXPECT_GT(engine["payload_bytes_sent"], 1'000'000);
  EXPECT_EQ(telemetry("/strictsend/queue," + name + ",1"), nullptr) << "there is none";
  EXPECT_EQ(telemetry("/strictsend/port,other"), nullptr);
  stop();
}

TEST_P(DpdkTwoQueues, serve_connections_on_the_queue_that_they_come_to) {
  make_file("file", 500'000);
  const CommandResult result = at_peer("seq 40 | xargs -P 20 -I{} sh -c 'curl -sSf --max-time 60 " +
                                       url("file") + " | cmp - " + root_.path("file") + "'");
  EXPECT_EQ(result.exit_code, 0) << result.output;
  const std::string summary = stop();
  for (const char* queue : {"0", "1"}) {
    std::smatch found;
    ASSERT_TRUE(std::regex_search(
        summary, found,
        std::regex(std::string("queue ") + queue + R"( +(\d+) connections; (\d+) packets sent)")))
        << summary;
    EXPECT_GT(std::stoi(found[1]), 0) << summary;
    EXPECT_GT(std::stoi(found[2]), 344) << summary;
  }
}

/// What `serve` says when it cannot start.
std::string refusal(const std::vector<std::string>& arguments) {
  std::vector<std::string> argv = {STRICTSEND_PROGRAM, "serve", "--root", "/", "--cache", "16M"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  const CommandResult result = run_command(argv);
  EXPECT_EQ(result.exit_code, 1) << result.output;
  return result.output;
}

TEST(DpdkStart, names_the_missing_step) {
  struct Case {
    std::vector<std::string> arguments;
    const char* says;
  };
  for (const Case& c : std::vector<Case>{
           {{"--nic", "dpdk:net_nothing0", "--", "--no-pci", "--no-huge"},
            "make it with --vdev=net_nothing0,… after --"},
           {{"--nic", "dpdk:0000:ff:1f.7", "--", "--no-pci", "--no-huge"},
            "no such PCI device here (lspci -D lists them)"},
           {{"--nic", "dpdk:net_null0", "--", "--no-pci", "--no-huge", "--no-such-option"},
            "see the EAL options in DPDK's manual"},
           {{"--nic", "dpdk:net_null0", "--", "--no-pci", "--no-huge", "--vdev=net_null0"},
            "--address"},
           {{"--nic", "dpdk:net_null0", "--queues", "200", "--", "--no-pci", "--no-huge",
             "--vdev=net_null0"},
            "give EAL more memory (-m MEGABYTES, or more huge pages)"},
           {{"--nic", "dpdk:net_af_packet0", "--", "--no-pci", "--no-huge",
             "--vdev=net_af_packet0,iface=no-such-nic"},
            "net_af_packet0"},
       }) {
    const std::string said = refusal(c.arguments);
    EXPECT_NE(said.find(c.says), std::string::npos) << c.says << "\n" << said;
  }
}

TEST(DpdkStart, asks_for_huge_pages_where_there_are_none) {
  const CommandResult free = run_command(
      {"sh", "-c", "cat /sys/kernel/mm/hugepages/*/nr_hugepages | sort -n | tail -n 1"});
  if (free.output != "0\n") GTEST_SKIP() << "this machine has huge pages";
  const std::string said =
      refusal({"--nic", "dpdk:net_null0", "--", "--no-pci", "--vdev=net_null0"});
  EXPECT_NE(said.find("reserve huge pages (sysctl vm.nr_hugepages="), std::string::npos) << said;
  EXPECT_NE(said.find("--no-huge"), std::string::npos) << said;
}

}  // namespace
}  // namespace strictsend::test
