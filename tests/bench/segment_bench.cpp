// SPDX-License-Identifier: Apache-2.0
// What the whole engine costs per 64 KiB of a file, and per descriptor chain that it hands to the
// port, TCP, page cache and guard included: a cached file is sent again and again to a port that
// discards and a peer that acknowledges every second chain. A chain is a segment of 1448 to 1460
// bytes, or up to 64 KiB where the port cuts it into segments. The peer runs on the same thread;
// its work (about one header read per chain and one header written per two) is part of every number
// alike.
//
// Variants are interleaved round by round; the median of the rounds is printed, and its ratio to
// the first variant. Thread CPU time, which other load on the machine disturbs less than the clock.
#include <cstdio>
#include <memory>
#include <vector>

#include <spdlog/spdlog.h>

#include "tests/bench/engine_turns.hpp"
#include "tests/bench/interrupt.hpp"
#include "tests/bench/statistics.hpp"
#include "tests/support/discard_engine.hpp"
#include "tests/support/temp_file.hpp"

namespace strictsend::testing {
namespace {

using bench::median;

constexpr int rounds = 7;
constexpr std::uint64_t bytes_per_round = 400'000'000;
constexpr std::uint16_t window_plenty = 65535;
constexpr double unit_bytes = 65536;
constexpr std::uint64_t file_bytes = 16 << 20;

struct Variant {
  const char* name;
  std::size_t connections;
  bool protect;
  bool linear;
  bool offload;
  bool cut;
  std::uint16_t window_kilobytes;  ///< of each connection's peer
  std::unique_ptr<DiscardEngine> engine;
  std::vector<double> ns;  ///< per unit_bytes
  std::uint64_t bytes = 0;
  std::uint64_t chains = 0;
};

void measure(Variant& v, std::uint64_t bytes) {
  const bench::Sent sent = bench::send_bytes(*v.engine, bytes);
  v.ns.push_back(sent.ns_per_bytes(unit_bytes));
  v.bytes += sent.bytes;
  v.chains += sent.chains;
}

std::vector<Variant> variants_of_forms() {
  std::vector<Variant> variants;
  const auto add = [&variants](const char* name, std::size_t connections, bool protect, bool linear,
                               bool offload, bool cut) {
    variants.push_back({name, connections, protect, linear, offload, cut, window_plenty, {}, {}});
  };
  add("1 connection, fragments", 1, true, false, true, false);
  add("1 connection, guard off", 1, false, false, true, false);
  add("1 connection, software checksum", 1, true, false, false, false);
  add("1 connection, linear", 1, true, true, true, false);
  add("1 connection, cut by the port", 1, true, false, true, true);
  add("1,000 connections, fragments", 1000, true, false, true, false);
  add("1,000 connections, guard off", 1000, false, false, true, false);
  add("1,000 connections, cut by the port", 1000, true, false, true, true);
  return variants;
}

/// The same form for few and for many, all of which are sent to at the same time: in bursts of
/// sixteen segments, and of the two that a slow client's window lets out for an acknowledgement.
/// (Fewer connections with such a window would leave the engine idle, which is no cost.)
std::vector<Variant> variants_of_scale() {
  std::vector<Variant> variants;
  const auto add = [&variants](const char* name, std::size_t connections, std::uint16_t kilobytes) {
    variants.push_back({name, connections, true, false, true, false, kilobytes, {}, {}});
  };
  add("1 connection", 1, window_plenty);
  add("100 connections", 100, window_plenty);
  add("1,000 connections", 1000, window_plenty);
  add("10,000 connections", 10'000, window_plenty);
  add("1,000 connections, 3 KiB window", 1000, 3);
  add("10,000 connections, 3 KiB window", 10'000, 3);
  return variants;
}

/// Whether it came to its end.
bool run_table(std::vector<Variant> variants, const char* path, bench::Interrupt& interrupt) {
  for (Variant& v : variants) {
    v.engine = std::make_unique<DiscardEngine>(DiscardEngine::Options{.path = path,
                                                                      .connections = v.connections,
                                                                      .protect = v.protect,
                                                                      .linear = v.linear,
                                                                      .checksum_offload = v.offload,
                                                                      .segmentation = v.cut});
    v.engine->peer().set_window(v.window_kilobytes);
    do {
      measure(v, bytes_per_round / 10);
    } while (v.engine->connections_open() < v.connections);
    v.ns.clear();
    v.bytes = v.chains = 0;
  }
  for (int round = 0; round < rounds; ++round) {
    for (Variant& v : variants) {
      if (interrupt.asked()) return false;
      measure(v, bytes_per_round);
    }
  }
  std::printf("%-34s %12s %8s %12s %12s\n", "", "ns/64 KiB", "ratio", "bytes/chain", "ns/chain");
  for (const Variant& v : variants) {
    const double chain_bytes = static_cast<double>(v.bytes) / static_cast<double>(v.chains);
    std::printf("%-34s %12.0f %8.2f %12.0f %12.0f\n", v.name, median(v.ns),
                median(v.ns) / median(variants[0].ns), chain_bytes,
                median(v.ns) * chain_bytes / unit_bytes);
  }
  return true;
}

int run_bench() {
  bench::Interrupt interrupt;
  spdlog::set_level(spdlog::level::warn);
  TempFile disk;
  disk.write(std::vector<std::byte>(file_bytes, std::byte{7}));
  std::printf("whole engine on a port that discards, MTU 1500, median of %d rounds\n", rounds);
  if (!run_table(variants_of_forms(), disk.path().c_str(), interrupt))
    return bench::Interrupt::exit_code;
  std::printf("\nby the number of connections that are sent to at once\n");
  if (!run_table(variants_of_scale(), disk.path().c_str(), interrupt))
    return bench::Interrupt::exit_code;
  return 0;
}

}  // namespace
}  // namespace strictsend::testing

int main() {
  try {
    return strictsend::testing::run_bench();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "segment_bench: %s\n", error.what());
    return 1;
  }
}
