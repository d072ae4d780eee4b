// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "engine/flow/datagram_flow.hpp"
#include "nic/port.hpp"

namespace strictsend::engine {

/// Keeps datagram flows told where they go, where a kernel stands behind the port: asks it on a
/// thread of its own, often while an answer is waited for and once a second afterwards, so that its
/// entries stay confirmed although it sends nothing itself, and failing over is seen.
///
/// Owned by the engine; the flows and what it calls outlive it. Its thread alone waits for the
/// kernel; a call here waits for the thread to note an answer down.
class NextHopKeeper {
 public:
  using Ask = std::function<Result<nic::NextHop>(const nic::RouteQuery&)>;
  using Tell = std::function<void(DatagramFlow&)>;
  static constexpr Duration soon = milliseconds(20);
  static constexpr Duration interval = seconds(1);

  /// `tell` is called after a flow's next hop has changed.
  NextHopKeeper(Ask ask, Tell tell);
  NextHopKeeper(const NextHopKeeper&) = delete;
  NextHopKeeper& operator=(const NextHopKeeper&) = delete;
  ~NextHopKeeper();

  // Any thread.
  void add(DatagramFlow& flow, const nic::RouteQuery& query);
  /// When it returns, the flow is touched no more.
  void remove(const DatagramFlow& flow);

 private:
  struct Entry {
    DatagramFlow* flow = nullptr;
    std::uint64_t serial = 0;  ///< a slot's next flow is another one
    nic::RouteQuery query;
    Time ask_at;
  };

  void run();
  void note(std::uint64_t serial, const nic::NextHop& hop);

  const Ask ask_;
  const Tell tell_;
  std::mutex mutex_;  ///< guards the rest
  std::condition_variable changed_;
  std::vector<Entry> entries_;
  std::uint64_t serials_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace strictsend::engine
