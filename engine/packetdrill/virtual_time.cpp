// SPDX-License-Identifier: Apache-2.0
#include "engine/packetdrill/virtual_time.hpp"

#include <algorithm>
#include <chrono>

#include "engine/packetdrill/virtual_stack.hpp"

namespace strictsend::packetdrill {
namespace {

// Real time: only with a caller that never comes back, or a script that has ended, are these
// reached.
constexpr auto return_limit = std::chrono::seconds(10);
constexpr auto wait_limit = std::chrono::seconds(60);
constexpr auto going_on_time = std::chrono::milliseconds(2);

}  // namespace

void VirtualTime::enter() {
  if (std::erase(returning_, std::this_thread::get_id()) == 0) return;
  has_returned_ = true;
  changed_.notify_all();
}

void VirtualTime::let_returned_go_on(Lock& lock) {
  if (!has_returned_) return;
  has_returned_ = false;
  lock.unlock();
  std::this_thread::sleep_for(going_on_time);
  lock.lock();
}

void VirtualTime::release_waits(Lock& lock) {
  for (Wait* wait : waits_) {
    if (wait->over || !((*wait->condition)() || now_ >= wait->deadline)) continue;
    wait->over = true;
    changed_.notify_all();
  }
  const std::thread::id self = std::this_thread::get_id();
  const auto all_are_back = [this, self] {
    return std::ranges::none_of(waits_, [](const Wait* wait) { return wait->over; }) &&
           std::ranges::all_of(returning_, [self](std::thread::id id) { return id == self; });
  };
  if (!changed_.wait_for(lock, return_limit, all_are_back)) returning_.clear();
}

bool VirtualTime::pass(Lock& lock, Time until, const Condition& condition) {
  while (true) {
    release_waits(lock);
    if (condition()) return true;
    if (now_ >= until) return false;
    Time next = until;
    for (const Wait* wait : waits_)
      next = std::min(next, wait->deadline);
    if (stack_ != nullptr) next = std::min(next, stack_->next_event());
    // A timer's tick may be told a little early: time goes on all the same.
    now_ = std::max(next, now_ + nanoseconds(1));
    if (stack_ != nullptr) stack_->move_to(now_);
  }
}

bool VirtualTime::wait(Lock& lock, Time deadline, const Condition& condition) {
  if (condition()) return true;
  if (now_ >= deadline) return false;
  if (std::this_thread::get_id() == main_thread_) return pass(lock, deadline, condition);
  enter();
  Wait wait{deadline, &condition};
  waits_.push_back(&wait);
  changed_.wait_for(lock, wait_limit, [&wait] { return wait.over; });
  std::erase(waits_, &wait);
  returning_.push_back(std::this_thread::get_id());
  changed_.notify_all();
  return condition();
}

}  // namespace strictsend::packetdrill
