// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "engine/flow/datagram_flow.hpp"
#include "engine/host/answer_wait.hpp"
#include "nic/port.hpp"

namespace strictsend::engine {

/// Which datagram flows want to know where which peer is, when the kernel is to be asked about it,
/// and what its answers mean to them. What several flows ask is asked once. Decisions only: times
/// and answers come in, and go out to the flows' words.
class NextHopBook {
 public:
  using Tell = std::function<void(DatagramFlow&)>;
  static constexpr Duration soon = milliseconds(20);  ///< while an answer is waited for
  static constexpr Duration interval = seconds(1);    ///< so that entries stay confirmed

  void add(DatagramFlow& flow, const nic::RouteQuery& query);
  void remove(const DatagramFlow& flow);

  /// When to ask next; never: there is nothing to be asked.
  [[nodiscard]] Time ask_at() const;
  /// What to ask then. There must be something.
  [[nodiscard]] nic::RouteQuery next() const;
  /// `tell` is called with each flow whose next hop has changed. Not being able to ask, or a route
  /// that is missing for a moment, says nothing of the neighbour: the last answer holds until that
  /// has lasted as long as a neighbour may stay silent.
  void answered(const nic::RouteQuery& query, const Result<nic::NextHop>& answer, Time now,
                const Tell& tell);

 private:
  struct Entry {
    nic::RouteQuery query;
    Time ask_at;
    AnswerWait wait;
    std::vector<DatagramFlow*> flows;
  };

  std::vector<Entry> entries_;
};

}  // namespace strictsend::engine
