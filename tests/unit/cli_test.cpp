// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "apps/cli/command.hpp"
#include "apps/cli/doctor_pointer.hpp"
#include "apps/cli/values.hpp"
#include "apps/serve/progress.hpp"
#include "apps/serve/serve_options.hpp"

namespace strictsend::serve {
namespace {

using namespace std::chrono_literals;
using cli::parse_address;
using cli::parse_duration;
using cli::parse_gateways;
using cli::parse_interface_addresses;
using cli::parse_nic;
using cli::parse_size;

TEST(Sizes, are_bytes_or_powers_of_1024) {
  EXPECT_EQ(parse_size("0").value(), 0U);
  EXPECT_EQ(parse_size("4096").value(), 4096U);
  EXPECT_EQ(parse_size("512K").value(), 512U << 10);
  EXPECT_EQ(parse_size("512M").value(), 512U << 20);
  EXPECT_EQ(parse_size("1G").value(), 1U << 30);
  EXPECT_EQ(parse_size("2TiB").value(), std::uint64_t{2} << 40);
}

TEST(Sizes, anything_else_is_explained) {
  for (const char* text : {"", "M", "1X", "-1", "+1", "1.5G", "1 G", "0x10", "1GG",
                           "99999999999999999999", "18446744073709551615K"}) {
    const auto size = parse_size(text);
    ASSERT_FALSE(size) << text;
    EXPECT_NE(size.error().find("512K, 64M, 1G"), std::string::npos);
  }
}

TEST(Sizes, are_written_with_three_digits) {
  EXPECT_EQ(cli::format_size(0), "0 B");
  EXPECT_EQ(cli::format_size(999), "999 B");
  EXPECT_EQ(cli::format_size(1024), "1.00 KiB");
  EXPECT_EQ(cli::format_size(15.5 * 1024), "15.5 KiB");
  EXPECT_EQ(cli::format_size(256.0 * 1024 * 1024), "256 MiB");
}

TEST(Durations, have_units_and_are_seconds_without) {
  EXPECT_EQ(parse_duration("500ms").value(), 500ms);
  EXPECT_EQ(parse_duration("30").value(), 30s);
  EXPECT_EQ(parse_duration("2m").value(), 2min);
  EXPECT_EQ(parse_duration("1h").value(), 1h);
  for (const char* text : {"", "s", "1d", "-1s", "1.5s", "200h"})
    EXPECT_FALSE(parse_duration(text)) << text;
}

TEST(Addresses, are_those_that_an_interface_can_have) {
  EXPECT_EQ(parse_address("192.0.2.1").value(), (Ipv4Address{192, 0, 2, 1}));
  EXPECT_EQ(parse_address("2001:DB8:0::1").value(), parse_ip_address("2001:db8::1"));
  for (const char* text :
       {"", "192.0.2", "192.0.2.256", "192.0.2.1/24", "localhost", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "010.0.0.1", "::", "ff02::1", "[::1]", "fe80::1%eth0", "1::2::3"})
    EXPECT_FALSE(parse_address(text)) << text;
}

TEST(Addresses, of_interfaces_may_say_their_network) {
  const auto plain = parse_interface_addresses("192.0.2.1");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->v4, (Ipv4Address{192, 0, 2, 1}));
  EXPECT_FALSE(plain->prefix_bits);
  EXPECT_FALSE(plain->v6);
  for (const unsigned bits : {1U, 24U, 31U}) {
    const auto address = parse_interface_addresses("10.0.0.7/" + std::to_string(bits));
    ASSERT_TRUE(address) << address.error();
    EXPECT_EQ(address->v4, (Ipv4Address{10, 0, 0, 7}));
    EXPECT_EQ(address->prefix_bits, bits);
  }
  for (const char* text :
       {"", "/24", "10.0.0.7/", "10.0.0.7/0", "10.0.0.7/32", "10.0.0.7/-1", "10.0.0.7/24/8",
        "10.0.0.7/255.255.255.0", "10.0.0.7 /24", "0.0.0.0/8", "::1/0", "2001:db8::1/128",
        "10.0.0.7,", ",10.0.0.7", "10.0.0.7,10.0.0.8", "2001:db8::1,2001:db8::2/64"})
    EXPECT_FALSE(parse_interface_addresses(text)) << text;
  EXPECT_NE(parse_interface_addresses("10.0.0.7/x").error().find("192.0.2.1/24"),
            std::string::npos);
}

TEST(Addresses, of_both_families_stand_beside_each_other) {
  const auto both = parse_interface_addresses("2001:db8::7/56,10.0.0.7/8");
  ASSERT_TRUE(both) << both.error();
  EXPECT_EQ(both->v4, (Ipv4Address{10, 0, 0, 7}));
  EXPECT_EQ(both->prefix_bits, 8);
  EXPECT_EQ(IpAddress(both->v6.value()), parse_ip_address("2001:db8::7"));
  EXPECT_EQ(both->prefix6_bits, 56);
  const auto gateways = parse_gateways("10.0.0.1,fe80::1");
  ASSERT_TRUE(gateways) << gateways.error();
  EXPECT_EQ(gateways->v4, (Ipv4Address{10, 0, 0, 1}));
  EXPECT_EQ(IpAddress(gateways->v6.value()), parse_ip_address("fe80::1"));
  EXPECT_FALSE(parse_gateways("fe80::1/64"));
}

TEST(Nics, name_a_kind_and_an_interface) {
  EXPECT_EQ(parse_nic("af_xdp:eth0").value(), "af_xdp:eth0");
  EXPECT_EQ(parse_nic("discard:").value(), "discard:");
  EXPECT_EQ(parse_nic("dpdk:0000:01:00.0").value(), "dpdk:0000:01:00.0");
  for (const char* text : {"", "eth0", "af_xdp", "af_xdp:", "af_xdp:a b", "af_xdp:a/b",
                           "af_xdp:sixteen-letters-", "dpdk:", "af_xdp:.."})
    EXPECT_FALSE(parse_nic(text)) << text;
}

tl::expected<ServeOptions, std::string> parse(const std::vector<std::string>& more) {
  std::vector<std::string> all{"--nic", "af_xdp:eth0", "--root", "/srv"};
  all.insert(all.end(), more.begin(), more.end());
  return parse_serve_options(all);
}

TEST(ServeOptions, have_defaults_that_match_the_manual_page) {
  const auto options = parse({});
  ASSERT_TRUE(options) << options.error();
  EXPECT_EQ(options->engine.nic, "af_xdp:eth0");
  EXPECT_EQ(options->server.root, "/srv");
  EXPECT_EQ(options->server.port, 80);
  EXPECT_FALSE(options->engine.address);
  EXPECT_EQ(options->engine.prefix_bits, 24);
  EXPECT_FALSE(options->engine.gateway);
  EXPECT_EQ(options->engine.cache_bytes, 1U << 30);
  EXPECT_EQ(options->engine.tx_form, TxForm::automatic);
  EXPECT_EQ(options->engine.queues, 0U) << "all that the NIC has";
  EXPECT_TRUE(options->engine.checksum_offload);
  EXPECT_TRUE(options->engine.segmentation_offload);
  EXPECT_EQ(options->engine.max_connections, 4096U);
  EXPECT_EQ(options->server.limits.idle_timeout, 60s);
  EXPECT_EQ(options->server.limits.request_timeout, 10s);
  EXPECT_EQ(options->server.drain_timeout, 10s);
  EXPECT_EQ(options->log_level, "warn");
  EXPECT_EQ(options->stats_socket_path, "");
  EXPECT_FALSE(options->metrics);
}

TEST(ServeOptions, are_all_understood) {
  const auto options = parse({"--port=8080",
                              "--address",
                              "192.0.2.7/26,2001:db8::7/48",
                              "--gateway",
                              "192.0.2.1,fe80::1",
                              "--vlan",
                              "5",
                              "--queues",
                              "4",
                              "--cache",
                              "512M",
                              "--preserved-limit",
                              "64M",
                              "--preserved-per-connection",
                              "8M",
                              "--tx",
                              "linear",
                              "--max-connections",
                              "10000",
                              "--idle-timeout",
                              "5s",
                              "--request-timeout",
                              "2s",
                              "--drain-timeout",
                              "0",
                              "--log-level",
                              "info",
                              "--pcap",
                              "out.pcap",
                              "--stats-socket",
                              "/run/s.sock",
                              "--metrics",
                              "[::1]:9100"});
  ASSERT_TRUE(options) << options.error();
  EXPECT_EQ(options->server.port, 8080);
  EXPECT_EQ(options->engine.address, (Ipv4Address{192, 0, 2, 7}));
  EXPECT_EQ(options->engine.prefix_bits, 26);
  EXPECT_EQ(options->engine.gateway, (Ipv4Address{192, 0, 2, 1}));
  EXPECT_EQ(IpAddress(options->engine.address6.value()), parse_ip_address("2001:db8::7"));
  EXPECT_EQ(options->engine.prefix6_bits, 48);
  EXPECT_EQ(IpAddress(options->engine.gateway6.value()), parse_ip_address("fe80::1"));
  EXPECT_EQ(options->engine.vlan_id, 5);
  EXPECT_EQ(options->engine.queues, 4U);
  EXPECT_EQ(options->engine.cache_bytes, 512U << 20);
  EXPECT_EQ(options->engine.preserved_bytes_max, 64U << 20);
  EXPECT_EQ(options->engine.preserved_bytes_per_connection_max, 8U << 20);
  EXPECT_EQ(options->engine.tx_form, TxForm::linear);
  EXPECT_EQ(options->engine.max_connections, 10'000U);
  EXPECT_EQ(options->engine.max_splices, 40'000U);
  EXPECT_EQ(options->engine.idle_timeout_ms, 10'000U);
  EXPECT_EQ(options->server.limits.idle_timeout, 5s);
  EXPECT_EQ(options->server.limits.request_timeout, 2s);
  EXPECT_EQ(options->server.drain_timeout, 0s);
  EXPECT_EQ(options->log_level, "info");
  EXPECT_EQ(options->engine.pcap_path, "out.pcap");
  EXPECT_EQ(options->stats_socket_path, "/run/s.sock");
  ASSERT_TRUE(options->metrics);
  EXPECT_EQ(options->metrics->address, parse_ip_address("::1"));
  EXPECT_EQ(options->metrics->port, 9100);
}

TEST(ServeOptions, a_mistake_is_named_with_its_option) {
  struct Case {
    std::vector<std::string> arguments;
    const char* named;
  };
  for (const Case& c : std::vector<Case>{
           {{"--port", "0"}, "--port: \"0\" is not a whole number from 1 to 65535"},
           {{"--port", "http"}, "--port"},
           {{"--address", "here"}, "--address"},
           {{"--address", "10.0.0.1/33"}, "--address: \"10.0.0.1/33\" says no network"},
           {{"--gateway", "10.0.0.1/24"}, "--gateway"},
           {{"--vlan", "0"}, "--vlan"},
           {{"--vlan", "4095"}, "--vlan"},
           {{"--gateway", "0.0.0.0"}, "--gateway: 0.0.0.0 is no single host's address"},
           {{"--queues", "0"}, "--queues: \"0\" is not a whole number from 1 to 256, nor auto"},
           {{"--queues", "257"}, "--queues"},
           {{"--cache", "1M"}, "--cache: 1M is too small"},
           {{"--cache", "17T"}, "--cache"},
           {{"--cache", "lots"}, "--cache"},
           {{"--preserved-limit", "4K"}, "--preserved-limit: 4K is too little"},
           {{"--preserved-per-connection", "much"}, "--preserved-per-connection"},
           {{"--tx", "fast"}, "fragments, linear or auto"},
           {{"--offloads", "some"}, "--offloads: \"some\" says nothing about offloads"},
           {{"--max-connections", "0"}, "--max-connections"},
           {{"--put-limit", "5M"}, "without --allow-put"},
           {{"--max-connections", "250001"}, "whole number from 1 to 250000"},
           {{"--idle-timeout", "0"}, "--idle-timeout"},
           {{"--request-timeout", "x"}, "--request-timeout"},
           {{"--log-level", "loud"}, "trace, debug, info"},
           {{"--pcap", ""}, "pcap"},
           {{"--stats-socket", ""}, "--stats-socket: the path is empty"},
           {{"--metrics", "0.0.0.0:9100"}, "--metrics: 0.0.0.0 is not a loopback address"},
           {{"--metrics", "here"}, "--metrics: \"here\" is no port"},
           {{"--colour", "red"}, "--colour"},
           {{"--por", "80"}, "--por"},
           {{"--port"}, "--port"},
           {{"--port", "80", "--port", "81"}, "--port"},
           {{"/srv"}, "--root"},
       }) {
    const auto options = parse(c.arguments);
    ASSERT_FALSE(options) << c.named;
    EXPECT_NE(options.error().find(c.named), std::string::npos) << options.error();
    EXPECT_EQ(options.error().find('\n'), std::string::npos) << options.error();
  }
}

TEST(ServeOptions, may_leave_offloads_unused) {
  const auto checksum = parse({"--offloads", "checksum"});
  ASSERT_TRUE(checksum) << checksum.error();
  EXPECT_TRUE(checksum->engine.checksum_offload);
  EXPECT_FALSE(checksum->engine.segmentation_offload);
  const auto none = parse({"--offloads=none"});
  ASSERT_TRUE(none) << none.error();
  EXPECT_FALSE(none->engine.checksum_offload);
  EXPECT_FALSE(none->engine.segmentation_offload);
}

TEST(ServeOptions, say_which_required_one_is_missing) {
  const std::vector<std::string> no_nic{"--root", "/srv"};
  EXPECT_NE(parse_serve_options(no_nic).error().find("--nic is missing"), std::string::npos);
  const std::vector<std::string> no_root{"--nic", "af_xdp:eth0"};
  EXPECT_NE(parse_serve_options(no_root).error().find("--root is missing"), std::string::npos);
}

TEST(ServeOptions, what_stands_behind_two_dashes_is_dpdks) {
  const std::vector<std::string> line{"--nic", "dpdk:net_tap0", "--root", "/srv", "--mtu", "9000",
                                      "--",    "--no-huge",     "--root"};
  const auto options = parse_serve_options(line);
  ASSERT_TRUE(options) << options.error();
  EXPECT_EQ(options->engine.nic, "dpdk:net_tap0");
  EXPECT_EQ(options->engine.mtu_bytes, 9000U);
  EXPECT_EQ(options->engine.nic_arguments, (std::vector<std::string>{"--no-huge", "--root"}));
  const auto refused = parse({"--", "--no-huge"});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(),
            "what stands behind -- are arguments for DPDK, which --nic dpdk:PORT alone takes");
}

TEST(ServeOptions, help_needs_nothing_else_and_explains_every_option) {
  const std::vector<std::string> help{"--help"};
  EXPECT_TRUE(parse_serve_options(help).value().help);
  const std::string page(serve_help());
  for (const std::string& name : serve_option_names())
    EXPECT_NE(page.find("--" + name), std::string::npos) << name;
  std::size_t begin = 0;
  for (std::size_t end = 0; (end = page.find('\n', begin)) != std::string::npos; begin = end + 1)
    EXPECT_LE(end - begin, 90U) << page.substr(begin, end - begin);
}

int ran_with = -1;
int record(std::span<const std::string> arguments) {
  ran_with = static_cast<int>(arguments.size());
  return 7;
}

TEST(Commands, are_found_by_name_and_get_the_rest) {
  constexpr cli::Command commands[] = {{"one", "does one thing", record}};
  const auto run = [&](const std::vector<std::string>& arguments) {
    return cli::dispatch(commands, arguments);
  };
  EXPECT_EQ(run({"one", "a", "b"}), 7);
  EXPECT_EQ(ran_with, 2);
  EXPECT_EQ(run({}), 2);
  EXPECT_EQ(run({"two"}), 2);
  EXPECT_EQ(run({"--help"}), 0);
  EXPECT_EQ(run({"--version"}), 0);
}

TEST(DoctorPointer, names_the_command_that_looks_at_the_same) {
  EXPECT_EQ(cli::doctor_pointer({}), "run `strictsend doctor` to see what this machine lacks");
  EngineConfig config;
  config.nic = "dpdk:net_tap0";
  config.cache_bytes = 64U << 20;
  config.queues = 2;
  config.address = Ipv4Address{10, 0, 0, 1};
  config.vlan_id = 5;
  config.nic_arguments = {"--no-huge", "--vdev=net_tap0,iface=it's mine"};
  EXPECT_EQ(cli::doctor_pointer(config),
            "run `strictsend doctor --nic dpdk:net_tap0 --cache 67108864 --queues 2 --address "
            "10.0.0.1 --vlan 5 -- --no-huge '--vdev=net_tap0,iface=it'\\''s mine'` to see what "
            "this machine lacks");
}

TEST(Progress, shows_the_throughput_of_the_last_moment_and_the_balance) {
  EngineStats before;
  before.payload_bytes_sent = 1000;
  EngineStats now = before;
  now.payload_bytes_sent += 3U << 20;
  now.connections_open = 12;
  now.pages_preserved = 5;
  now.frames_cached = 77;
  ServerCounters counters;
  counters.requests_ok = 3;
  counters.requests_cut = 1;
  const std::string line = progress_line(before, now, counters, 0.5);
  EXPECT_NE(line.find("12 connections"), std::string::npos) << line;
  EXPECT_NE(line.find("6.00 MiB/s"), std::string::npos) << line;
  EXPECT_NE(line.find("4 requests"), std::string::npos) << line;
  EXPECT_NE(line.find("cached 77"), std::string::npos) << line;

  const std::string text = summary(counters, now, {}, 2);
  EXPECT_NE(text.find("frames left pinned      0"), std::string::npos) << text;
  EXPECT_NE(text.find("pages preserved         5"), std::string::npos) << text;
}

TEST(Summary, has_a_line_for_each_of_several_queues) {
  std::vector<QueueStats> queues(1);
  queues[0].connections_accepted = 7;
  EXPECT_EQ(summary({}, {}, queues, 2).find("queue 0"), std::string::npos) << "one says it all";
  queues.emplace_back();
  queues[1].connections_accepted = 8;
  queues[1].nic_packets_received = 9;
  const std::string text = summary({}, {}, queues, 2);
  EXPECT_NE(text.find("queue 0                 7 connections"), std::string::npos) << text;
  EXPECT_NE(text.find("queue 1                 8 connections"), std::string::npos) << text;
  EXPECT_NE(text.find("9 received"), std::string::npos) << text;
}

}  // namespace
}  // namespace strictsend::serve
