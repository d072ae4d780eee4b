// SPDX-License-Identifier: Apache-2.0
// The programs of docs/cookbook.md, built outside the tree against the installed library, over
// AF_XDP and with kernel sockets as peers: each does what its recipe says.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/netns.hpp"
#include "tests/support/temp_dir.hpp"
#include <strictsend/address.hpp>
#include <strictsend/probe.hpp>

namespace strictsend::test {
namespace {

constexpr std::uint16_t server_port = 7000;
constexpr std::size_t mib = std::size_t{1} << 20;

std::string text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// A kernel's TCP connection from the far end. What does not work fails the test.
class Peer {
 public:
  Peer(const NetNamespacePair& network, const std::string& address) {
    network.in_namespace([&] {
      const bool six = address.find(':') != std::string::npos;
      fd_ = UniqueFd(::socket(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      sockaddr_in to4{};
      sockaddr_in6 to6{};
      to4.sin_family = AF_INET;
      to6.sin6_family = AF_INET6;
      to4.sin_port = to6.sin6_port = htons(server_port);
      void* const at = six ? static_cast<void*>(&to6.sin6_addr) : &to4.sin_addr;
      EXPECT_EQ(::inet_pton(six ? AF_INET6 : AF_INET, address.c_str(), at), 1) << address;
      const timeval limit{30, 0};
      ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
      const int connected =
          six ? ::connect(fd_.get(), reinterpret_cast<sockaddr*>(&to6), sizeof to6)
              : ::connect(fd_.get(), reinterpret_cast<sockaddr*>(&to4), sizeof to4);
      EXPECT_EQ(connected, 0) << address << ": " << std::strerror(errno);
    });
  }
  Peer& say(std::string_view line) {
    EXPECT_EQ(::send(fd_.get(), line.data(), line.size(), MSG_NOSIGNAL), ssize_t(line.size()));
    return *this;
  }
  /// Up to so many bytes, or up to the end of the stream.
  std::string read(std::size_t most = std::string::npos) {
    std::string got;
    std::string buffer(65536, '\0');
    while (got.size() < most) {
      const ssize_t count =
          ::recv(fd_.get(), buffer.data(), std::min(buffer.size(), most - got.size()), 0);
      error_ = count < 0 ? errno : 0;
      if (count <= 0) break;
      got.append(buffer, 0, static_cast<std::size_t>(count));
    }
    return got;
  }
  [[nodiscard]] int error() const { return error_; }  ///< that the last `read` ended with
  void reset() {
    const linger hard{1, 0};
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    fd_.reset();
  }

 private:
  UniqueFd fd_;
  int error_ = 0;
};

/// Where the programs stand; built once, in the first test that needs them.
class Cookbook : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    built_ = std::make_unique<TempDir>();
    std::vector<std::string> argv = {SOURCE_ROOT "/tests/scripts/build_examples.sh", BUILD_ROOT,
                                     built_->path(), SOURCE_ROOT "/examples/send_datagrams.cpp"};
    for (const auto& entry : std::filesystem::directory_iterator(SOURCE_ROOT "/examples/cookbook"))
      argv.push_back(entry.path().string());
    const CommandResult result = run_command(argv, -1, seconds(400));
    ASSERT_EQ(result.exit_code, 0) << result.output;
  }
  static void TearDownTestSuite() { built_.reset(); }

  void SetUp() override {
    if (const auto why = NetNamespacePair::unavailable()) GTEST_SKIP() << *why;
    connect_ends({});
  }
  void connect_ends(const NetNamespacePair::Options& options) {
    network_.reset();
    auto made = NetNamespacePair::create(options);
    ASSERT_TRUE(made) << made.error().message();
    network_.emplace(std::move(*made));
  }
  [[nodiscard]] std::string nic() const { return "af_xdp:" + network_->near().interface_name; }
  [[nodiscard]] const std::string& address() const { return network_->near().address; }
  [[nodiscard]] std::string file() const { return root_.path("file"); }
  std::string put(std::size_t bytes, std::uint64_t seed = 1) {
    const auto content = random_bytes(bytes, seed);
    put_file(file(), content);
    return text_of(content);
  }
  void fill(std::size_t bytes, char letter) {
    put_file(file(), std::vector<std::byte>(bytes, static_cast<std::byte>(letter)));
  }

