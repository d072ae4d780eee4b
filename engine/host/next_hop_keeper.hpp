// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "base/result.hpp"
#include "engine/flow/datagram_flow.hpp"
#include "engine/host/next_hop_book.hpp"
#include "nic/port.hpp"

namespace strictsend::engine {

/// Keeps datagram flows told where they go, where a kernel stands behind the port: asks it on a
/// thread of its own, often while an answer is waited for and once a second afterwards, so that its
/// entries stay confirmed although it sends nothing itself, and failing over is seen.
///
/// Every question is asked on that thread, which is of the network namespace of whoever starts it:
/// so it is the kernel behind the engine's port that answers, wherever the thread is that opens a
/// flow. Owned by the engine; the flows and what it calls outlive it.
class NextHopKeeper {
 public:
  using Ask = std::function<Result<nic::NextHop>(const nic::RouteQuery&)>;
  using Tell = NextHopBook::Tell;

  /// `ask` and `tell` are called on the keeper's thread; `tell`, after a flow's next hop has
  /// changed, may not call back.
  static Result<std::unique_ptr<NextHopKeeper>> start(Ask ask, Tell tell);
  NextHopKeeper(const NextHopKeeper&) = delete;
  NextHopKeeper& operator=(const NextHopKeeper&) = delete;
  ~NextHopKeeper() { stop(); }

  // Any thread.
  /// Asks once, at once; waits for the answer. ESHUTDOWN: the keeper has been stopped.
  [[nodiscard]] Result<nic::NextHop> ask(const nic::RouteQuery& query);
  /// Does not wait for the kernel, and nor does the next.
  void add(DatagramFlow& flow, const nic::RouteQuery& query);
  /// When it returns, the flow is touched no more.
  void remove(const DatagramFlow& flow);

  /// Ends the thread and whoever waits for an answer: when it returns, nothing is asked any more.
  /// One thread; idempotent.
  void stop();

 private:
  /// What somebody waits for, on their stack.
  struct Question {
    const nic::RouteQuery query;
    std::optional<Result<nic::NextHop>> answer;
  };

  NextHopKeeper(Ask ask, Tell tell);
  void run();
  /// Asks the kernel, without the lock.
  [[nodiscard]] Result<nic::NextHop> ask_unlocked(std::unique_lock<std::mutex>& lock,
                                                  const nic::RouteQuery& query);

  const Ask ask_;
  const Tell tell_;
  std::mutex mutex_;  ///< guards the rest but the thread; never held while the kernel is asked
  std::condition_variable changed_;
  std::condition_variable answered_;
  NextHopBook book_;
  std::deque<Question*> questions_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace strictsend::engine
