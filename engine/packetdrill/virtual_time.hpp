// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "base/clock.hpp"

namespace strictsend::packetdrill {

class VirtualStack;

/// The clock of a script, and who waits for what on it. It moves only inside a call that lets time
/// pass, and stops at each timer and at each end of a wait.
///
/// packetdrill makes the calls that a script says will block on a thread of its own, while its main
/// thread goes on with the script. Such a thread must not move the clock past what the script does
/// next: it sleeps, in real time, until the main thread's doings let its wait end. The main thread
/// itself, if it blocks, has nobody to wait for: then time passes. And once a wait has ended, the
/// clock stands still until the thread that waited has come back to ask for the time, so that it
/// sees when its call ended.
///
/// Owned by SocketLayer, with its mutex held in every call.
class VirtualTime {
 public:
  using Condition = std::function<bool()>;
  using Lock = std::unique_lock<std::mutex>;

  /// Any, but always the same, and a whole number of everybody's timestamp ticks.
  static constexpr Time epoch = Time{seconds(1'000'000'000).ns};

  /// The calling thread is the main one.
  VirtualTime() : main_thread_(std::this_thread::get_id()) {}

  /// From here on its timers count; not owned.
  void attach(VirtualStack* stack) { stack_ = stack; }

  [[nodiscard]] Time now() const { return now_; }
  /// At the beginning of every call.
  void enter();
  /// At the end of every call that may have let somebody's wait end.
  void release_waits(Lock& lock);

  /// Lets time pass until `until`, or until the condition holds.
  bool pass(Lock& lock, Time until, const Condition& condition);
  /// At the end of a sleep: gives whose wait ended since the last one real time to note its result.
  /// packetdrill's threads do that under a lock of its own, which it lets go of while it sleeps.
  void let_returned_go_on(Lock& lock);
  /// Waits for the condition as the thread's part is (above); false: the deadline came first.
  bool wait(Lock& lock, Time deadline, const Condition& condition);

 private:
  struct Wait {
    Time deadline;
    const Condition* condition;
    bool over = false;
  };

  VirtualStack* stack_ = nullptr;
  Time now_ = epoch;
  const std::thread::id main_thread_;
  std::condition_variable changed_;
  std::vector<Wait*> waits_;
  bool has_returned_ = false;               ///< somebody, since the last sleep
  std::vector<std::thread::id> returning_;  ///< their waits are over; the clock stands for them
};

}  // namespace strictsend::packetdrill
