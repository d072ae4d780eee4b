// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <cerrno>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "base/endian.hpp"
#include "base/inet_checksum.hpp"
#include "base/result.hpp"
#include "base/siphash.hpp"

namespace strictsend {
namespace {

TEST(InetChecksum, matches_the_example_of_rfc_1071_section_3) {
  const std::array<unsigned char, 8> example{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
  EXPECT_EQ(fold_sum(inet_sum(std::as_bytes(std::span(example)))), 0xddf2);
  EXPECT_EQ(finish_sum(inet_sum(std::as_bytes(std::span(example)))), 0x220d);
}

TEST(InetChecksum, sums_of_pieces_make_the_sum_of_the_whole_at_every_cut) {
  std::mt19937 random(1);
  std::vector<std::byte> bytes(101);
  for (std::byte& byte : bytes)
    byte = static_cast<std::byte>(random());
  const std::span<const std::byte> all(bytes);
  for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
    const PartialSum tail = inet_sum(all.subspan(cut));
    const PartialSum sum = inet_sum(all.first(cut)) + (cut % 2 == 0 ? tail : swap_sum(tail));
    EXPECT_EQ(fold_sum(sum), fold_sum(inet_sum(all))) << "cut at " << cut;
  }
}

TEST(BigEndian, stores_the_most_significant_byte_first) {
  const be32 field = 0x01020304;
  std::array<unsigned char, 4> bytes{};
  std::memcpy(bytes.data(), &field, 4);
  EXPECT_EQ(bytes, (std::array<unsigned char, 4>{1, 2, 3, 4}));
  EXPECT_EQ(field.get(), 0x01020304U);
}

TEST(SipHash, matches_the_test_vector_of_its_paper_appendix_a) {
  std::array<unsigned char, 15> message{};
  for (unsigned char i = 0; i < 15; ++i)
    message[i] = i;
  const SipKey key{0x0706050403020100, 0x0f0e0d0c0b0a0908};
  EXPECT_EQ(siphash(key, std::as_bytes(std::span(message))), 0xa129ca6149be45e5);
}

TEST(Error, message_names_operation_errno_and_hint) {
  const Error error{"UMEM registration", ENOMEM, "raise RLIMIT_MEMLOCK with ulimit -l"};
  EXPECT_EQ(
      error.message(),
      "UMEM registration failed: Cannot allocate memory (ENOMEM): raise RLIMIT_MEMLOCK with ulimit -l");
}

}  // namespace
}  // namespace strictsend
