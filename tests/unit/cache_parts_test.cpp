// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "base/fair_lock.hpp"
#include "pagecache/arena.hpp"
#include "pagecache/checksum_memo.hpp"
#include "pagecache/frame_allocator.hpp"
#include "pagecache/page_table.hpp"
#include "pagecache/pin.hpp"
#include "pagecache/preserve_step.hpp"
#include "pagecache/sparse_bits.hpp"

namespace strictsend::pagecache {
namespace {

using Action = PreserveAction;
using Event = PreserveEvent;

/// Runs the decision with these answers from the world and returns all that it wants done.
std::vector<Action> decided(std::vector<Event> events) {
  std::vector<Action> actions;
  PreserveState state;
  for (const Event event : events) {
    EXPECT_NE(state.phase, PreservePhase::done);
    const PreserveStep next = step(state, event);
    actions.insert(actions.end(), next.actions.begin(), next.actions.end());
    state = next.state;
  }
  EXPECT_EQ(state.phase, PreservePhase::done);
  return actions;
}

TEST(PreserveStep, a_page_that_nobody_needs_is_lifted_at_once) {
  EXPECT_EQ(decided({Event::examined_idle}), (std::vector{Action::lift}));
}

TEST(PreserveStep, a_needed_page_without_descriptor_is_copied_and_written_in_place) {
  EXPECT_EQ(decided({Event::examined_needed, Event::spare_taken, Event::marked_idle}),
            (std::vector{Action::take_spare, Action::copy_to_spare, Action::mark, Action::read_pins,
                         Action::spare_into_history, Action::unmark, Action::lift}));
}

TEST(PreserveStep, a_needed_page_under_a_descriptor_sends_the_writer_elsewhere) {
  EXPECT_EQ(
      decided({Event::examined_needed_pinned, Event::spare_taken, Event::marked_pinned,
               Event::writer_moved}),
      (std::vector{Action::take_spare, Action::copy_to_spare, Action::mark, Action::read_pins,
                   Action::unmark, Action::move_writer, Action::mark, Action::current_into_history,
                   Action::spare_becomes_current, Action::unmark}));
}

TEST(PreserveStep, a_page_under_a_descriptor_that_no_snapshot_needs_gets_no_history) {
  EXPECT_EQ(decided({Event::examined_pinned, Event::spare_taken, Event::marked_pinned,
                     Event::writer_moved}),
            (std::vector{Action::take_spare, Action::copy_to_spare, Action::mark, Action::read_pins,
                         Action::unmark, Action::move_writer, Action::mark,
                         Action::spare_becomes_current, Action::unmark, Action::old_frame_waits}));
}

TEST(PreserveStep, a_pin_that_goes_or_comes_before_the_mark_decides) {
  // Gone: nothing to keep, the spare goes back.
  EXPECT_EQ(decided({Event::examined_pinned, Event::spare_taken, Event::marked_idle}),
            (std::vector{Action::take_spare, Action::copy_to_spare, Action::mark, Action::read_pins,
                         Action::unmark, Action::free_spare, Action::lift}));
  // Come: redirect.
  const std::vector<Action> actions = decided(
      {Event::examined_needed, Event::spare_taken, Event::marked_pinned, Event::writer_moved});
  EXPECT_EQ(actions.back(), Action::unmark);
  EXPECT_EQ(std::count(actions.begin(), actions.end(), Action::lift), 0);
}

TEST(PreserveStep, what_cannot_be_done_is_put_off_with_nothing_changed) {
  EXPECT_EQ(decided({Event::examined_needed, Event::spare_refused}),
            (std::vector{Action::take_spare, Action::defer}));
  const std::vector<Action> actions = decided(
      {Event::examined_needed, Event::spare_taken, Event::marked_pinned, Event::move_refused});
  EXPECT_EQ(actions[actions.size() - 2], Action::free_spare);
  EXPECT_EQ(actions.back(), Action::defer);
  EXPECT_EQ(std::count(actions.begin(), actions.end(), Action::mark),
            std::count(actions.begin(), actions.end(), Action::unmark));
}

TEST(SparseBits, finds_its_members_like_a_plain_set) {
  constexpr std::uint64_t size = 300'000;
  SparseBits bits(size);
  std::set<std::uint64_t> members;
  std::mt19937_64 random(7);
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t index = random() % size;
    switch (random() % 4) {
      case 0:
        bits.clear(index);
        members.erase(index);
        break;
      case 1: {
        const std::uint64_t end = std::min(size, index + random() % 100);
        bits.clear_range(index, end);
        members.erase(members.lower_bound(index), members.lower_bound(end));
        break;
      }
      default:
        bits.set(index);
        members.insert(index);
    }
    const std::uint64_t from = random() % size;
    const std::uint64_t end = from + random() % (size - from);
    const auto next = members.lower_bound(from);
    ASSERT_EQ(bits.next(from, end), next == members.end() ? end : std::min(*next, end));
    ASSERT_EQ(bits.test(from), members.count(from) == 1);
    ASSERT_EQ(bits.count(), members.size());
    if (members.count(from) == 0 && from < end) {
      ASSERT_EQ(bits.next_clear(from, end), from);
    }
  }
}

TEST(SparseBits, an_empty_gigabyte_is_passed_in_a_few_steps_and_growth_keeps_members) {
  SparseBits bits(10);
  bits.set(9);
  bits.resize(std::uint64_t{1} << 24);
  EXPECT_EQ(bits.next(0, bits.size()), 9U);
  EXPECT_EQ(bits.next(10, bits.size()), bits.size());
  bits.set((1U << 24) - 1);
  EXPECT_EQ(bits.next(10, bits.size()), (1U << 24) - 1);
  bits.set_range(64, 200);
  EXPECT_EQ(bits.next_clear(64, 1000), 200U);
}

class FrameAllocatorTest : public ::testing::Test {
 protected:
  FrameTable frames{40};
  ChecksumMemo memo{40};
  FrameAllocator allocator{frames,
                           memo,
                           nullptr,
                           FrameIndex{1},
                           FrameIndex{32},
                           FrameIndex{40},
                           FrameAllocator::Order::fifo};
};

TEST_F(FrameAllocatorTest, gives_one_run_where_there_is_one_and_pieces_where_there_is_none) {
  std::vector<FrameRun> first;
  ASSERT_TRUE(allocator.allocate(10, first));
  ASSERT_EQ(first.size(), 1U);
  std::vector<FrameRun> second;
  ASSERT_TRUE(allocator.allocate(10, second));
  allocator.retire(first);
  std::vector<FrameRun> third;
  ASSERT_TRUE(allocator.allocate(21, third));
  EXPECT_EQ(third.size(), 2U);
  EXPECT_EQ(third[0].count + third[1].count, 21U);
  std::vector<FrameRun> none;
  EXPECT_FALSE(allocator.allocate(1, none));
  EXPECT_TRUE(none.empty());
}

TEST_F(FrameAllocatorTest, files_never_take_the_reserve_but_the_guard_takes_what_is_left) {
  std::vector<FrameRun> runs;
  EXPECT_FALSE(allocator.allocate(32, runs));
  ASSERT_TRUE(allocator.allocate(30, runs));
  std::vector<FrameIndex> spares;
  for (FrameIndex frame = allocator.take_spare(); frame != no_frame; frame = allocator.take_spare())
    spares.push_back(frame);
  EXPECT_EQ(spares.size(), 9U);  // the reserve and the last file frame
  for (const FrameIndex frame : spares)
    allocator.retire(frame);
  allocator.retire(runs);
  EXPECT_EQ(allocator.free_frames(), allocator.total());
}

TEST_F(FrameAllocatorTest, a_pinned_frame_waits) {
  const FrameIndex frame = allocator.take_spare();
  frames[frame].pins = 1;
  allocator.retire(frame);
  EXPECT_EQ(allocator.waiting_frames(), 1U);
  EXPECT_EQ(allocator.reap_waiting(), 0U);
  frames[frame].pins = 0;
  EXPECT_EQ(allocator.reap_waiting(), 1U);
  EXPECT_EQ(allocator.free_frames(), allocator.total());
}

TEST(ChecksumMemo, every_piece_has_the_sum_of_its_bytes_and_forgets_when_told) {
  ChecksumMemo memo(2);
  std::array<std::byte, page_bytes> page{};
  std::mt19937 random(5);
  for (std::byte& byte : page)
    byte = static_cast<std::byte>(random());
  for (int i = 0; i < 5000; ++i) {
    const auto offset = static_cast<std::uint32_t>(random() % page_bytes);
    const auto length = static_cast<std::uint32_t>(random() % (page_bytes - offset + 1));
    ASSERT_EQ(fold_sum(memo.sum(FrameIndex{1}, page, offset, length)) % 0xffff,
              fold_sum(inet_sum(std::span(page).subspan(offset, length))) % 0xffff)
        << offset << "+" << length;
  }
  page[1000] ^= std::byte{1};
  memo.invalidate(FrameIndex{1});
  EXPECT_EQ(fold_sum(memo.sum(FrameIndex{1}, page, 0, page_bytes)), fold_sum(inet_sum(page)));
}

TEST(PageTable, entries_stay_where_they_are_while_it_grows) {
  PageTable table;
  table.grow(1);
  PageEntry* first = &table[PageIndex{0}];
  table.grow(100'000);
  EXPECT_EQ(&table[PageIndex{0}], first);
  EXPECT_LE(table.capacity(), 200'000U);
  for (std::uint32_t page = 0; page < 100'000; ++page)
    table[PageIndex{page}].home = page;
  for (std::uint32_t page = 0; page < 100'000; ++page)
    ASSERT_EQ(table[PageIndex{page}].home, page);
}

TEST(PinPage, reads_the_oldest_history_node_above_its_epoch) {
  FrameTable frames(10);
  PageEntry entry;
  entry.current = 1;
  entry.history = 2;  // newest: good below 9
  frames[FrameIndex{2}].bound = 9;
  frames[FrameIndex{2}].older = 3;
  frames[FrameIndex{3}].bound = 5;
  const auto frame_at = [&](std::uint64_t epoch) {
    FrameIndex frame;
    EXPECT_EQ(pin_page(entry, frames, epoch, frame), PinOutcome::pinned);
    EXPECT_EQ(frames[frame].pins.exchange(0), 1U);
    return frame.value;
  };
  EXPECT_EQ(frame_at(4), 3U);
  EXPECT_EQ(frame_at(5), 2U);
  EXPECT_EQ(frame_at(8), 2U);
  EXPECT_EQ(frame_at(9), 1U);
  entry.seq = 1;
  FrameIndex frame;
  EXPECT_EQ(pin_page(entry, frames, 4, frame), PinOutcome::busy);
}

TEST(Arena, refuses_what_the_machine_has_not_and_says_so) {
  auto arena = Arena::create(std::uint64_t{1} << 36);
  ASSERT_FALSE(arena.has_value());
  EXPECT_EQ(arena.error().errno_value, ENOMEM);
  EXPECT_NE(arena.error().hint.find("smaller cache"), std::string::npos);
}

TEST(FairLock, excludes_and_serves_everybody) {
  FairLock lock;
  std::uint64_t plain = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 2000; ++i) {
        const std::scoped_lock held(lock);
        ++plain;
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_EQ(plain, 8000U);
  EXPECT_TRUE(lock.try_lock());
  EXPECT_FALSE(lock.try_lock());
  lock.unlock();
}

}  // namespace
}  // namespace strictsend::pagecache
