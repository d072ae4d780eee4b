// SPDX-License-Identifier: Apache-2.0
#include <random>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "tests/fuzz/wire_fuzz.hpp"
#include "tests/support/captured_packets.hpp"
#include "tests/support/hex.hpp"

namespace strictsend::test {
namespace {

using Bytes = std::vector<std::byte>;

/// One change of the kinds that a fuzzer makes.
void mutate(Bytes& input, std::mt19937& random) {
  const std::size_t at = random() % input.size();
  switch (random() % 6) {
    case 0:
      input[at] ^= std::byte{1} << (random() % 8);
      break;
    case 1:
      input[at] = static_cast<std::byte>(random());
      break;
    case 2:
      input[at] = random() % 2 == 0 ? std::byte{0} : std::byte{0xff};
      break;
    case 3:
      input.resize(1 + at);
      break;
    case 4:
      input.insert(input.begin() + static_cast<std::ptrdiff_t>(at), random() % 8, std::byte{1});
      break;
    default:
      // Mostly where lengths and option kinds are.
      input[std::min<std::size_t>(input.size() - 1, 15 + random() % 60)] =
          static_cast<std::byte>(random() % 16);
      break;
  }
}

TEST(WireFuzz, mutations_of_real_packets_break_no_promise) {
  const std::vector<std::string_view> seeds{captured_syn,
                                            captured_request,
                                            captured_fin,
                                            captured_datagram,
                                            captured_partial_syn,
                                            captured_partial_request,
                                            captured_partial_datagram,
                                            captured_arp_request,
                                            captured_arp_reply,
                                            captured_echo_request,
                                            captured_echo_reply};
  std::mt19937 random(1);
  int accepted = 0;
  constexpr int rounds = 200'000;
  for (int round = 0; round < rounds; ++round) {
    Bytes input = from_hex(seeds[random() % seeds.size()]);
    input.insert(input.begin(), static_cast<std::byte>(random() % 8));
    for (auto changes = random() % 5; changes > 0; --changes)
      mutate(input, random);
    if (fuzz_wire(input)) ++accepted;
  }
  // Neither everything nor nothing: the mutations reach both sides of the checks.
  EXPECT_GT(accepted, rounds / 20);
  EXPECT_LT(accepted, rounds * 19 / 20);
}

TEST(WireFuzz, noise_breaks_no_promise) {
  std::mt19937 random(2);
  for (int round = 0; round < 50'000; ++round) {
    Bytes input(random() % 120);
    for (std::byte& byte : input)
      byte = static_cast<std::byte>(random());
    EXPECT_FALSE(fuzz_wire(input)) << "round " << round;
  }
}

}  // namespace
}  // namespace strictsend::test
