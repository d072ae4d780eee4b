// SPDX-License-Identifier: Apache-2.0
#include "engine/host/next_hop_keeper.hpp"

#include <cerrno>
#include <chrono>
#include <utility>

#include "base/thread.hpp"

namespace strictsend::engine {

Result<std::unique_ptr<NextHopKeeper>> NextHopKeeper::start(Ask ask, Tell tell) {
  std::unique_ptr<NextHopKeeper> made(new NextHopKeeper(std::move(ask), std::move(tell)));
  auto thread = start_thread("strictsend-hops", [raw = made.get()] { raw->run(); });
  if (!thread) return tl::unexpected(thread.error());
  made->thread_ = *std::move(thread);
  return made;
}

NextHopKeeper::NextHopKeeper(Ask ask, Tell tell) : ask_(std::move(ask)), tell_(std::move(tell)) {}

void NextHopKeeper::stop() {
  if (!thread_.joinable()) return;  // stopped, or never started
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

Result<nic::NextHop> NextHopKeeper::ask(const nic::RouteQuery& query) {
  Question question{query, std::nullopt};
  std::unique_lock lock(mutex_);
  if (stopping_) return fail("next hop", ESHUTDOWN, "the engine has been stopped");
  questions_.push_back(&question);
  changed_.notify_all();
  answered_.wait(lock, [&question] { return question.answer.has_value(); });
  return *std::move(question.answer);
}

void NextHopKeeper::add(DatagramFlow& flow, const nic::RouteQuery& query) {
  {
    const std::lock_guard lock(mutex_);
    book_.add(flow, query);
  }
  changed_.notify_all();
}

void NextHopKeeper::remove(const DatagramFlow& flow) {
  const std::lock_guard lock(mutex_);
  book_.remove(flow);
}

void NextHopKeeper::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (!questions_.empty()) {
      Question& question = *questions_.front();
      questions_.pop_front();
      question.answer = ask_unlocked(lock, question.query);
      answered_.notify_all();
      continue;
    }
    const Time ask_at = book_.ask_at();
    if (ask_at == Time::never()) {
      changed_.wait(lock);
      continue;
    }
    const Duration wait = ask_at - monotonic_now();
    if (wait > Duration{}) {
      changed_.wait_for(lock, std::chrono::nanoseconds(wait.ns));
      continue;
    }
    const nic::RouteQuery query = book_.next();
    const Result<nic::NextHop> answer = ask_unlocked(lock, query);
    book_.answered(query, answer, monotonic_now(), tell_);
  }
  for (Question* question : questions_)
    question->answer = fail("next hop", ESHUTDOWN, "the engine has been stopped");
  answered_.notify_all();
}

Result<nic::NextHop> NextHopKeeper::ask_unlocked(std::unique_lock<std::mutex>& lock,
                                                 const nic::RouteQuery& query) {
  lock.unlock();
  Result<nic::NextHop> answer = ask_(query);
  lock.lock();
  return answer;
}

}  // namespace strictsend::engine
