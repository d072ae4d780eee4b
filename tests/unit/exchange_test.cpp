// SPDX-License-Identifier: Apache-2.0
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <memory>
#include <poll.h>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "engine/exchange/event_queue.hpp"
#include "engine/exchange/hand_over.hpp"
#include "engine/exchange/intake.hpp"
#include "engine/exchange/splice_pool.hpp"
#include "engine/flow/flow_table.hpp"
#include "engine/flow/slot_shares.hpp"

namespace strictsend::engine {
namespace {

struct Node {
  Node* next = nullptr;
  int producer = 0;
  int number = 0;
};

TEST(Intake, keeps_each_producers_order_and_loses_nothing) {
  constexpr int producers = 3;
  constexpr int each = 20'000;
  Intake<Node, &Node::next> intake;
  std::vector<std::vector<Node>> nodes(producers, std::vector<Node>(each));
  std::vector<std::thread> threads;
  for (int p = 0; p < producers; ++p) {
    threads.emplace_back([&, p] {
      for (int n = 0; n < each; ++n) {
        nodes[static_cast<std::size_t>(p)][static_cast<std::size_t>(n)].producer = p;
        nodes[static_cast<std::size_t>(p)][static_cast<std::size_t>(n)].number = n;
        intake.push(&nodes[static_cast<std::size_t>(p)][static_cast<std::size_t>(n)]);
      }
    });
  }
  std::array<int, producers> expected{};
  int taken = 0;
  while (taken < producers * each) {
    for (Node* node = intake.take_all(); node != nullptr; node = node->next, ++taken) {
      ASSERT_EQ(node->number, expected[static_cast<std::size_t>(node->producer)]++);
    }
  }
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_TRUE(intake.empty());
}

TEST(ReceiveRing, hands_bytes_over_in_order_across_its_end) {
  std::vector<std::byte> memory(64);
  ReceiveRing ring;
  ring.attach(memory);
  std::uint8_t put = 0;
  std::uint8_t taken = 0;
  for (int round = 0; round < 100; ++round) {
    std::vector<std::byte> in(static_cast<std::size_t>(round % 41));
    for (std::byte& byte : in)
      byte = std::byte{put++};
    ring.put(in);
    std::vector<std::byte> out(64);
    const std::size_t count = ring.take(out);
    ASSERT_EQ(count, in.size());
    for (std::size_t i = 0; i < count; ++i)
      ASSERT_EQ(out[i], std::byte{taken++});
  }
}

class Events : public ::testing::Test {
 protected:
  std::vector<Event> take(std::size_t at_most = 16) {
    std::vector<Event> events(at_most);
    events.resize(queue.take(
        events, [this](SpliceOp& op) { done.push_back(&op); },
        [this](AnyFlow& flow) { gone.push_back(&flow); }));
    return events;
  }
  Notifier notifier{UniqueFd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC))};
  EventQueue queue{notifier};
  FlowTable table{0, 4, 64, {1, 2}};
  SplicePool pool{4};
  std::vector<SpliceOp*> done;
  std::vector<AnyFlow*> gone;
};

TEST_F(Events, closed_comes_after_the_last_splice_even_when_the_flow_was_queued_first) {
  Flow& flow = *table.insert({{1, 2, 3, 4}, 5, 80});
  SpliceOp& op = *pool.take();
  notifier.post(flow, Flow::event_accepted);
  EXPECT_EQ(take(1).at(0).kind, Event::Kind::accepted);

  notifier.post(flow, Flow::event_readable);
  std::vector<Event> first = take(0);  // nothing has been taken yet
  notifier.post(op, SpliceOp::event_released);
  notifier.post(flow, Flow::event_closed);
  const std::vector<Event> events = take();
  ASSERT_EQ(events.size(), 3U);
  EXPECT_EQ(events[0].kind, Event::Kind::released);
  EXPECT_EQ(events[1].kind, Event::Kind::readable);
  EXPECT_EQ(events[2].kind, Event::Kind::closed);
  EXPECT_EQ(done, std::vector{&op});
  EXPECT_EQ(gone, std::vector<AnyFlow*>{&flow});
}

