// SPDX-License-Identifier: Apache-2.0
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "tests/fuzz/tcp_fuzz.hpp"

namespace strictsend::test {
namespace {

volatile std::sig_atomic_t current_seed = 0;

extern "C" void name_the_seed(int) {
  std::fprintf(stderr, "repeat it: STRICTSEND_SEED=%d tcp_smoke_test\n",
               static_cast<int>(current_seed));
}

TEST(TcpFuzz, generated_inputs_break_no_invariant) {
  constexpr unsigned inputs = 20'000;
  constexpr std::size_t input_bytes_max = 4096;
  unsigned first = 1;
  unsigned last = inputs;
  const char* chosen = std::getenv("STRICTSEND_SEED");  // NOLINT(concurrency-mt-unsafe)
  if (chosen != nullptr) first = last = static_cast<unsigned>(std::strtoul(chosen, nullptr, 10));
  // A broken invariant aborts; then this is the last line of the output.
  const auto before = std::signal(SIGABRT, name_the_seed);
  TcpFuzzTrace seen;
  for (unsigned seed = first; seed <= last; ++seed) {
    current_seed = static_cast<std::sig_atomic_t>(seed);
    std::mt19937 random(seed);
    std::vector<std::byte> bytes(random() % input_bytes_max);
    for (std::byte& byte : bytes)
      byte = static_cast<std::byte>(random());
    const TcpFuzzTrace trace = fuzz_tcp(bytes);
    seen.established |= trace.established;
    seen.peer_closed |= trace.peer_closed;
    seen.closed |= trace.closed;
    seen.acked |= trace.acked;
    seen.delivered |= trace.delivered;
    seen.timed_out_once |= trace.timed_out_once;
    seen.recovered_fast |= trace.recovered_fast;
    seen.probed |= trace.probed;
    seen.cut |= trace.cut;
  }
  std::signal(SIGABRT, before);
  if (chosen != nullptr) return;
  // Inputs that get nowhere would prove nothing.
  EXPECT_TRUE(seen.established && seen.acked && seen.delivered);
  EXPECT_TRUE(seen.peer_closed && seen.closed);
  EXPECT_TRUE(seen.timed_out_once && seen.recovered_fast && seen.probed);
  EXPECT_TRUE(seen.cut);
}

}  // namespace
}  // namespace strictsend::test
