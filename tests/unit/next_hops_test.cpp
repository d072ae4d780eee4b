// SPDX-License-Identifier: Apache-2.0
// Where datagrams go where a kernel knows: what its answers mean, in times of their own; and the
// thread that asks.
#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <mutex>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "engine/host/answer_wait.hpp"
#include "engine/host/next_hop_book.hpp"
#include "engine/host/next_hop_keeper.hpp"

namespace strictsend::engine {
namespace {

using State = nic::NextHop::State;
constexpr Time start{0};

// How "nobody answers" becomes an answer.

TEST(AnswerWait, lasts_until_the_neighbour_is_found) {
  AnswerWait wait;
  EXPECT_EQ(wait.after(State::asking, start), State::asking);
  EXPECT_EQ(wait.after(State::asking, start + milliseconds(4999)), State::asking);
  EXPECT_EQ(wait.after(State::found, start + seconds(9)), State::found);
  EXPECT_FALSE(wait.waits());
}

TEST(AnswerWait, ends_after_its_limit_although_others_go_on_asking) {
  AnswerWait wait;
  EXPECT_EQ(wait.after(State::asking, start), State::asking);
  EXPECT_EQ(wait.after(State::asking, start + AnswerWait::limit), State::unreachable);
  EXPECT_EQ(wait.after(State::asking, start + AnswerWait::limit), State::asking)
      << "whoever comes next begins anew";
}

TEST(AnswerWait, takes_what_was_found_out_before_it_for_no_answer) {
  AnswerWait wait;
  EXPECT_EQ(wait.after(State::unreachable, start), State::asking);
  EXPECT_EQ(wait.after(State::unreachable, start + milliseconds(1)), State::unreachable);
}

TEST(AnswerWait, begins_anew_once_it_was_forgotten) {
  AnswerWait wait;
  EXPECT_EQ(wait.after(State::asking, start), State::asking);
  wait.forget();
  EXPECT_EQ(wait.after(State::unreachable, start + seconds(60)), State::asking);
  EXPECT_EQ(wait.after(State::asking, start + seconds(60) + AnswerWait::limit), State::unreachable);
}

// What is asked when, and what it means.

constexpr nic::MacAddress peer_mac{2, 0, 0, 0, 0, 2};
constexpr nic::NextHop found{State::found, peer_mac};
constexpr nic::NextHop asking{State::asking, {}};
constexpr nic::NextHop unreachable{State::unreachable, {}};

nic::RouteQuery to(std::uint8_t host) {
  return {.source = {10, 0, 0, 1}, .peer = {10, 0, 0, host}, .vlan_id = {}};
}
nic::NextHop word_of(const DatagramFlow& flow) {
  return unpack_next_hop(flow.next_hop.load(std::memory_order_relaxed));
}

class Book : public ::testing::Test {
 protected:
  void answer(const nic::RouteQuery& query, const Result<nic::NextHop>& with) {
    told.clear();
    book.answered(query, with, now, [this](DatagramFlow& flow) { told.push_back(&flow); });
  }
  /// Gives the same answer, whenever it is asked for, for so long.
  void answer_for(Duration duration, const nic::RouteQuery& query,
                  const Result<nic::NextHop>& with) {
    for (const Time end = now + duration; book.ask_at() < end;) {
      now = std::max(now, book.ask_at());
      answer(query, with);
    }
    now = std::max(now, book.ask_at());
  }

