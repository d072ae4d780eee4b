// SPDX-License-Identifier: Apache-2.0
// What the whole engine costs per full segment of 1448 to 1460 bytes, TCP, page cache and guard
// included: a cached file is sent again and again to a port that discards and a peer that
// acknowledges every second segment. The peer runs on the same thread; its work (about one header
// read per segment and one header written per two) is part of every number alike.
//
// Variants are interleaved round by round; the median of the rounds is printed, and its ratio to
// the first variant. Thread CPU time, which other load on the machine disturbs less than the clock.
#include <cstdio>
#include <ctime>
#include <memory>
#include <vector>

#include <spdlog/spdlog.h>

#include "tests/bench/interrupt.hpp"
#include "tests/bench/statistics.hpp"
#include "tests/support/discard_engine.hpp"
#include "tests/support/temp_file.hpp"

namespace strictsend::testing {
namespace {

using bench::median;

constexpr int rounds = 7;
constexpr std::uint64_t segments_per_round = 300'000;
constexpr std::uint64_t file_bytes = 16 << 20;

struct Variant {
  const char* name;
  std::size_t connections;
  bool protect;
  bool linear;
  bool offload;
  std::unique_ptr<DiscardEngine> engine;
  std::vector<double> ns;
};

double thread_cpu_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

/// Sends so many segments; the cost of each in the engine thread's turns.
double measure(DiscardEngine& engine, std::uint64_t segments) {
  const std::uint64_t end = engine.peer().data_segments() + segments;
  double ns = 0;
  while (engine.peer().data_segments() < end) {
    const double begin = thread_cpu_ns();
    for (int i = 0; i < 64; ++i)
      engine.poll(monotonic_now());
    ns += thread_cpu_ns() - begin;
    engine.serve();
  }
  return ns / static_cast<double>(segments);
}

int run_bench() {
  bench::Interrupt interrupt;
  spdlog::set_level(spdlog::level::warn);
  TempFile disk;
  disk.write(std::vector<std::byte>(file_bytes, std::byte{7}));
  std::vector<Variant> variants;
  variants.push_back({"1 connection, fragments", 1, true, false, true, {}, {}});
  variants.push_back({"1 connection, guard off", 1, false, false, true, {}, {}});
  variants.push_back({"1 connection, software checksum", 1, true, false, false, {}, {}});
  variants.push_back({"1 connection, linear", 1, true, true, true, {}, {}});
  variants.push_back({"1,000 connections, fragments", 1000, true, false, true, {}, {}});
  variants.push_back({"1,000 connections, guard off", 1000, false, false, true, {}, {}});
  for (Variant& v : variants) {
    v.engine =
        std::make_unique<DiscardEngine>(DiscardEngine::Options{.path = disk.path(),
                                                               .connections = v.connections,
                                                               .protect = v.protect,
                                                               .linear = v.linear,
                                                               .checksum_offload = v.offload});
    measure(*v.engine, segments_per_round / 10);
  }
  for (int round = 0; round < rounds; ++round) {
    for (Variant& v : variants) {
      if (interrupt.asked()) return bench::Interrupt::exit_code;
      v.ns.push_back(measure(*v.engine, segments_per_round));
    }
  }
  std::printf("whole engine on a port that discards, MTU 1500, median of %d rounds\n", rounds);
  std::printf("%-34s %12s %8s\n", "", "ns/segment", "ratio");
  for (const Variant& v : variants) {
    std::printf("%-34s %12.0f %8.2f\n", v.name, median(v.ns),
                median(v.ns) / median(variants[0].ns));
  }
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
