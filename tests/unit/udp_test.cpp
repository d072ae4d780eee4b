// SPDX-License-Identifier: Apache-2.0
// What a datagram flow decides, in virtual time: which slice goes when, what its header says, and
// what a completion releases.
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "engine/transport/udp/local_ports.hpp"
#include "engine/transport/udp/sender.hpp"

namespace strictsend::udp {
namespace {

/// A flow, and a device that holds what it was handed.
class Story : public ::testing::Test {
 protected:
  Batch& submit(std::uint64_t length_bytes, std::uint32_t slice_bytes) {
    Batch& batch = batches.emplace_back();
    batch.slices = Slices(length_bytes, slice_bytes);
    sender.append(batch);
    return batch;
  }
  /// Everything that may go now; the offsets and sizes of the slices.
  using Sent = std::vector<std::pair<std::uint64_t, std::uint32_t>>;
  Sent send(std::size_t at_most = 100) {
    Sent sent;
    while (sent.size() < at_most) {
      const std::optional<Slice> slice = sender.next(now);
      if (!slice) break;
      sender.sent(device.emplace_back(), slice->bytes, now);
      sent.emplace_back(slice->offset, slice->bytes);
    }
    return sent;
  }

  Sender sender;
  Time now = Time{} + seconds(1);
  std::deque<Batch> batches;
  std::deque<InFlight> device;
};

TEST_F(Story, cuts_a_range_into_slices_the_last_of_which_is_shorter) {
  submit(3500, 1400);
  EXPECT_EQ(send(), (Sent{{0, 1400}, {1400, 1400}, {2800, 700}}));
  EXPECT_EQ(sender.front(), nullptr);
}

TEST_F(Story, cuts_no_empty_slice_behind_a_range_of_whole_ones) {
  submit(2 * 4096, 4096);  // pages
  EXPECT_EQ(send(), (Sent{{0, 4096}, {4096, 4096}}));
}

TEST_F(Story, sends_one_datagram_for_an_empty_range) {
  submit(0, 1400);
  EXPECT_EQ(send(), (Sent{{0, 0}}));
}

TEST_F(Story, numbers_the_datagrams_and_knows_the_last) {
  Slices slices(2500, 1000);
  EXPECT_EQ(slices.next(), (Slice{.offset = 0, .bytes = 1000, .number = 0, .last = false}));
  slices.advance();
  slices.advance();
  EXPECT_EQ(slices.next(), (Slice{.offset = 2000, .bytes = 500, .number = 2, .last = true}));
  slices.advance();
  EXPECT_TRUE(slices.done());
}

TEST_F(Story, sends_splices_one_behind_the_other) {
  submit(1500, 1000);
  Batch& second = submit(800, 1000);
  EXPECT_EQ(send(2), (Sent{{0, 1000}, {1000, 500}}));
  EXPECT_EQ(sender.front(), &second);
  EXPECT_EQ(send(), (Sent{{0, 800}}));
}

TEST_F(Story, sends_no_more_of_what_is_cancelled_and_goes_on_behind_it) {
  Batch& first = submit(5000, 1000);
  Batch& second = submit(1000, 1000);
  Batch& third = submit(2000, 1000);
  EXPECT_EQ(send(2).size(), 2U);
  sender.remove(first);
  sender.remove(second);
  EXPECT_EQ(sender.front(), &third);
  EXPECT_FALSE(first.outstanding.empty()) << "the device still has what it was handed";
  EXPECT_EQ(send().size(), 2U);
}

TEST_F(Story, appends_behind_the_rest_when_the_last_one_was_cancelled) {
  submit(1000, 1000);
  sender.remove(submit(1000, 1000));
  submit(700, 1000);
  EXPECT_EQ(send(), (Sent{{0, 1000}, {0, 700}}));
}

TEST_F(Story, spreads_datagrams_at_the_rate) {
  sender.open(1'000'000);  // a datagram of 1000 bytes each millisecond
  submit(100'000, 1000);
  const Time begin = now;
  std::size_t sent = 0;
  while (sender.front() != nullptr) {
    EXPECT_LE(send().size(), 2U) << "no bursts";
    sent = device.size();
    // Never more than the tolerance, a millisecond, ahead of the rate.
    EXPECT_LE(static_cast<std::int64_t>(sent), (now - begin).ns / 1'000'000 + 2);
    if (sender.front() == nullptr) break;
    ASSERT_GT(sender.release_at(), now);
    now = sender.release_at();
  }
  EXPECT_EQ(sent, 100U);
  EXPECT_EQ(now - begin, milliseconds(98)) << "the first two at once, then one each millisecond";
}

TEST_F(Story, makes_up_for_no_time_in_which_there_was_nothing_to_send) {
  sender.open(1'000'000);
  submit(2000, 1000);
  EXPECT_EQ(send().size(), 2U);
  now = now + seconds(10);
  submit(50'000, 1000);
  EXPECT_EQ(send().size(), 2U);
}

TEST_F(Story, waits_for_nothing_without_a_rate_and_for_ever_without_a_splice) {
  EXPECT_EQ(sender.release_at(), Time::never());
  submit(1'000'000, 1000);
  EXPECT_EQ(send(1000).size(), 1000U);
}

TEST_F(Story, begins_anew_without_the_last_flows_pace) {
  sender.open(1000);
  submit(1000, 1000);
  EXPECT_EQ(send().size(), 1U);
  sender.open(0);
  submit(5000, 1000);
  EXPECT_EQ(send().size(), 5U);
}

TEST_F(Story, is_complete_up_to_the_oldest_datagram_that_the_device_has) {
  Batch& batch = submit(5000, 1000);
  send(4);
  EXPECT_EQ(batch.complete_to(), 0U);
  batch.outstanding.completed(device[1]);
  EXPECT_EQ(batch.complete_to(), 0U) << "an older one is out";
  batch.outstanding.completed(device[0]);
  EXPECT_EQ(batch.complete_to(), 2000U);
  batch.outstanding.completed(device[3]);
  EXPECT_EQ(batch.complete_to(), 2000U);
  batch.outstanding.completed(device[2]);
  EXPECT_EQ(batch.complete_to(), 4000U) << "and no further: the last was not handed over";
  EXPECT_TRUE(batch.outstanding.empty());
  send();
  batch.outstanding.completed(device[4]);
  EXPECT_EQ(batch.complete_to(), 5000U);
}

class Fields : public ::testing::Test {
 protected:
  static std::vector<int> added(std::vector<int> header, const DatagramField& field,
                                std::uint64_t value) {
    std::vector<std::byte> bytes;
    for (const int byte : header)
      bytes.push_back(static_cast<std::byte>(byte));
    add_to_field(bytes, field, value);
    for (std::size_t i = 0; i < bytes.size(); ++i)
      header[i] = std::to_integer<int>(bytes[i]);
    return header;
  }
};

TEST_F(Fields, are_big_endian_and_begin_at_what_the_template_says) {
  EXPECT_EQ(added({9, 0, 0, 9}, {1, 2}, 0x1234), (std::vector{9, 0x12, 0x34, 9}));
  EXPECT_EQ(added({9, 0, 0xff, 9}, {1, 2}, 2), (std::vector{9, 1, 1, 9}));
}

TEST_F(Fields, wrap_around_at_their_width) {
  EXPECT_EQ(added({7, 0xff, 7}, {1, 1}, 3), (std::vector{7, 2, 7}));
  EXPECT_EQ(added({0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, {0, 8}, 1),
            (std::vector{0, 0, 0, 0, 0, 0, 0, 0}));
}

TEST_F(Fields, may_be_none) {
  EXPECT_EQ(added({1, 2}, {}, 77), (std::vector{1, 2}));
}

// Our ports.

TEST(LocalPorts, are_dynamic_ones_from_any_on_and_round) {
  LocalPorts ports;
  EXPECT_EQ(ports.free_from(0), 49'152);
  EXPECT_EQ(ports.free_from(LocalPorts::dynamic_count - 1), 65'535);
  EXPECT_EQ(ports.free_from(0xffff'ffff), 65'535) << "any number does";
  ports.take(65'535);
  ports.take(49'152);
  EXPECT_TRUE(ports.taken(65'535));
  EXPECT_FALSE(ports.taken(49'153));
  EXPECT_EQ(ports.free_from(LocalPorts::dynamic_count - 1), 49'153);
}

TEST(LocalPorts, may_all_be_taken) {
  LocalPorts ports;
  for (std::uint32_t i = 0; i < LocalPorts::dynamic_count; ++i) {
    const auto port = ports.free_from(7);
    ASSERT_TRUE(port);
    ports.take(*port);
  }
  EXPECT_FALSE(ports.free_from(7));
}

}  // namespace
}  // namespace strictsend::udp
