// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

#include "apps/http/clock.hpp"
#include <strictsend/engine.hpp>

namespace strictsend::serve {

/// What a response on its way answers, kept for its log line.
struct Transfer {
  ConnectionId connection;
  std::uint64_t splice_id = 0;
  bool has_file = false;
  int status = 0;
  std::string peer;
  std::string method;
  std::string target;
  http::TimePoint began;
};

/// The responses between submit and `released`, by the user_data of their splices. The server's, on
/// its thread.
class Transfers {
 public:
  /// For the next splice; never the same twice.
  [[nodiscard]] std::uint64_t next_key() { return ++last_key_; }
  void add(std::uint64_t key, Transfer transfer) { map_.emplace(key, std::move(transfer)); }
  /// Nothing: it is not one of the server's (others may use the engine too).
  [[nodiscard]] std::optional<Transfer> remove(std::uint64_t key) {
    auto node = map_.extract(key);
    if (node.empty()) return std::nullopt;
    return std::move(node.mapped());
  }
  [[nodiscard]] std::size_t size() const { return map_.size(); }

 private:
  std::uint64_t last_key_ = 0;
  std::unordered_map<std::uint64_t, Transfer> map_;
};

}  // namespace strictsend::serve