TEST_F(Events, closed_waits_for_a_splice_posted_between_taking_the_flow_and_reading_its_bits) {
  Flow& one = *table.insert({{1, 2, 3, 4}, 5, 80});
  Flow& two = *table.insert({{1, 2, 3, 4}, 6, 80});
  SpliceOp& op = *pool.take();
  notifier.post(one, Flow::event_readable);
  notifier.post(two, Flow::event_readable);
  ASSERT_EQ(take(1).size(), 1U);  // both flows are taken, the second one's bits are not yet read
  notifier.post(op, SpliceOp::event_released);
  notifier.post(two, Flow::event_closed);
  const std::vector<Event> events = take();
  ASSERT_EQ(events.size(), 3U);
  EXPECT_EQ(events[0].kind, Event::Kind::readable);
  EXPECT_EQ(events[1].kind, Event::Kind::released);
  EXPECT_EQ(events[2].kind, Event::Kind::closed);
}

TEST_F(Events, a_splice_asked_for_both_gets_sent_before_released) {
  SpliceOp& op = *pool.take();
  op.user_data = 9;
  notifier.post(op, SpliceOp::event_sent);
  notifier.post(op, SpliceOp::event_released);
  EXPECT_EQ(take(1).at(0).kind, Event::Kind::sent);
  EXPECT_TRUE(done.empty());
  EXPECT_EQ(take(1).at(0).kind, Event::Kind::released);
  EXPECT_EQ(done, std::vector{&op});
}

TEST_F(Events, the_event_descriptor_is_readable_exactly_while_something_may_wait) {
  eventfd_t count = 0;
  notifier.post(*pool.take(), SpliceOp::event_released);
  notifier.publish();
  notifier.publish();
  EXPECT_EQ(::eventfd_read(notifier.event_fd(), &count), 0);
  ASSERT_EQ(::eventfd_write(notifier.event_fd(), 1), 0);
  EXPECT_EQ(take().size(), 1U);
  EXPECT_NE(::eventfd_read(notifier.event_fd(), &count), 0);
}

TEST(SplicePool, knows_a_stale_id) {
  SplicePool pool(1);
  SpliceOp& op = *pool.take();
  const std::uint64_t id = op.id();
  EXPECT_EQ(pool.find(id), &op);
  EXPECT_EQ(pool.take(), nullptr);
  pool.give_back(op);
  EXPECT_EQ(pool.find(id), nullptr);
  ASSERT_NE(pool.take(), nullptr);
  EXPECT_EQ(pool.find(id), nullptr);
}

TEST(FlowTable, finds_what_was_inserted_and_nothing_else) {
  FlowTable table(100, 3, 64, {3, 4});
  const FlowKey a{{10, 0, 0, 2}, 1000, 80};
  const FlowKey b{{10, 0, 0, 2}, 1001, 80};
  Flow* flow = table.insert(a);
  ASSERT_NE(flow, nullptr);
  EXPECT_EQ(table.find(a), flow);
  EXPECT_EQ(table.find(b), nullptr);
  EXPECT_NE(table.insert(b), nullptr);
  EXPECT_NE(table.insert({{10, 0, 0, 3}, 1000, 80}), nullptr);
  EXPECT_EQ(table.insert({{10, 0, 0, 4}, 1000, 80}), nullptr) << "all slots are taken";
  table.remove(*flow);
  EXPECT_EQ(table.find(a), nullptr);
  table.recycle(*flow);
  EXPECT_EQ(table.insert({{10, 0, 0, 4}, 1000, 80}), flow);
}

TEST(SendStream, finds_splices_by_offset_and_closes_the_gap_of_one_taken_out) {
  SplicePool pool(3);
  SendStream stream;
  std::array<SpliceOp*, 3> ops{pool.take(), pool.take(), pool.take()};
  for (SpliceOp* op : ops) {
    op->header.resize(10);
    stream.append(*op);
  }
  EXPECT_EQ(stream.find(0), ops[0]);
  EXPECT_EQ(stream.find(25), ops[2]);
  EXPECT_EQ(stream.find(10), ops[1]);
  stream.remove_unsent(*ops[1]);
  EXPECT_EQ(stream.end(), 20U);
  EXPECT_EQ(stream.find(10), ops[2]);
  stream.pop_front();
  EXPECT_EQ(stream.head(), ops[2]);
  stream.pop_front();
  EXPECT_TRUE(stream.empty());
  ops[0]->header.resize(5);
  stream.append(*ops[0]);
  EXPECT_EQ(ops[0]->stream_begin, 20U);
  EXPECT_EQ(stream.find(20), ops[0]);
}

