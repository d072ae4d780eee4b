// SPDX-License-Identifier: Apache-2.0
// What the whole engine costs on DPDK, TCP, page cache and guard included, beside the bare driver:
// packets of a header and 1,448 bytes of a page, handed to net_null, which frees them; and
// dpdk-testpmd sending packets of the same shape to the same driver. Then what 64 KiB cost where
// the device cuts them (net_null minds no request), and what copying the payload behind the header
// would cost instead, for a file that stays in the processor's caches and for one that does not.
//
// Thread CPU time, variants interleaved, median of the rounds.
#include <cstdio>
#include <memory>
#include <rte_ethdev.h>
#include <stdexcept>
#include <string>
#include <vector>

#include <spdlog/spdlog.h>

#include "nic/dpdk/eal.hpp"
#include "nic/dpdk/open.hpp"
#include "tests/bench/engine_turns.hpp"
#include "tests/bench/interrupt.hpp"
#include "tests/bench/statistics.hpp"
#include "tests/bench/testpmd.hpp"
#include "tests/support/discard_engine.hpp"
#include "tests/support/temp_file.hpp"

namespace strictsend::testing {
namespace {

using bench::median;

constexpr int rounds = 7;
constexpr std::uint64_t bytes_per_round = 400'000'000;
constexpr double unit_bytes = 65536;
constexpr std::uint64_t hot_bytes = 1 << 20;
constexpr std::uint64_t cold_bytes = 512 << 20;

struct Variant {
  const char* name;
  bool cold;
  bool linear;
  bool cut;
  std::unique_ptr<DiscardEngine> engine;
  std::vector<double> ns_per_chain;
  std::vector<double> ns_per_unit;
};

/// A net_null of its own, which says nothing of what it takes: anything.
std::unique_ptr<nic::Port> make_null_port(const nic::DmaMemory& memory, bool cut) {
  static int instances = 0;
  nic::dpdk::DpdkConfig config;
  config.device = "net_null" + std::to_string(instances++) + ",no-rx=1";
  config.queues = 1;
  config.consumer_tx_offloads = RTE_ETH_TX_OFFLOAD_MULTI_SEGS | RTE_ETH_TX_OFFLOAD_TCP_CKSUM |
                                RTE_ETH_TX_OFFLOAD_UDP_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_TSO |
                                RTE_ETH_TX_OFFLOAD_IPV4_CKSUM;
  config.want_segmentation = cut;
  auto port = nic::dpdk::open_port(config, {}, memory);
  if (!port) throw std::runtime_error(port.error().message());
  return std::move(*port);
}

void measure(Variant& v, std::uint64_t bytes) {
  const bench::Sent sent = bench::send_bytes(*v.engine, bytes);
  v.ns_per_unit.push_back(sent.ns_per_bytes(unit_bytes));
  v.ns_per_chain.push_back(sent.ns_per_chain());
}

int run_bench() {
  bench::Interrupt interrupt;
  spdlog::set_level(spdlog::level::warn);
  const auto started =
      nic::dpdk::start_eal({"--no-huge", "--no-pci", "-m", "512", "--no-telemetry"});
  if (!started) throw std::runtime_error(started.error().message());
  TempFile hot;
  hot.write(std::vector<std::byte>(hot_bytes, std::byte{7}));
  TempFile cold;
  cold.write(std::vector<std::byte>(cold_bytes, std::byte{7}));

  std::vector<Variant> variants;
  for (const bool is_cold : {false, true}) {
    variants.push_back({is_cold ? "pages, cold" : "pages, hot", is_cold, false, false, {}, {}, {}});
    variants.push_back(
        {is_cold ? "copied, cold" : "copied, hot", is_cold, true, false, {}, {}, {}});
    variants.push_back(
        {is_cold ? "pages, cut, cold" : "pages, cut, hot", is_cold, false, true, {}, {}, {}});
  }
  for (Variant& v : variants) {
    v.engine = std::make_unique<DiscardEngine>(
        DiscardEngine::Options{.path = (v.cold ? cold : hot).path(),
                               .cache_bytes = (v.cold ? cold_bytes : hot_bytes) + (64 << 20),
                               .linear = v.linear,
                               .device = [cut = v.cut](const nic::DmaMemory& memory) {
                                 return make_null_port(memory, cut);
                               }});
    measure(v, bytes_per_round / 10);
    v.ns_per_chain.clear();
    v.ns_per_unit.clear();
  }
  std::vector<double> bare;
  for (int round = 0; round < rounds; ++round) {
    const auto testpmd = bench::run_testpmd("66,1448", 2);
    if (!testpmd) throw std::runtime_error(testpmd.error().message());
    bare.push_back(testpmd->cpu_ns_per_packet);
    for (Variant& v : variants) {
      if (interrupt.asked()) return bench::Interrupt::exit_code;
      measure(v, bytes_per_round);
    }
  }
  std::printf(
      "whole engine on DPDK's net_null, MTU 1500, checksums left to the device, median of %d rounds\n"
      "%-24s %12s %16s %12s\n%-24s %12.0f %16.2f\n",
      rounds, "", "ns/chain", "of the driver's", "ns/64 KiB", "dpdk-testpmd txonly", median(bare),
      1.0);
  for (const Variant& v : variants)
    std::printf("%-24s %12.0f %16.2f %12.0f\n", v.name, median(v.ns_per_chain),
                median(v.ns_per_chain) / median(bare), median(v.ns_per_unit));
  return 0;
}

}  // namespace
}  // namespace strictsend::testing

int main() {
  try {
    return strictsend::testing::run_bench();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "nic_bench: %s\n", error.what());
    return 1;
  }
}
