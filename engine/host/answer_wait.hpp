// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>

#include "base/clock.hpp"
#include "nic/port.hpp"

namespace strictsend::engine {

/// How "nobody answers" becomes an answer for one who waits to send: what is seen of the neighbour
/// goes in, what is to be made of it comes out. The neighbour's entry alone does not say, for
/// others ask through it too: they may have begun long before, and begin again as soon as it has
/// failed. Pure: the time is given.
class AnswerWait {
 public:
  using State = nic::NextHop::State;
  /// Longer than all requests of one neighbour take: Neighbours::requests_max, and the kernel's
  /// mcast_solicit.
  static constexpr Duration limit = seconds(5);

  [[nodiscard]] State after(State seen, Time now) {
    if (seen == State::found) {
      forget();
      return seen;
    }
    // Unreachable is an answer only to whoever has asked: it may be long ago that it was found so.
    if (since_ && (seen == State::unreachable || now - *since_ >= limit)) {
      forget();
      return State::unreachable;
    }
    if (!since_) since_ = now;
    return State::asking;
  }
  /// Nothing waits any more: whoever comes next begins anew.
  void forget() { since_.reset(); }
  [[nodiscard]] bool waits() const { return since_.has_value(); }

 private:
  std::optional<Time> since_;  ///< it has been asked
};

}  // namespace strictsend::engine