  Time now = Time{} + seconds(100);
  NextHopBook book;
  std::array<DatagramFlow, 3> flows;
  std::vector<DatagramFlow*> told;
};

TEST_F(Book, asks_soon_while_it_waits_and_now_and_then_afterwards) {
  EXPECT_EQ(book.ask_at(), Time::never());
  book.add(flows[0], to(2));
  EXPECT_LE(book.ask_at(), now);
  EXPECT_EQ(book.next(), to(2));
  answer(to(2), asking);
  EXPECT_EQ(book.ask_at(), now + NextHopBook::soon);
  EXPECT_TRUE(told.empty()) << "it was asking before";
  answer(to(2), found);
  EXPECT_EQ(book.ask_at(), now + NextHopBook::interval);
  EXPECT_EQ(told, std::vector{&flows[0]});
  EXPECT_EQ(word_of(flows[0]), found);
}

TEST_F(Book, asks_once_for_all_flows_that_want_to_know_the_same) {
  book.add(flows[0], to(2));
  book.add(flows[1], to(3));
  book.add(flows[2], to(2));
  answer(to(2), found);
  EXPECT_EQ(told, (std::vector{&flows[0], &flows[2]}));
  EXPECT_EQ(book.next(), to(3));
  answer(to(3), found);
  EXPECT_EQ(book.ask_at(), now + NextHopBook::interval);

  book.remove(flows[0]);
  answer(to(2), unreachable);
  answer(to(2), unreachable);
  EXPECT_EQ(told, std::vector{&flows[2]});
  EXPECT_EQ(word_of(flows[0]), found) << "not touched any more";
  book.remove(flows[2]);
  book.remove(flows[1]);
  EXPECT_EQ(book.ask_at(), Time::never());
  answer(to(2), found);
  EXPECT_TRUE(told.empty()) << "too late";
}

TEST_F(Book, asks_anew_for_a_flow_that_joins) {
  book.add(flows[0], to(2));
  answer(to(2), found);
  book.add(flows[1], to(2));
  EXPECT_LE(book.ask_at(), now);
  answer(to(2), found);
  EXPECT_EQ(told, std::vector{&flows[1]});
}

TEST_F(Book, calls_a_neighbour_unreachable_in_time_whoever_else_asks_for_it) {
  // Both are behind one dead router, and the kernel begins to ask again as soon as one has seen
  // that it failed: so the other may never see that.
  book.add(flows[0], to(2));
  const Time begin = now;
  answer_for(AnswerWait::limit - milliseconds(1), to(2), asking);
  EXPECT_EQ(word_of(flows[0]), asking);
  answer(to(2), asking);
  EXPECT_EQ(word_of(flows[0]), unreachable);
  EXPECT_LE(now - begin, AnswerWait::limit + NextHopBook::soon);
}

TEST_F(Book, keeps_the_last_answer_while_it_cannot_ask) {
  const Result<nic::NextHop> failed = fail("netlink socket", EMFILE);
  book.add(flows[0], to(2));
  answer(to(2), found);
  now = book.ask_at();
  answer(to(2), failed);
  EXPECT_TRUE(told.empty());
  EXPECT_EQ(book.ask_at(), now + NextHopBook::soon);
  answer_for(seconds(4), to(2), failed);
  EXPECT_EQ(word_of(flows[0]), found);
  answer(to(2), found);
  EXPECT_TRUE(told.empty());

  now = book.ask_at();
  answer(to(2), failed);
  answer_for(seconds(5), to(2), failed);
  answer(to(2), failed);
  EXPECT_EQ(word_of(flows[0]), unreachable) << "a route that is gone for good";
  answer_for(seconds(3), to(2), failed);
  EXPECT_EQ(word_of(flows[0]), unreachable) << "and stays gone";
  answer(to(2), found);
  EXPECT_EQ(word_of(flows[0]), found);
}

// The thread that asks.

TEST(NextHopKeeper, asks_on_its_own_thread_and_tells_the_flow) {
  DatagramFlow flow;
  std::atomic<int> told = 0;
  std::thread::id asker;
  auto keeper = NextHopKeeper::start(
      [&](const nic::RouteQuery& query) -> Result<nic::NextHop> {
        asker = std::this_thread::get_id();
        if (query == to(2)) return found;
        return fail("route", ENETUNREACH, "there is none");
      },
      [&](DatagramFlow& which) { told += &which == &flow ? 1 : 100; });
  ASSERT_TRUE(keeper) << keeper.error().message();
  const auto refused = (*keeper)->ask(to(9));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().errno_value, ENETUNREACH);
  EXPECT_NE(asker, std::this_thread::get_id());
  EXPECT_EQ((*keeper)->ask(to(2)).value(), found);
  (*keeper)->add(flow, to(2));
  for (int i = 0; i < 10'000 && told == 0; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(told, 1);
  EXPECT_EQ(word_of(flow), found);
  (*keeper)->stop();
  (*keeper)->stop();
  EXPECT_EQ((*keeper)->ask(to(2)).error().errno_value, ESHUTDOWN);
  (*keeper)->remove(flow);
}

TEST(NextHopKeeper, makes_nobody_wait_for_the_kernel_but_who_asks) {
  DatagramFlow flow;
  std::mutex kernel;
  std::atomic<bool> asked = false;
  auto keeper = NextHopKeeper::start(
      [&](const nic::RouteQuery&) -> Result<nic::NextHop> {
        asked = true;
        const std::lock_guard answers(kernel);
        return found;
      },
      [](DatagramFlow&) {});
  ASSERT_TRUE(keeper) << keeper.error().message();
  {
    const std::lock_guard hangs(kernel);
    (*keeper)->add(flow, to(2));
    while (!asked)
      std::this_thread::yield();
    (*keeper)->remove(flow);
    (*keeper)->add(flow, to(3));
    (*keeper)->remove(flow);
  }
  (*keeper)->stop();
  EXPECT_EQ(word_of(flow), asking) << "the flow was removed before the answer came";
}

TEST(NextHopKeeper, is_stopped_while_many_threads_use_it) {
  std::array<DatagramFlow, 4> flows;
  std::atomic<int> told = 0;
  auto keeper = NextHopKeeper::start(
      [count = 0](const nic::RouteQuery&) mutable -> Result<nic::NextHop> {
        if (++count % 3 == 0) return fail("netlink socket", EMFILE);
        return count % 2 == 0 ? found : asking;
      },
      [&told](DatagramFlow&) { ++told; });
  ASSERT_TRUE(keeper) << keeper.error().message();
  std::vector<std::thread> threads;
  for (DatagramFlow& flow : flows) {
    threads.emplace_back([&keeper = **keeper, &flow] {
      while (true) {
        const auto answer = keeper.ask(to(2));
        if (!answer && answer.error().errno_value == ESHUTDOWN) return;
        keeper.add(flow, to(2));
        keeper.remove(flow);
        flow.next_hop.store(pack(asking), std::memory_order_relaxed);
      }
    });
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  (*keeper)->stop();
  for (std::thread& thread : threads)
    thread.join();
}

}  // namespace
}  // namespace strictsend::engine
