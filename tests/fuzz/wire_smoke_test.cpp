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

// Made from those by hand, as their names say.
constexpr std::string_view tagged_syn =  // in VLAN 5
    "0200000000010200000000028100000508004500003cdce140004006493e0a4d00020a4d"
    "0001d9901f903e5f5e7000000000a002faf0e1f30000020405b40402080a6c6454270000"
    "00000103030a";
constexpr std::string_view ipv6_extended =  // behind hop-by-hop and destination options
    "02000000000102000000000286dd600dc67d003e004020010db800770000000000000000"
    "000220010db80077000000000000000000013c00010400000000060001040000000092ae"
    "1f90323ffe1550cd5e7780180040015500000101080a7a2a87ae2b6a9507474554202f20"
    "485454502f312e31";
constexpr std::string_view ipv6_answer =  // a neighbour advertisement
    "02000000000202000000000186dd6000000000203aff20010db800770000000000000000"
    "000120010db80077000000000000000000028800890e6000000020010db8007700000000"
    "0000000000010201020000000001";
constexpr std::string_view too_big_ipv4 =  // about captured_request
    "020000000002020000000001080045000044000000004001ae69c00002010a4d00020304"
    "39bd0000057845000042dce34000400649360a4d00020a4d0001d9901f903e5f5e716d48"
    "a51d8018003f95170000";
constexpr std::string_view too_big_ipv6 =  // about captured_ipv6_request
    "02000000000202000000000186dd6000000000443a4020010db800090000000000000000"
    "000920010db80077000000000000000000020200ff2900000578600dc67d002e06402001"
    "0db800770000000000000000000220010db800770000000000000000000192ae1f90323f"
    "fe1550cd5e778018004001550000";

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
                                            captured_echo_reply,
                                            captured_ipv6_syn,
                                            captured_ipv6_request,
                                            captured_ipv6_datagram,
                                            captured_ipv6_probe,
                                            ipv6_answer,
                                            ipv6_extended,
                                            tagged_syn,
                                            too_big_ipv4,
                                            too_big_ipv6};
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

TEST(WireFuzz, every_kind_of_packet_is_read) {
  for (const std::string_view seed : {captured_ipv6_syn, captured_ipv6_probe, tagged_syn,
                                      ipv6_extended, ipv6_answer, too_big_ipv4, too_big_ipv6}) {
    Bytes input = from_hex(seed);
    input.insert(input.begin(), std::byte{0});
    EXPECT_TRUE(fuzz_wire(input)) << seed;
  }
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
