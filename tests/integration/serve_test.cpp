// SPDX-License-Identifier: Apache-2.0
// The program as its users meet it: `strictsend serve` on a real interface, with the kernel's TCP,
// curl and wget at the other end of the cable. Over AF_XDP in both packet forms, and over DPDK.
#include <csignal>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "nic/dpdk/nic_config.h"
#include "tests/integration/serve_fixture.hpp"

namespace strictsend::test {
namespace {

std::vector<const char*> ports() {
  std::vector<const char*> ports = {"fragments", "linear"};
  if (STRICTSEND_HAVE_DPDK) ports.insert(ports.end(), {"dpdk_tap", "dpdk_af_packet"});
  return ports;
}
INSTANTIATE_TEST_SUITE_P(Ports, Serve, ::testing::ValuesIn(ports()),
                         [](const auto& port) { return std::string(port.param); });

/// AF_XDP, whose interface is the test's to take away.
class ServeLosingItsDevice : public Serve {
 protected:
  void remove_interface() {
    const CommandResult removed =
        run_command({"ip", "link", "delete", network_->near().interface_name});
    ASSERT_EQ(removed.exit_code, 0) << removed.output;
  }
  /// It ends by itself, says why, and everything has come back.
  void expect_end() {
    const auto result = server_->wait();
    ASSERT_TRUE(result) << "still running";
    EXPECT_EQ(result->exit_code, 1) << result->output;
    for (const std::string& text :
         {"strictsend serve: sending over af_xdp:" + network_->near().interface_name +
              " failed: No such device (ENODEV): it was removed; all connections were reset. Start "
              "again",
          std::string("frames left pinned      0"), std::string("snapshots left          0")})
      EXPECT_NE(result->output.find(text), std::string::npos) << text << "\n" << result->output;
  }
};
INSTANTIATE_TEST_SUITE_P(Ports, ServeLosingItsDevice, ::testing::Values("fragments", "linear"),
                         [](const auto& port) { return std::string(port.param); });

TEST_P(ServeLosingItsDevice, ends_where_it_has_nothing_to_do) {
  make_file("file", 100'000);
  EXPECT_EQ(difference("file"), "");
  remove_interface();
  expect_end();
}

TEST_P(ServeLosingItsDevice, ends_in_the_middle_of_a_download) {
  make_file("file", 60'000'000);
  const std::string copy = root_.path("copy");
  auto client = network_->spawn_in_namespace(
      {"curl", "-sS", "--max-time", "90", "--limit-rate", "20M", "-o", copy, url("file")});
  ASSERT_TRUE(client) << client.error().message();
  const CommandResult begun = at_peer("until [ -s " + copy + " ]; do :; done");
  ASSERT_EQ(begun.exit_code, 0) << begun.output;
  remove_interface();
  expect_end();
  client->signal(SIGKILL);
}

TEST_P(Serve, curl_gets_files_of_every_size_byte_for_byte) {
  for (const unsigned size : {0U, 1U, 1447U, 1448U, 4095U, 4096U, 4097U, 65'536U, 10'000'000U}) {
    const std::string name = "f" + std::to_string(size);
    make_file(name, size);
    EXPECT_EQ(difference(name), "");
  }
  stop();
}

TEST_P(Serve, wget_gets_a_file_byte_for_byte) {
  make_file("file", 3'000'000);
  const CommandResult result =
      at_peer("wget -q -O - " + url("file") + " | cmp - " + root_.path("file"));
  EXPECT_EQ(result.exit_code, 0) << result.output;
  stop();
}

TEST_P(Serve, a_gibibyte_arrives_byte_for_byte_through_a_cache_of_an_eighth) {
  make_numbered_file("large", std::size_t{1} << 30);
  EXPECT_EQ(difference("large"), "");
  stop();
}

TEST_P(Serve, several_downloads_of_files_larger_than_the_cache_share_it) {
  make_numbered_file("a", 100'000'000);
  make_numbered_file("b", 100'000'000);
  stop();
  start("16M");
  const CommandResult result =
      at_peer("printf '%s\\n' a b a b a b | xargs -P 6 -I{} sh -c 'curl -sSf --max-time 90 " +
              url("{}") + " | cmp - " + root_.path("{}") + "'");
  EXPECT_EQ(result.exit_code, 0) << result.output;
  stop();
}

class ServeChangedInPlace : public Serve {
 protected:
  /// `change` is a shell command that changes the file "large" as another process.
  void expect_cut_off(const std::string& change);
};
INSTANTIATE_TEST_SUITE_P(Ports, ServeChangedInPlace,
                         ::testing::Values("fragments", "dpdk_af_packet"),
                         [](const auto& port) { return std::string(port.param); });

TEST_P(ServeChangedInPlace, under_a_download_is_cut_off_and_never_mixed) {
  expect_cut_off("dd if=/dev/zero of=large bs=1M count=95 conv=notrunc");
}

TEST_P(ServeChangedInPlace, under_a_download_is_cut_off_though_its_times_were_set_back) {
  expect_cut_off("dd if=/dev/zero of=large bs=1M count=95 conv=notrunc && touch -r old large");
}

void ServeChangedInPlace::expect_cut_off(const std::string& change) {
  make_numbered_file("large", 100'000'000);
  run_command({"cp", "-p", root_.path("large"), root_.path("old")});
  stop();
  start("16M");
  const std::string copy = root_.path("copy");
  auto client = network_->spawn_in_namespace(
      {"curl", "-sS", "--max-time", "90", "--limit-rate", "20M", "-o", copy, url("large")});
  ASSERT_TRUE(client) << client.error().message();
  const CommandResult begun = at_peer("until [ -s " + copy + " ]; do sleep 0.01; done");
  ASSERT_EQ(begun.exit_code, 0) << begun.output;
  const CommandResult changed = run_command({"sh", "-c", "cd " + root_.path() + " && " + change});
  ASSERT_EQ(changed.exit_code, 0) << changed.output;
  const auto result = client->wait();
  ASSERT_TRUE(result);
  EXPECT_NE(result->exit_code, 0) << "all of the old version cannot have been there";
  const CommandResult prefix =
      at_peer("cmp -n $(stat -c %s " + copy + ") " + copy + " " + root_.path("old"));
  EXPECT_EQ(prefix.exit_code, 0) << prefix.output;
  EXPECT_EQ(difference("large"), "") << "the new version";
  stop();
}

TEST_P(Serve, many_downloads_at_once_are_all_right) {
  make_file("file", 2'000'000);
  for (const int parallel : {1, 4, 64}) {
    const std::string count = std::to_string(parallel);
    const CommandResult result =
        at_peer("seq " + count + " | xargs -P " + count + " -I{} sh -c 'curl -sSf --max-time 90 " +
                url("file") + " | cmp - " + root_.path("file") + "'");
    EXPECT_EQ(result.exit_code, 0) << result.output;
  }
  stop();
}

TEST_P(Serve, one_connection_serves_several_requests) {
  make_file("a", 10'000);
  make_file("b", 20'000);
  const CommandResult result = at_peer(
      "curl -sSf -w '%{num_connects}\\n' -o /dev/null -o /dev/null " + url("a") + " " + url("b"));
  EXPECT_EQ(result.output, "1\n0\n") << "the second request opens no connection";
  stop();
}

TEST_P(Serve, a_lossy_path_costs_time_and_no_byte) {
  make_file("file", 5'000'000);
  const std::string peer = peer_interface();
  // tc mounts a bpffs on /sys/fs/bpf and leaves it there: not on this machine's.
  const CommandResult lossy =
      at_peer("tc qdisc add dev " + peer + " clsact && unshare --mount tc filter add dev " + peer +
              " ingress bpf direct-action obj " LOSSY_OBJECT " sec tc");
  ASSERT_EQ(lossy.exit_code, 0) << lossy.output;
  EXPECT_EQ(difference("file"), "");
  EXPECT_EQ(stop().find(" 0 of them again"), std::string::npos) << "segments were retransmitted";
}

TEST_P(Serve, a_link_that_goes_down_and_comes_up_again_resumes_the_download) {
  make_file("file", 60'000'000);
  const std::string copy = root_.path("copy");
  auto client =
      network_->spawn_in_namespace({"curl", "-sSf", "--max-time", "90", "-o", copy, url("file")});
  ASSERT_TRUE(client) << client.error().message();
  const std::string peer = peer_interface();
  const CommandResult flapped = at_peer("until [ $(stat -c %s " + copy +
                                        " 2>/dev/null || echo 0) -gt 1000000 ]; do :; done; "
                                        "ip link set " +
                                        peer + " down && ip link set " + peer + " up");
  ASSERT_EQ(flapped.exit_code, 0) << flapped.output;
  const auto result = client->wait(seconds(100));
  ASSERT_TRUE(result) << "the download hangs";
  EXPECT_EQ(result->exit_code, 0) << result->output;
  EXPECT_EQ(run_command({"cmp", copy, root_.path("file")}).exit_code, 0);
  stop();
}

TEST_P(Serve, a_peer_that_stops_reading_harms_nobody_else) {
  make_file("file", 20'000'000);
  auto reader =
      network_->spawn_in_namespace({"python3", "-c",
                                    "import socket,sys\n"
                                    "s=socket.create_connection((sys.argv[1],80))\n"
                                    "s.sendall(b'GET /file HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n')\n"
                                    "s.recv(1)\n"
                                    "print('stopped', flush=True)\n"
                                    "sys.stdin.read() or __import__('signal').pause()\n",
                                    network_->near().address});
  ASSERT_TRUE(reader) << reader.error().message();
  ASSERT_TRUE(reader->wait_for_output("stopped"));
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(difference("file"), "");
  const std::string summary = stop();
  EXPECT_NE(summary.find("3 answered, 0 refused, 1 cut off"), std::string::npos) << summary;
}

TEST_P(Serve, a_peer_that_disappears_harms_nobody_else) {
  make_file("file", 20'000'000);
  auto client = network_->spawn_in_namespace(
      {"curl", "-sS", "--limit-rate", "100K", "-o", root_.path("copy"), url("file")});
  ASSERT_TRUE(client) << client.error().message();
  const CommandResult begun = at_peer("until [ -s " + root_.path("copy") + " ]; do :; done");
  ASSERT_EQ(begun.exit_code, 0);
  client->signal(SIGKILL);
  EXPECT_EQ(difference("file"), "");
  stop();
}

TEST_P(Serve, a_killed_server_leaves_an_interface_that_the_next_one_can_take) {
  make_file("file", 1'000'000);
  ASSERT_EQ(difference("file"), "");
  server_->signal(SIGKILL);
  ASSERT_TRUE(server_->wait());
  start();
  EXPECT_EQ(difference("file"), "");
  stop();
}

TEST_P(Serve, ping_is_answered_whoever_owns_the_interface) {
  const CommandResult ping = at_peer("ping -c 1 -W 5 " + network_->near().address);
  EXPECT_EQ(ping.exit_code, 0) << ping.output;
  stop();
}

TEST_P(Serve, another_process_that_changes_a_file_is_seen_by_the_next_download) {
  make_file("file", 100'000);
  ASSERT_EQ(difference("file"), "");
  put_file(root_.path("file"), random_bytes(50'000, 99));
  EXPECT_EQ(difference("file"), "");
  stop();
}

TEST_P(Serve, errors_have_their_status_and_nothing_escapes_the_root) {
  make_file("file", 10);
  ASSERT_EQ(run_command({"ln", "-s", "/etc/passwd", root_.path("out")}).exit_code, 0);
  const auto status = [this](const std::string& arguments) {
    return at_peer("curl -s -o /dev/null -w '%{http_code}' --path-as-is " + arguments).output;
  };
  EXPECT_EQ(status(url("none")), "404");
  EXPECT_EQ(status(url("out")), "403");
  EXPECT_EQ(status(url("../../etc/passwd")), "400");
  EXPECT_EQ(status("-X POST " + url("file")), "405");
  EXPECT_EQ(status("-H 'X: '$(head -c 40000 /dev/zero | tr '\\0' a) " + url("file")), "431");
  EXPECT_EQ(status("-I " + url("file")), "200");
  stop();
}

TEST_P(Serve, curl_resumes_a_download_and_gets_ranges_byte_for_byte) {
  make_file("file", 3'000'000);
  const std::string copy = root_.path("copy");
  const CommandResult resumed =
      at_peer("head -c 1234567 " + root_.path("file") + " > " + copy + " && curl -sSf -C - -o " +
              copy + " " + url("file") + " && cmp " + copy + " " + root_.path("file"));
  EXPECT_EQ(resumed.exit_code, 0) << resumed.output;
  const CommandResult parts =
      at_peer("curl -sSf -r 0-4095,8192-12000,2999990- " + url("file") + " | wc -c");
  EXPECT_EQ(parts.exit_code, 0);
  EXPECT_GT(std::stoul(parts.output), 4096U + 3809U + 10U);
  stop();
}

TEST_P(Serve, what_curl_stores_is_what_it_gets_and_each_request_is_in_the_log) {
  stop();
  // A packet socket has no room for what the kernel would hand over uncut; a wire would have cut
  // it.
  if (over("dpdk_af_packet")) {
    const CommandResult cut = at_peer("ethtool -K " + peer_interface() + " tso off gso off");
    ASSERT_EQ(cut.exit_code, 0) << cut.output;
  }
  const std::string log = root_.path("access.log");
  start("128M", {"--allow-put", "--access-log", log});
  put_file(root_.path("source"), random_bytes(2'000'000, 7));
  const std::string upload = "curl -sS -o /dev/null -w '%{http_code} ' -T " + root_.path("source");
  EXPECT_EQ(at_peer(upload + " " + url("stored")).output, "201 ");
  EXPECT_EQ(at_peer(upload + " -H 'Transfer-Encoding: chunked' " + url("stored")).output, "204 ");
  EXPECT_EQ(difference("stored"), "");
  EXPECT_EQ(run_command({"cmp", root_.path("source"), root_.path("stored")}).exit_code, 0);
  // The line comes with the last acknowledgement, which curl does not wait for.
  const CommandResult rotated = at_peer(
      "i=0; until [ \"$(grep -c '\"PUT /stored HTTP/1.1\" 20' " + log +
      ")\" = 2 ] && grep -q '\"GET /stored HTTP/1.1\" 200 2000000' " + log +
      "; do i=$((i+1)); [ $i -lt 300 ] || exit 1; sleep 0.1; done; mv " + log + " " + log + ".1");
  EXPECT_EQ(rotated.exit_code, 0) << run_command({"cat", log}).output;
  server_->signal(SIGUSR1);
  const CommandResult made = at_peer(
      "i=0; until [ -e " + log + " ]; do i=$((i+1)); [ $i -lt 300 ] || exit 1; sleep 0.1; done");
  EXPECT_EQ(made.exit_code, 0);
  EXPECT_EQ(at_peer("curl -s -o /dev/null -w '%{http_code}' " + url("none")).output, "404");
  stop();
  EXPECT_EQ(run_command({"grep", "-c", "\"GET /none HTTP/1.1\" 404 ", log}).output, "1\n");
}

TEST_P(Serve, the_wire_is_clean_in_an_experts_eyes) {
  server_->signal(SIGTERM);
  ASSERT_TRUE(server_->wait());
  const std::string capture = root_.path("capture.pcap");
  start("128M", {"--pcap", capture});
  make_file("file", 3'000'000);
  ASSERT_EQ(difference("file"), "");
  stop();
  const CommandResult expert = run_command(
      {"tshark", "-r", capture, "-o", "tcp.check_checksum:TRUE", "-Y",
       // For one sum in 65,536 devices write 0xffff in place of 0, as UDP wants and TCP allows.
       // And a peer that is slow on a busy machine lets its window fill up.
       "_ws.expert.severity >= 6291456 && !(tcp.dstport == 80 && tcp.checksum.status == 0) && "
       "!(tcp.checksum == 0xffff) && !tcp.analysis.window_full",
       "-T", "fields", "-e", "frame.number", "-e", "_ws.expert.message"});
  EXPECT_EQ(expert.exit_code, 0) << expert.output;
  EXPECT_EQ(expert.output.find("frame"), std::string::npos);
  // "Running as root" is the only thing that tshark may have to say.
  std::string rest = expert.output;
  if (rest.starts_with("Running as user")) rest = rest.substr(rest.find('\n') + 1);
  EXPECT_EQ(rest, "");
}

}  // namespace
}  // namespace strictsend::test
