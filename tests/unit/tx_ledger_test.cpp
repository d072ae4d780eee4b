// SPDX-License-Identifier: Apache-2.0
#include "nic/af_xdp/tx_ledger.hpp"

#include <algorithm>
#include <initializer_list>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace strictsend::nic::af_xdp {
namespace {

using Match = TxLedger::Match;

void submit(TxLedger& ledger, std::uint32_t cookie,
            std::initializer_list<std::uint64_t> addresses) {
  ledger.begin_packet(cookie);
  for (const std::uint64_t address : addresses)
    ledger.add_descriptor(address);
}

TEST(TxLedger, a_packet_is_complete_when_all_its_descriptors_are) {
  TxLedger ledger(8);
  submit(ledger, 7, {0x1000, 0x2000, 0x3000});
  EXPECT_EQ(ledger.free_descriptors(), 5U);
  EXPECT_EQ(ledger.complete(0x1000).match, Match::descriptor);
  EXPECT_EQ(ledger.complete(0x2000).match, Match::descriptor);
  const TxLedger::Completed last = ledger.complete(0x3000);
  EXPECT_EQ(last.match, Match::packet);
  EXPECT_EQ(last.cookie, 7U);
  EXPECT_TRUE(ledger.empty());
  EXPECT_EQ(ledger.free_descriptors(), 8U);
}

TEST(TxLedger, an_address_that_is_not_out_is_a_fault_and_changes_nothing) {
  TxLedger ledger(8);
  submit(ledger, 1, {0x1000, 0x2000});
  EXPECT_EQ(ledger.complete(0x2000).match, Match::unexpected);  // not the first of any packet
  EXPECT_EQ(ledger.complete(0x1000).match, Match::descriptor);
  EXPECT_EQ(ledger.complete(0x1000).match, Match::unexpected);  // again
  EXPECT_EQ(ledger.complete(0x2000).match, Match::packet);
  EXPECT_EQ(ledger.complete(0x2000).match, Match::unexpected);  // after its end
}

TEST(TxLedger, packets_may_complete_out_of_order) {
  TxLedger ledger(8);
  submit(ledger, 1, {0x1000, 0x9000});
  submit(ledger, 2, {0x2000, 0x9000});  // the same page in two packets
  submit(ledger, 3, {0x3000});
  EXPECT_EQ(ledger.complete(0x3000).cookie, 3U);
  EXPECT_EQ(ledger.complete(0x2000).match, Match::descriptor);
  EXPECT_EQ(ledger.complete(0x9000).cookie, 2U);
  // Room comes back in order: the oldest packet still holds its place.
  EXPECT_EQ(ledger.free_descriptors(), 3U);
  EXPECT_EQ(ledger.outstanding_packets(), 1U);
  ledger.complete(0x1000);
  EXPECT_EQ(ledger.complete(0x9000).cookie, 1U);
  EXPECT_EQ(ledger.free_descriptors(), 8U);
}

TEST(TxLedger, what_is_out_can_be_abandoned_once) {
  TxLedger ledger(8);
  submit(ledger, 1, {0x1000});
  submit(ledger, 2, {0x2000, 0x3000});
  submit(ledger, 3, {0x4000});
  ledger.complete(0x2000);
  EXPECT_EQ(ledger.complete(0x3000).cookie, 2U);
  EXPECT_EQ(ledger.abandon_oldest(), 1U);
  EXPECT_EQ(ledger.abandon_oldest(), 3U);
  EXPECT_EQ(ledger.abandon_oldest(), std::nullopt);
  EXPECT_EQ(ledger.complete(0x1000).match, Match::unexpected);
}

TEST(TxLedger, every_cookie_comes_back_once_over_many_turns_of_the_ring) {
  TxLedger ledger(64);
  std::mt19937 random(42);
  std::vector<std::vector<std::uint64_t>> out;  // by cookie
  std::vector<std::uint32_t> outstanding;
  std::vector<int> completed;
  for (int round = 0; round < 20'000; ++round) {
    const std::size_t descriptors = 1 + random() % 18;
    if (ledger.free_descriptors() >= descriptors && random() % 3 != 0) {
      const auto cookie = static_cast<std::uint32_t>(out.size());
      ledger.begin_packet(cookie);
      out.emplace_back();
      for (std::size_t i = 0; i < descriptors; ++i) {
        // Headers are unique among those out; pages are shared by many packets.
        const std::uint64_t address =
            i == 0 ? std::uint64_t{cookie + 1} << 16 : std::uint64_t{random() % 5} << 12;
        ledger.add_descriptor(address);
        out.back().push_back(address);
      }
      outstanding.push_back(cookie);
      completed.push_back(0);
    } else if (!outstanding.empty()) {
      const std::size_t pick = random() % std::min<std::size_t>(outstanding.size(), 3);
      const std::uint32_t cookie = outstanding[pick];
      outstanding.erase(outstanding.begin() + static_cast<std::ptrdiff_t>(pick));
      TxLedger::Completed last;
      for (const std::uint64_t address : out[cookie])
        last = ledger.complete(address);
      ASSERT_EQ(last.match, Match::packet);
      ASSERT_EQ(last.cookie, cookie);
      ++completed[cookie];
    }
    ASSERT_EQ(ledger.outstanding_packets(), outstanding.size());
  }
  while (const auto cookie = ledger.abandon_oldest())
    ++completed[*cookie];
  for (const int times : completed)
    ASSERT_EQ(times, 1);
  EXPECT_EQ(ledger.free_descriptors(), 64U);
}

}  // namespace
}  // namespace strictsend::nic::af_xdp
