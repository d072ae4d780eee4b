// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace strictsend::serve {

/// A few threads for what may wait for the disk. Jobs begin in the order of posting; on how many
/// wait there is no limit here: each poster has its own (a session has one request open).
///
/// Any thread may post. The destructor waits for the running jobs and throws the waiting ones away;
/// what jobs refer to must outlive it. All signals are blocked in its threads.
class WorkPool {
 public:
  explicit WorkPool(std::size_t threads);
  WorkPool(const WorkPool&) = delete;
  WorkPool& operator=(const WorkPool&) = delete;
  ~WorkPool();

  void post(std::function<void()> job);

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;  // by mutex_
  bool stopping_ = false;                   // by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace strictsend::serve
