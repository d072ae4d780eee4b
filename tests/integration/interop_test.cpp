// SPDX-License-Identifier: Apache-2.0
// Receivers that negotiate, or take, something else than Linux does by default; and other programs.
#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/integration/interop_fixture.hpp"

namespace strictsend::test {
namespace {

class InteropReceiver : public Interop {
 protected:
  /// Sets the client's kernel up, downloads, and looks at what was negotiated and at what an expert
  /// says about it all.
  void download_with(const std::string& sysctls, const std::string& syn_ack) {
    must_at_client("sysctl -q -w " + sysctls);
    ASSERT_NO_FATAL_FAILURE(serve());
    make_file("file", 1'000'000);
    EXPECT_EQ(curl_difference("file"), "");
    stop();
    EXPECT_EQ(negotiated(), std::vector<std::string>{syn_ack});
    EXPECT_EQ(experts_warnings(), std::vector<std::string>{});
  }
};
INSTANTIATE_TEST_SUITE_P(Ports, InteropReceiver, ::testing::Values("fragments"),
                         [](const auto& port) { return std::string(port.param); });

TEST_P(InteropReceiver, by_default_gets_every_option) {
  download_with("net.ipv4.tcp_ecn=2", "2,4,8,1,3;0");
}

TEST_P(InteropReceiver, without_timestamps_gets_none_RFC7323_3_2) {
  download_with("net.ipv4.tcp_timestamps=0", "2,1,1,4,1,3;0");
}

TEST_P(InteropReceiver, without_sack_gets_no_permission_RFC2018_2) {
  download_with("net.ipv4.tcp_sack=0", "2,1,1,8,1,3;0");
}

TEST_P(InteropReceiver, without_timestamps_and_sack_gets_the_file_as_well) {
  download_with("net.ipv4.tcp_timestamps=0 net.ipv4.tcp_sack=0", "2,1,3;0");
}

TEST_P(InteropReceiver, without_window_scaling_gets_the_file_as_well_RFC7323_2_2) {
  download_with("net.ipv4.tcp_window_scaling=0", "2,4,8;0");
}

TEST_P(InteropReceiver, that_asks_for_ecn_gets_it_RFC3168_6_1_1) {
  download_with("net.ipv4.tcp_ecn=1", "2,4,8,1,3;1");
  EXPECT_GT(packets("tcp.srcport == 80 && tcp.len > 0 && ip.dsfield.ecn == 2", "ip.len").size(),
            600U);
  EXPECT_EQ(packets("tcp.srcport == 80 && tcp.len == 0 && ip.dsfield.ecn != 0", "ip.len").size(),
            0U)
      << "RFC 3168 §6.1.4: pure acknowledgements are not ECN-capable";
}

TEST_P(InteropReceiver, with_another_congestion_control_gets_long_requests_answered) {
  ASSERT_NO_FATAL_FAILURE(serve());
  make_file("file", 300'000);
  const std::string available =
      at_client("cat /proc/sys/net/ipv4/tcp_available_congestion_control").output;
  std::string missing;
  for (const std::string control : {"cubic", "bbr"}) {
    if (available.find(control) == std::string::npos)
      missing += " " + control;
    else
      EXPECT_EQ(odd_difference("file", "--request 7900 --congestion " + control), "");
  }
  stop();
  if (!missing.empty()) GTEST_SKIP() << "this kernel lacks" << missing << ": modprobe tcp_bbr";
}

TEST_P(InteropReceiver, with_small_buffers_gets_all_through_small_windows) {
  must_at_client("sysctl -q -w net.ipv4.tcp_rmem='2304 4096 4096'");
  ASSERT_NO_FATAL_FAILURE(serve());
  make_file("file", 300'000);
  EXPECT_EQ(curl_difference("file"), "");
  stop();
}

TEST_P(InteropReceiver, that_closes_its_window_is_probed_until_it_opens_RFC9293_3_8_6_1) {
  ASSERT_NO_FATAL_FAILURE(serve());
  make_file("file", 10'000);
  EXPECT_EQ(odd_difference("file", "--buffer 4096 --read 4000 --pause 400"), "");
  stop();
  EXPECT_GT(packets("tcp.analysis.zero_window_probe", "frame.number").size(), 0U);
}

TEST_P(InteropReceiver, that_reads_byte_by_byte_is_not_sent_byte_by_byte_RFC1122_4_2_3_4) {
  ASSERT_NO_FATAL_FAILURE(serve());
  make_file("file", 10'000);
  EXPECT_EQ(odd_difference("file", "--buffer 2048 --read 1"), "");
  stop();
  const std::size_t packets_sent = sent_ip_bytes().size();
  EXPECT_LE(packets_sent, 30U) << "its window opens by half of its 2 KiB, and that is what it gets";
}

// ---- sizes --------------------------------------------------------------------------------------

class InteropSizes : public Interop {
 protected:
  void set_mtu(std::uint32_t bytes) const {
    const std::string set = "ip link set mtu " + std::to_string(bytes) + " dev ";
    must_at_client(set + network_->peer().interface_name);
    const CommandResult done = run_command({"sh", "-c", set + network_->near().interface_name});
    ASSERT_EQ(done.exit_code, 0) << done.output;
  }
};
INSTANTIATE_TEST_SUITE_P(Ports, InteropSizes, ::testing::Values("fragments", "linear"),
                         [](const auto& port) { return std::string(port.param); });

TEST_P(InteropSizes, packets_fill_a_link_of_any_mtu_up_to_a_page) {
  make_file("file", 1'000'000);
  for (const std::uint32_t mtu_bytes : {576U, 1280U, 9000U}) {
    ASSERT_NO_FATAL_FAILURE(set_mtu(mtu_bytes));
    ASSERT_NO_FATAL_FAILURE(serve());
    EXPECT_EQ(curl_difference("file"), "") << mtu_bytes;
    stop();
    const std::vector<std::uint32_t> sent = sent_ip_bytes();
    ASSERT_FALSE(sent.empty());
    const std::uint32_t largest = *std::max_element(sent.begin(), sent.end());
    // What the client sends must fit a receive buffer, a page without the kernel's headroom; what
    // is sent to it is as large as the MTU.
    EXPECT_LE(largest, mtu_bytes);
    // A linear packet stands in one page.
    const bool linear = std::string(GetParam()) == "linear";
    EXPECT_GE(largest, std::min(mtu_bytes, linear ? 4'000U : mtu_bytes) - 100);
  }
}

TEST_P(InteropSizes, segments_are_as_small_as_the_client_says_RFC9293_3_7_1) {
  ASSERT_NO_FATAL_FAILURE(serve());
  make_file("file", 30'000);
  for (const char* segment : {"88", "216", "536"})
    EXPECT_EQ(odd_difference("file", std::string("--segment ") + segment), "");
  must_at_client("ip route add " + network_->near().address + "/32 dev " +
                 network_->peer().interface_name + " advmss 400");
  EXPECT_EQ(curl_difference("file"), "");
  stop();
  // Of each connection the largest: MSS + 40, as the options are taken off the MSS (RFC 6691).
  std::map<std::string, std::uint32_t> largest;
  for (const std::string& line :
       packets("tcp.srcport == 80 && tcp.len > 0", "tcp.stream -e ip.len")) {
    const std::size_t at = line.find(';');
    std::uint32_t& most = largest[line.substr(0, at)];
    most = std::max(most, static_cast<std::uint32_t>(std::stoul(line.substr(at + 1))));
  }
  EXPECT_EQ(largest, (std::map<std::string, std::uint32_t>{
                         {"0", 88 + 40}, {"1", 216 + 40}, {"2", 536 + 40}, {"3", 400 + 40}}));
}

// ---- programs -----------------------------------------------------------------------------------

class InteropProgram : public Interop {};
INSTANTIATE_TEST_SUITE_P(Ports, InteropProgram, ::testing::Values("fragments"),
                         [](const auto& port) { return std::string(port.param); });

TEST_P(InteropProgram, pythons_http_client_keeps_its_connection) {
  ASSERT_NO_FATAL_FAILURE(serve());
  make_file("file", 300'000);
  const CommandResult read = at_client(
      "python3 -c '\n"
      "import http.client, sys\n"
      "original = open(sys.argv[2], \"rb\").read()\n"
      "connection = http.client.HTTPConnection(sys.argv[1], timeout=20)\n"
      "for _ in range(5):\n"
      "    connection.request(\"GET\", \"/file\")\n"
      "    answer = connection.getresponse()\n"
      "    assert answer.status == 200 and answer.read() == original\n"
      "    assert connection.sock is not None\n"
      "' " +
      network_->near().address + " " + root_.path("file"));
  EXPECT_EQ(read.exit_code, 0) << read.output;
  stop();
}

TEST_P(InteropProgram, wrks_64_connections_get_small_files_and_no_other_ones) {
  ASSERT_NO_FATAL_FAILURE(serve());
  std::string names;
  for (const std::size_t bytes : {1U, 1'000U, 5'000U, 20'000U}) {
    const std::string name = "f" + std::to_string(bytes);
    make_file(name, bytes);
    names += " " + name;
  }
  const CommandResult run =
      at_client("wrk -t 1 -c 64 -d 2s --timeout 20s -s " + script("compare_bodies.lua") + " " +
                url("") + " -- " + root_.path() + names);
  EXPECT_EQ(run.exit_code, 0) << run.output;
  EXPECT_NE(run.output.find(", different 0, errors 0\n"), std::string::npos) << run.output;
  EXPECT_EQ(run.output.find("compared 0,"), std::string::npos) << run.output;
  const std::string summary = stop();
  EXPECT_NE(summary.find(" 0 refused"), std::string::npos) << summary;
}

/// Another TCP than Linux's, behind a bridge.
class InteropLwip : public Interop {
 protected:
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(Interop::SetUp());
    if (IsSkipped()) return;
    const CommandResult bridged = at_client("ip link add br0 type bridge");
    if (bridged.exit_code != 0) GTEST_SKIP() << "modprobe bridge: " << bridged.output;
    const std::string peer = network_->peer().interface_name;
    must_at_client("ip addr flush dev " + peer + " && ip tuntap add dev tap0 mode tap && " +
                   "ip link set " + peer +
                   " master br0 && ip link set tap0 master br0 up && ip link set br0 up");
  }
  [[nodiscard]] std::string lwip_difference(const std::string& name) const {
    return difference_of(name, LWIP_CLIENT " tap0 " + network_->peer().address +
                                   " 255.255.255.252 " + network_->near().address + " " + name);
  }
};
INSTANTIATE_TEST_SUITE_P(Ports, InteropLwip, ::testing::Values("fragments"),
                         [](const auto& port) { return std::string(port.param); });

TEST_P(InteropLwip, gets_a_file_over_a_clean_wire) {
  ASSERT_NO_FATAL_FAILURE(serve());
  make_file("file", 1'000'000);
  EXPECT_EQ(lwip_difference("file"), "");
  stop();
  EXPECT_EQ(negotiated(), std::vector<std::string>{"2,1,3;0"});
  EXPECT_EQ(experts_warnings(), std::vector<std::string>{});
}

TEST_P(InteropLwip, comes_back_with_port_and_number_of_a_connection_in_TIME_WAIT_RFC9293_3_10_7_4) {
  ASSERT_NO_FATAL_FAILURE(serve());
  // It starts anew each time, and knows of no clock.
  for (const std::size_t bytes : {1U, 1'460U, 100'000U}) {
    const std::string name = "f" + std::to_string(bytes);
    make_file(name, bytes);
    EXPECT_EQ(lwip_difference(name), "");
  }
  const std::string summary = stop();
  EXPECT_NE(summary.find("3 answered, 0 refused, 0 cut off"), std::string::npos) << summary;
  const std::vector<std::uint32_t> ports =
      numbers("tcp.flags.syn == 1 && tcp.flags.ack == 1", "tcp.dstport");
  ASSERT_EQ(ports.size(), 3U);
  EXPECT_EQ(std::count(ports.begin(), ports.end(), ports[0]), 3);
}

}  // namespace
}  // namespace strictsend::test