  static std::vector<std::string> command_of(const std::string& program,
                                             const std::vector<std::string>& arguments) {
    std::vector<std::string> argv = {"env", "LD_LIBRARY_PATH=" + built_->path("lib"),
                                     built_->path(program)};
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return argv;
  }
  static CommandResult run(const std::string& program, const std::vector<std::string>& arguments) {
    return run_command(command_of(program, arguments));
  }
  /// Starts a server of the cookbook: NIC, port, file and what else it takes.
  void start(const std::string& program, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {nic(), std::to_string(server_port), file()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    auto spawned = ChildProcess::spawn(command_of(program, arguments));
    ASSERT_TRUE(spawned) << spawned.error().message();
    server_.emplace(std::move(*spawned));
    ASSERT_TRUE(server_->wait_for_output("listening")) << server_->output();
  }
  void expect_said(const std::string& text) {
    EXPECT_TRUE(server_->wait_for_output(text)) << "not said: " << text << "\n"
                                                << server_->output();
  }
  /// A clean end by SIGTERM, and all that it said.
  std::string stop() {
    server_->signal(SIGTERM);
    const auto ended = server_->wait();
    if (!ended) {
      ADD_FAILURE() << "it does not end";
      return {};
    }
    EXPECT_EQ(ended->exit_code, 0) << ended->output;
    return ended->output;
  }
  [[nodiscard]] Peer peer() const { return {*network_, address()}; }

  static std::unique_ptr<TempDir> built_;
  const TempDir root_;
  std::optional<NetNamespacePair> network_;
  std::optional<ChildProcess> server_;
};
std::unique_ptr<TempDir> Cookbook::built_;

TEST_F(Cookbook, send_on_connect_sends_a_file_to_whoever_connects) {
  const std::string content = put(1'000'000);
  start("send_on_connect");
  EXPECT_EQ(peer().read(), content);
  const CommandResult bash = network_->run_in_namespace(
      {"bash", "-c", "cat < /dev/tcp/" + address() + "/7000 | cmp - " + file()});
  EXPECT_EQ(bash.exit_code, 0) << bash.output;
  expect_said("released: 1000000 bytes acknowledged, error 0");
  EXPECT_NE(stop().find("stopped: 0 snapshots and 0 pins left"), std::string::npos);
}

TEST_F(Cookbook, send_on_connect_sends_an_empty_file_too) {
  put(0);
  start("send_on_connect");
  Peer client = peer();
  EXPECT_EQ(client.read(), "");
  EXPECT_EQ(client.error(), 0) << "an end, and no reset";
  stop();
}

TEST_F(Cookbook, keep_snapshot_sends_one_state_to_many) {
  const std::string first = put(100'000);
  start("keep_snapshot");
  EXPECT_EQ(peer().say("kept\n").read(), first);
  EXPECT_EQ(peer().say("kept\n").read(), first) << "though the file was written in between";
  std::string second = first;
  second.replace(0, 10, "written 2\n");
  EXPECT_EQ(peer().say("now\n").read(), second);
  EXPECT_EQ(peer().say("kept\n").read(), second);
  stop();
}

TEST_F(Cookbook, write_while_sending_sends_what_the_file_was) {
  if (const auto mappings = probe_write_protection(); !mappings)
    GTEST_SKIP() << mappings.error().message();
  constexpr std::size_t bytes = 16 * mib;
  fill(bytes, 'A');
  start("write_while_sending");
  Peer slow = peer();
  expect_said("all is B now");  // the writer is through, and nobody has read anything
  EXPECT_EQ(slow.read(), std::string(bytes, 'A'));
  EXPECT_EQ(peer().read(), std::string(bytes, 'B'));
  const std::string said = stop();
  const std::size_t preserved = said.find(" bytes, ");
  ASSERT_NE(preserved, std::string::npos) << said;
  EXPECT_GT(std::stoul(said.substr(preserved + 8)), 0U) << said;
  EXPECT_EQ(said.find("error 1"), std::string::npos) << said;
}

TEST_F(Cookbook, append_and_send_sends_whole_records) {
  put(1000);
  start("append_and_send");
  std::size_t longest = 0;
  for (int i = 0; i < 200 && longest < 100 * 64; ++i) {
    const std::string records = peer().read();
    ASSERT_EQ(records.size() % 64, 0U);
    for (std::size_t at = 0; at < records.size(); at += 64) {
      ASSERT_EQ(std::stoul(records.substr(at, 63)), at / 64);
      ASSERT_EQ(records[at + 63], '\n');
    }
    longest = std::max(longest, records.size());
  }
  EXPECT_GE(longest, 100 * 64U) << "it grew meanwhile";
  const std::string said = stop();
  EXPECT_NE(said.find("synced " + std::to_string(std::filesystem::file_size(file())) + " bytes"),
            std::string::npos)
      << said;
  EXPECT_GE(std::filesystem::file_size(file()), longest);
}

std::uint64_t number_of(const std::string& bytes, bool big_endian) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i)
    value = value << 8 | static_cast<std::uint8_t>(bytes[big_endian ? i : 7 - i]);
  return value;
}

TEST_F(Cookbook, framed_ranges_are_of_one_instant) {
  if (const auto mappings = probe_write_protection(); !mappings)
    GTEST_SKIP() << mappings.error().message();
  constexpr std::size_t bytes = mib;
  fill(bytes, '\0');
  start("framed_ranges");
  Peer client = peer();
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 10'000 && (i < 200 || seen.size() < 20); ++i) {
    client.say("0 8 " + std::to_string(bytes - 8) + " 100\n");
    std::vector<std::uint64_t> numbers;
    for (const std::uint64_t offset : {std::uint64_t{0}, std::uint64_t{bytes - 8}}) {
      const std::string header = client.read(16);
      ASSERT_EQ(header.size(), 16U);
      ASSERT_EQ(number_of(header, true), 8U) << "cut at the end of the file";
      ASSERT_EQ(number_of(header.substr(8), true), offset);
      const std::string range = client.read(8);
      ASSERT_EQ(range.size(), 8U);
      numbers.push_back(number_of(range, false));
    }
    ASSERT_GE(numbers[0], numbers[1]);
    ASSERT_LE(numbers[0], numbers[1] + 1);
    seen.insert(numbers[0]);
  }
  EXPECT_GE(seen.size(), 20U) << "it was written meanwhile";
  stop();
}

TEST_F(Cookbook, back_pressure_puts_off_and_sends_all) {
  const std::string content = put(8 * mib + 100);
  start("back_pressure");
  std::vector<Peer> clients;
  for (int i = 0; i < 6; ++i)
    clients.push_back(peer());
  std::vector<std::string> got(clients.size());
  std::vector<std::thread> readers;
  for (std::size_t i = 0; i < clients.size(); ++i)
    readers.emplace_back([&, i] { got[i] = clients[i].read(); });
  for (std::thread& reader : readers)
    reader.join();
  for (const std::string& each : got)
    EXPECT_TRUE(each == content) << each.size();
  const std::string said = stop();
  const std::size_t at = said.find("put off ");
  ASSERT_NE(at, std::string::npos) << said;
  EXPECT_GT(std::stoul(said.substr(at + 8)), 0U);
}

TEST_F(Cookbook, event_loop_serves_beside_a_timer_and_ends_cleanly) {
  const std::string content = put(300'000);
  start("event_loop");
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(peer().read(), content);
  expect_said("released so far: 5");
  EXPECT_NE(stop().find("stopped: released 5, 0 snapshots left"), std::string::npos);
}

TEST_F(Cookbook, close_reasons_are_told) {
  const std::string content = put(16 * mib);
  start("close_reasons");
  {
    EXPECT_EQ(peer().read(), content);
    expect_said("whole");
    expect_said("closed: both sides said that they were done");
  }
  {
    Peer client = peer();
    client.read(1000);
    client.reset();
    expect_said("cut short");
    expect_said("closed: the peer reset it");
  }
  {
    Peer client = peer();
    client.say("abort\n");
    client.read();
    EXPECT_EQ(client.error(), ECONNRESET);
    expect_said("closed: this program ended it");
  }
  {
    Peer silent = peer();  // reads nothing
    expect_said("closed: the peer acknowledged nothing, or too little");
  }
  {
    Peer client = peer();
    client.say("rewrite\n");
    expect_said("rewritten");
    expect_said("closed: its pages were given up for a writer");
  }
  stop();
}

TEST_F(Cookbook, a_lost_device_is_told_and_ends_the_program) {
  put(1000);
  start("send_on_connect");
  ASSERT_EQ(run_command({"ip", "link", "delete", network_->near().interface_name}).exit_code, 0);
  const auto ended = server_->wait();
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->exit_code, 1);
  EXPECT_NE(ended->output.find("error: sending over " + nic()), std::string::npos) << ended->output;
}

TEST_F(Cookbook, addresses_of_both_families_are_answered_on) {
  const std::string content = put(100'000);
  const auto& ipv4 = network_->near().ipv4;
  const std::string prefix =
      "fd58:" + std::to_string(ipv4[2]) + ":" + std::to_string(ipv4[3]) + "::";
  for (const auto& result :
       {run_command({"ip", "-6", "addr", "add", prefix + "1/64", "dev",
                     network_->near().interface_name, "nodad"}),
        network_->run_in_namespace({"ip", "-6", "addr", "add", prefix + "2/64", "dev",
                                    network_->peer().interface_name, "nodad"})})
    ASSERT_EQ(result.exit_code, 0) << result.output;
  start("addresses", {address(), prefix + "1"});
  expect_said("listening on [" + to_string(*parse_ip_address(prefix + "1")) + "]:7000");
  EXPECT_EQ(Peer(*network_, prefix + "1").read(), content);
  expect_said("from " + to_string(*parse_ip_address(prefix + "2")));
  EXPECT_EQ(peer().read(), content);
  expect_said("from " + network_->peer().address);
  stop();
}

TEST_F(Cookbook, queues_are_served_and_counted) {
  connect_ends({.queues = 2});
  const std::string content = put(100'000);
  start("queues", {"2"});
  for (int i = 0; i < 20; ++i)
    ASSERT_EQ(peer().read(), content);
  const std::string said = stop();
  EXPECT_NE(said.find("veth, MTU 1500, 2 queues"), std::string::npos) << said;
  EXPECT_NE(said.find("in all: 20 connections"), std::string::npos) << said;
  std::size_t connections = 0;
  for (const char* queue : {"queue 0: ", "queue 1: "}) {
    const std::size_t at = said.find(queue);
    ASSERT_NE(at, std::string::npos) << said;
    connections += std::stoul(said.substr(at + 9));
  }
  EXPECT_EQ(connections, 20U) << said;
}

TEST_F(Cookbook, large_file_is_sent_and_a_foreign_change_is_told) {
  const std::string content = put(40 * mib);
  start("large_file");
  EXPECT_NE(server_->output().find("choose a larger cache"), std::string::npos)
      << server_->output();
  EXPECT_TRUE(peer().read() == content);
  expect_said("released: " + std::to_string(content.size()) + " bytes, error 0");
  Peer slow = peer();
  EXPECT_EQ(slow.read(1000), content.substr(0, 1000));
  const std::string changed = put(40 * mib, 2);
  const std::string rest = slow.read();
  EXPECT_EQ(slow.error(), ECONNRESET);
  EXPECT_TRUE(rest == content.substr(1000, rest.size())) << "nothing of the new version";
  expect_said("spoilt");
  EXPECT_TRUE(peer().read() == changed);
  EXPECT_NE(stop().find(" 1 sends failed"), std::string::npos) << server_->output();
}

TEST_F(Cookbook, send_datagrams_sends_all_of_a_file) {
  const std::string content = put(100'000);
  auto receiver =
      network_->spawn_in_namespace({"python3", SOURCE_ROOT "/tests/integration/datagram_peer.py",
                                    network_->peer().address, "5000", "72", root_.path("got")});
  ASSERT_TRUE(receiver) << receiver.error().message();
  ASSERT_TRUE(receiver->wait_for_output("ready")) << receiver->output();
  const CommandResult sent =
      run("send_datagrams", {nic(), network_->peer().address, "5000", file()});
  EXPECT_EQ(sent.exit_code, 0) << sent.output;
  EXPECT_NE(sent.output.find("sent 100000 bytes in 72 datagrams"), std::string::npos)
      << sent.output;
  const auto received = receiver->wait();
  ASSERT_TRUE(received);
  EXPECT_NE(received->output.find("came 72 unordered 0"), std::string::npos) << received->output;
  EXPECT_EQ(text_of(get_file(root_.path("got"))), content);
}

TEST_F(Cookbook, look_first_tells_what_there_is_and_who_has_it) {
  const CommandResult free = run("look_first", {network_->near().interface_name});
  EXPECT_EQ(free.exit_code, 0) << free.output;
  EXPECT_NE(free.output.find("driver veth, MTU 1500, 1 queues"), std::string::npos) << free.output;
  EXPECT_EQ(run("look_first", {"nosuchnic0"}).exit_code, 1);
  put(100);
  start("send_on_connect");
  const CommandResult held = run("look_first", {network_->near().interface_name});
  EXPECT_EQ(held.exit_code, 1);
  EXPECT_NE(held.output.find("an engine of process"), std::string::npos) << held.output;
  stop();
}

TEST_F(Cookbook, own_device_runs_on_af_xdp_and_on_dpdk) {
  const std::string content = put(500'000);
  start("own_device");
  EXPECT_EQ(peer().read(), content);
  stop();
  if (!probe_dpdk_support()) return;  // the other half of builds with -Ddpdk=disabled
  const std::string near = network_->near().interface_name;
  ASSERT_EQ(run_command({"ip", "addr", "flush", "dev", near}).exit_code, 0);
  auto spawned = ChildProcess::spawn(command_of(
      "own_device",
      {"dpdk:net_af_packet0", std::to_string(server_port), file(), address() + "/30", "--no-huge",
       "--no-pci", "--file-prefix=" + near, "--vdev=net_af_packet0,iface=" + near + ",qpairs=1"}));
  ASSERT_TRUE(spawned) << spawned.error().message();
  server_.emplace(std::move(*spawned));
  expect_said("listening");
  EXPECT_NE(server_->output().find("no kernel behind the device"), std::string::npos);
  EXPECT_EQ(peer().read(), content);
  stop();
}

TEST_F(Cookbook, test_without_nic_proves_that_the_old_state_was_sent) {
  put(300'500);
  const CommandResult result = run("test_without_nic", {file(), root_.path("recording")});
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_NE(result.output.find("300500 bytes sent, all as they were"), std::string::npos)
      << result.output;
}

TEST_F(Cookbook, every_program_says_what_it_lacks) {
  put(100);
  for (const auto& entry : std::filesystem::directory_iterator(SOURCE_ROOT "/examples/cookbook")) {
    if (entry.path().extension() != ".cpp") continue;
    const std::string program = entry.path().stem().string();
    const CommandResult usage = run(program, {});
    EXPECT_EQ(usage.exit_code, 2) << program;
    EXPECT_NE(usage.output.find("usage: " + program), std::string::npos) << usage.output;
    if (program == "look_first" || program == "test_without_nic") continue;
    std::vector<std::string> arguments = {"af_xdp:nosuchnic0", "7000", file()};
    if (program == "queues") arguments.emplace_back("1");
    const CommandResult refused = run(program, arguments);
    EXPECT_EQ(refused.exit_code, 1) << program;
    EXPECT_NE(refused.output.find("error: "), std::string::npos) << refused.output;
    EXPECT_NE(refused.output.find("nosuchnic0"), std::string::npos) << refused.output;
  }
}

}  // namespace
}  // namespace strictsend::test