TEST(SlotShares, give_every_slot_to_exactly_one_loop_and_no_loop_much_more_than_another) {
  for (const std::uint32_t loops : {1U, 2U, 3U, 7U, 256U}) {
    for (const std::uint32_t slots : {256U, 257U, 1'000U, 4096U, 1'000'000U}) {
      SCOPED_TRACE(std::to_string(slots) + " for " + std::to_string(loops));
      const SlotShares shares(slots, loops);
      std::uint32_t next = 0;
      for (std::uint32_t loop = 0; loop < loops; ++loop) {
        ASSERT_EQ(shares.first(loop), next);
        ASSERT_GE(shares.count(loop), slots / loops);
        ASSERT_LE(shares.count(loop), slots / loops + 1);
        next += shares.count(loop);
        EXPECT_EQ(shares.owner(shares.first(loop)), loop);
        EXPECT_EQ(shares.owner(next - 1), loop);
      }
      EXPECT_EQ(next, slots);
    }
  }
}

class HandOverRing : public ::testing::Test {
 protected:
  static std::vector<std::byte> frame(std::size_t length, unsigned first) {
    std::vector<std::byte> bytes(length);
    for (std::size_t i = 0; i < length; ++i)
      bytes[i] = static_cast<std::byte>(first + i);
    return bytes;
  }
  WakeUp wake_up{UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))};
  HandOver ring{4, 100, wake_up};
};

TEST_F(HandOverRing, keeps_copies_in_order_and_refuses_what_it_has_no_room_for) {
  HandOver::Segment segment;
  EXPECT_TRUE(ring.empty());
  EXPECT_FALSE(ring.front(segment));
  EXPECT_FALSE(ring.push(frame(101, 0), 0)) << "longer than a slot";
  for (unsigned round = 0; round < 10; ++round) {
    for (unsigned i = 0; i < 4; ++i)
      EXPECT_TRUE(ring.push(frame(97 + i, round + i), i));
    EXPECT_FALSE(ring.push(frame(1, 9), 9)) << "full";
    for (unsigned i = 0; i < 4; ++i) {
      EXPECT_FALSE(ring.empty());
      ASSERT_TRUE(ring.front(segment));
      EXPECT_EQ(segment.origin, i);
      const std::vector<std::byte> wanted = frame(97 + i, round + i);
      EXPECT_TRUE(
          std::equal(segment.frame.begin(), segment.frame.end(), wanted.begin(), wanted.end()));
      ring.pop();
    }
    EXPECT_TRUE(ring.empty());
  }
}

TEST_F(HandOverRing, wakes_a_consumer_that_sleeps_and_keeps_order) {
  constexpr std::uint32_t segments = 20'000;
  std::atomic<std::uint32_t> taken = 0;
  std::jthread producer([&](const std::stop_token& stop) {
    for (std::uint32_t i = 0; i < segments && !stop.stop_requested(); ++i) {
      while (!ring.push(frame(1 + i % 100, i), i) && !stop.stop_requested())
        std::this_thread::yield();
      ring.wake_consumer();
      // Now and then the consumer gets everything and goes to sleep.
      while (i % 16 == 0 && taken <= i && !stop.stop_requested())
        std::this_thread::yield();
    }
  });
  while (taken < segments) {
    HandOver::Segment segment;
    while (ring.front(segment)) {
      ASSERT_EQ(segment.origin, taken);
      ASSERT_TRUE(std::ranges::equal(segment.frame, frame(1 + taken % 100, taken)));
      ring.pop();
      ++taken;
    }
    if (taken == segments) break;
    wake_up.prepare();
    if (ring.empty()) {
      pollfd entry{wake_up.fd(), POLLIN, 0};
      ASSERT_EQ(::poll(&entry, 1, 60'000), 1) << "a wake-up got lost";
      wake_up.clear();
    }
    wake_up.done();
  }
}

}  // namespace
}  // namespace strictsend::engine
