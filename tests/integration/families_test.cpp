// SPDX-License-Identifier: Apache-2.0
// `strictsend serve` over IPv6 and in a VLAN, to real curl behind a real kernel.
#include <csignal>
#include <string>
#include <vector>

#include <fmt/format.h>
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

/// Both ends have IPv6 addresses too, of a network that is this pair's own.
class ServeIpv6 : public Serve {
 protected:
  void prepare_network() override {
    const auto& ipv4 = network_->near().ipv4;
    prefix_ = "fd57:" + std::to_string(ipv4[2]) + ":" + std::to_string(ipv4[3]) + "::";
    address6_ = prefix_ + "1";
    if (!over("dpdk_tap") && !over("dpdk_af_packet"))
      must(run_command({"ip", "-6", "addr", "add", address6_ + "/64", "dev",
                        network_->near().interface_name, "nodad"}));
    if (!over("dpdk_tap")) give_peer_its_address();
  }
  void give_peer_its_address() const {
    must(at_peer("ip -6 addr add " + prefix_ + "2/64 dev " + peer_interface() + " nodad"));
  }
  static void must(const CommandResult& result) { ASSERT_EQ(result.exit_code, 0) << result.output; }
  void SetUp() override {
    Serve::SetUp();
    if (!IsSkipped() && over("dpdk_tap")) give_peer_its_address();
  }

  [[nodiscard]] std::string url6(const std::string& name) const {
    return "'http://[" + address6_ + "]/" + name + "'";
  }
  [[nodiscard]] CommandResult compare6(const std::string& name) const {
    return at_peer("curl -6 -sSf --max-time 90 " + url6(name) + " | cmp - " + root_.path(name));
  }

  std::string prefix_;
};
INSTANTIATE_TEST_SUITE_P(Ports, ServeIpv6, ::testing::ValuesIn(ports()),
                         [](const auto& port) { return std::string(port.param); });

TEST_P(ServeIpv6, curl_gets_files_over_either_family) {
  EXPECT_NE(server_->output().find("serving http://[" + address6_ + "]:80/"), std::string::npos)
      << server_->output();
  for (const unsigned size : {0U, 1U, 1428U, 1440U, 65'536U, 10'000'000U}) {
    const std::string name = "f" + std::to_string(size);
    make_file(name, size);
    EXPECT_EQ(compare6(name).exit_code, 0) << compare6(name).output;
    EXPECT_EQ(difference(name), "");
  }
  stop();
}

TEST_P(ServeIpv6, ping_and_neighbour_discovery_are_answered) {
  const CommandResult pinged = at_peer("ping -6 -n -c 3 -i 0.2 -W 5 " + address6_);
  EXPECT_EQ(pinged.exit_code, 0) << pinged.output;
  const CommandResult neighbour = at_peer("ip -6 neigh show " + address6_);
  EXPECT_NE(neighbour.output.find("lladdr"), std::string::npos) << neighbour.output;
  stop();
}

TEST_P(ServeIpv6, tshark_finds_every_checksum_right) {
  const std::string capture = root_.path("capture.pcap");
  stop();
  start("128M", {"--pcap", capture});
  if (over("dpdk_tap")) give_peer_its_address();
  make_file("file", 1'000'000);
  ASSERT_EQ(compare6("file").exit_code, 0);
  stop();
  const CommandResult wrong =
      run_command({"tshark", "-r", capture, "-o", "tcp.check_checksum:TRUE", "-Y",
                   "ipv6.src == " + address6_ +
                       " && tcp && tcp.checksum.status != Good && !(tcp.checksum == 0xffff)"});
  EXPECT_EQ(wrong.output.find("TCP"), std::string::npos) << wrong.output;
  const CommandResult all =
      run_command({"tshark", "-r", capture, "-Y", "ipv6.src == " + address6_ + " && tcp.len > 0"});
  EXPECT_NE(all.output.find("TCP"), std::string::npos) << all.output;
}

/// In VLAN 5, where the peer's end is put by tc(8); there is no VLAN device, so that nobody answers
/// ARP at the near end.
class ServeVlan : public ServeIpv6 {
 protected:
  void prepare_network() override {
    ServeIpv6::prepare_network();
    const std::string peer = network_->peer().interface_name;
    std::string mac;
    for (const std::uint8_t byte : network_->near().mac)
      mac += (mac.empty() ? "" : ":") + fmt::format("{:02x}", byte);
    must(at_peer("ethtool -K " + peer + " txvlan off tx off && ip neigh add " +
                 network_->near().address + " lladdr " + mac + " dev " + peer +
                 " && ip neigh add " + address6_ + " lladdr " + mac + " dev " + peer));
    must(at_peer("tc qdisc add dev " + peer + " clsact && unshare --mount tc filter add dev " +
                 peer +
                 " egress bpf direct-action obj " VLAN_OBJECT
                 " sec tc/tag && unshare --mount tc filter add dev " +
                 peer + " ingress bpf direct-action obj " VLAN_OBJECT " sec tc/untag"));
    more_ = {"--vlan", "5", "--address", network_->near().address + "," + address6_};
  }
};
INSTANTIATE_TEST_SUITE_P(Ports, ServeVlan, ::testing::Values("fragments", "linear"),
                         [](const auto& port) { return std::string(port.param); });

TEST_P(ServeVlan, curl_gets_files_over_either_family) {
  for (const unsigned size : {1U, 1448U, 10'000'000U}) {
    const std::string name = "f" + std::to_string(size);
    make_file(name, size);
    EXPECT_EQ(difference(name), "");
    EXPECT_EQ(compare6(name).exit_code, 0) << compare6(name).output;
  }
  stop();
}

TEST_P(ServeVlan, a_tag_that_travels_beside_the_frame_is_not_seen) {
  make_file("file", 1000);
  const std::string peer = network_->peer().interface_name;
  must(at_peer("ethtool -K " + peer + " txvlan on"));
  const CommandResult unseen = at_peer("curl -sSf --max-time 2 " + url("file"));
  EXPECT_EQ(unseen.exit_code, 28) << "timed out: " << unseen.output;
  must(at_peer("ethtool -K " + peer + " txvlan off"));
  EXPECT_EQ(difference("file"), "");
  stop();
}

}  // namespace
}  // namespace strictsend::test
