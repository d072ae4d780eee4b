// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <utility>

#include "apps/http/clock.hpp"
#include <strictsend/engine.hpp>

namespace strictsend::serve {

/// What the access log tells of a request, as the client sent it; empty where there is no log.
struct AccessRecord {
  std::string address;
  std::string method;  ///< empty: the request was unreadable
  std::string target;
  int minor_version = 1;
  std::string referer;
  std::string user_agent;
  std::uint64_t head_bytes = 0;  ///< of the response, which do not count as content
};

/// What a response on its way answers, kept for its log line, and what has become of its pieces.
struct Transfer {
  ConnectionId connection;
  std::uint64_t splice_id = 0;  ///< of the first piece
  bool observed = false;
  int status = 0;
  std::string peer;
  std::string method;
  std::string target;
  http::TimePoint began;
  std::size_t pieces_left = 1;  ///< neither released nor given up
  SpliceResult result{};        ///< of those that are released, added up
  AccessRecord access{};
};

/// One piece's result into the response's.
void add(SpliceResult& sum, const SpliceResult& one);

/// A response that has ended, in the program's log at level info.
void log_transfer(const Transfer& transfer);

/// The responses between their first submit and their last `released`, by the user_data of their
/// splices: each response has one, which all its pieces share. The server's, on its thread.
class Transfers {
 public:
  /// For the next response; never the same twice.
  [[nodiscard]] std::uint64_t next_key() { return ++last_key_; }
  void add(std::uint64_t key, Transfer transfer) { map_.emplace(key, std::move(transfer)); }
  /// Null: it is not one of the server's (others may use the engine too).
  [[nodiscard]] Transfer* find(std::uint64_t key) {
    const auto found = map_.find(key);
    return found == map_.end() ? nullptr : &found->second;
  }
  /// Of one that is there.
  [[nodiscard]] Transfer remove(std::uint64_t key) { return std::move(map_.extract(key).mapped()); }
  [[nodiscard]] std::size_t size() const { return map_.size(); }

 private:
  std::uint64_t last_key_ = 0;
  std::unordered_map<std::uint64_t, Transfer> map_;
};

}  // namespace strictsend::serve
