// SPDX-License-Identifier: Apache-2.0
// `strictsend serve` on an interface with two queues, an engine thread each: whichever queue a
// connection's packets come to, and wherever they come to later.
#include <csignal>
#include <cstdint>
#include <regex>
#include <string>

#include <gtest/gtest.h>

#include "tests/integration/serve_fixture.hpp"

namespace strictsend::test {
namespace {

class ServeQueues : public Serve {
 protected:
  ServeQueues() { net_options_.queues = 2; }

  /// What the summary says of a queue.
  struct Queue {
    std::uint64_t connections = 0;
    std::uint64_t packets_sent = 0;
    std::uint64_t packets_received = 0;
  };
  static Queue queue_of(const std::string& summary, unsigned number) {
    const std::regex line("queue " + std::to_string(number) +
                          R"( +(\d+) connections; (\d+) packets sent \([^)]*\), (\d+) received)");
    std::smatch found;
    if (!std::regex_search(summary, found, line)) {
      ADD_FAILURE() << summary;
      return {};
    }
    return {std::stoull(found[1]), std::stoull(found[2]), std::stoull(found[3])};
  }
  static std::uint64_t handed_over(const std::string& summary) {
    std::smatch found;
    const bool said =
        std::regex_search(summary, found, std::regex(R"(handed over +(\d+) from queue to queue)"));
    EXPECT_TRUE(said) << summary;
    return said ? std::stoull(found[1]) : 0;
  }
  void attach_at_peer(const std::string& direction, const std::string& object) const {
    const std::string peer = network_->peer().interface_name;
    // tc mounts a bpffs on /sys/fs/bpf and leaves it there: not on this machine's.
    const CommandResult done = at_peer(
        "tc qdisc add dev " + peer + " clsact 2>/dev/null; unshare --mount tc filter add dev " +
        peer + " " + direction + " bpf direct-action obj " + object + " sec tc");
    EXPECT_EQ(done.exit_code, 0) << done.output;
  }
  /// So many downloads at the same time, each compared byte for byte.
  CommandResult download_at_once(const std::string& name, int parallel) const {
    const std::string count = std::to_string(parallel);
    return at_peer("seq " + count + " | xargs -P " + count +
                   " -I{} sh -c 'curl -sSf --max-time 90 " + url(name) + " | cmp - " +
                   root_.path(name) + "'");
  }
};

INSTANTIATE_TEST_SUITE_P(Forms, ServeQueues, ::testing::Values("fragments", "linear"),
                         [](const auto& form) { return form.param; });

TEST_P(ServeQueues, both_serve_connections_and_every_download_is_right) {
  EXPECT_NE(server_->output().find("2 queues, 2 engine threads"), std::string::npos)
      << server_->output();
  make_file("file", 1'000'000);
  // Which queue a connection gets is a matter of chance: none for one of two is one in 2^39.
  const CommandResult result = download_at_once("file", 40);
  EXPECT_EQ(result.exit_code, 0) << result.output;
  const std::string summary = stop();
  EXPECT_NE(summary.find("40 answered, 0 refused, 0 cut off"), std::string::npos) << summary;
  const Queue first = queue_of(summary, 0);
  const Queue second = queue_of(summary, 1);
  EXPECT_EQ(first.connections + second.connections, 40U);
  for (const Queue& queue : {first, second}) {
    EXPECT_GT(queue.connections, 0U) << summary;
    EXPECT_GE(queue.packets_sent, queue.connections * 600) << summary;
    EXPECT_GE(queue.packets_received, queue.connections * 4) << summary;
  }
}

TEST_P(ServeQueues, connections_whose_packets_change_their_queue_are_served_on) {
  make_file("file", 5'000'000);
  attach_at_peer("egress", REHASH_OBJECT);
  const CommandResult result = download_at_once("file", 8);
  EXPECT_EQ(result.exit_code, 0) << result.output;
  const std::string summary = stop();
  EXPECT_NE(summary.find("8 answered, 0 refused, 0 cut off"), std::string::npos) << summary;
  EXPECT_GT(handed_over(summary), 10U) << summary;
}

TEST_P(ServeQueues, a_lossy_path_costs_time_and_no_byte) {
  make_file("file", 1'000'000);
  attach_at_peer("ingress", LOSSY_OBJECT);
  const CommandResult result = download_at_once("file", 12);
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_EQ(stop().find(" 0 of them again"), std::string::npos) << "segments were retransmitted";
}

TEST_P(ServeQueues, loss_and_changing_queues_together_cost_no_byte_either) {
  make_file("file", 500'000);
  attach_at_peer("ingress", LOSSY_OBJECT);
  attach_at_peer("egress", LOSSY_OBJECT);
  attach_at_peer("egress", REHASH_OBJECT);  // before the other one: the newer is asked first
  const CommandResult result = download_at_once("file", 24);
  EXPECT_EQ(result.exit_code, 0) << result.output;
  const std::string summary = stop();
  EXPECT_NE(summary.find("24 answered, 0 refused, 0 cut off"), std::string::npos) << summary;
  EXPECT_GT(handed_over(summary), 10U) << summary;
  EXPECT_EQ(summary.find(" 0 of them again"), std::string::npos) << summary;
}

TEST_P(ServeQueues, a_port_that_nobody_listens_on_any_more_is_the_kernels) {
  // Nothing of the filter or the sockets stays behind, of neither queue.
  stop();
  const CommandResult refused = at_peer("curl -sS --max-time 5 " + url("file"));
  EXPECT_EQ(refused.exit_code, 7) << refused.output << ": refused, not timed out";
  start();
  make_file("file", 100'000);
  EXPECT_EQ(difference("file"), "");
  stop();
}

TEST_P(ServeQueues, a_stop_under_load_gives_everything_back) {
  make_file("file", 100'000'000);
  auto clients = network_->spawn_in_namespace(
      {"sh", "-c", "seq 16 | xargs -P 16 -I{} curl -s --max-time 60 -o /dev/null " + url("file")});
  ASSERT_TRUE(clients) << clients.error().message();
  const CommandResult begun =
      at_peer("until [ $(ss -Htn state established dst " + network_->near().address +
              " | wc -l) = 16 ]; do sleep 0.02; done");
  ASSERT_EQ(begun.exit_code, 0) << begun.output;
  const std::string summary = stop();
  EXPECT_NE(summary.find("16 accepted"), std::string::npos) << summary;
  EXPECT_TRUE(clients->wait(seconds(60)));
}

TEST_P(ServeQueues, other_numbers_of_queues_than_there_are_are_explained) {
  stop();
  const auto refusal = [this](const std::string& queues) {
    const CommandResult result = run_command({STRICTSEND_PROGRAM, "serve", "--nic",
                                              "af_xdp:" + network_->near().interface_name, "--root",
                                              root_.path(), "--cache", "64M", "--queues", queues});
    EXPECT_EQ(result.exit_code, 1);
    return result.output;
  };
  const std::string name = network_->near().interface_name;
  EXPECT_NE(refusal("4").find(name +
                              " has 2 receive queues: ask for fewer, or give it more with "
                              "ethtool -L " +
                              name + " combined 4"),
            std::string::npos)
      << refusal("4");
  EXPECT_NE(refusal("1").find(name + " has 2 receive queues but 1 would be served"),
            std::string::npos)
      << refusal("1");
  start("64M", {"--queues", "2"});
  make_file("file", 100'000);
  EXPECT_EQ(difference("file"), "");
  stop();
}

}  // namespace
}  // namespace strictsend::test
