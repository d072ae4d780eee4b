// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "apps/serve/observer.hpp"

namespace strictsend::strictness {

/// What a server was asked for and what became of it, by the target of the request: files under
/// test are asked for with a number behind them, so that each download can be told.
///
/// The server's thread fills it in, any thread may ask.
class Submissions final : public serve::Observer {
 public:
  struct Record {
    std::int64_t begin_ns = 0;   ///< CLOCK_MONOTONIC, just before the freeze
    std::int64_t return_ns = 0;  ///< after submit returned
    unsigned times = 0;          ///< that it was asked for; the rest is the last one's
    bool released = false;
    int error = 0;  ///< of the release
  };

  Submissions() = default;
  /// Records what `only_from` asks for. Other hosts are answered all the same; that there was one
  /// is logged.
  explicit Submissions(const IpAddress& only_from) : only_from_(only_from) {}

  void on_submit(const serve::Observer::Submission& submission) override;
  void on_released(std::uint64_t splice_id, const SpliceResult& result) override;

  [[nodiscard]] std::optional<Record> of(const std::string& target) const;
  /// The first recorded target, in their order, that begins so.
  [[nodiscard]] std::optional<std::string> beginning_with(const std::string& beginning) const;

 private:
  /// A peer that asks for ever new targets fills no memory.
  static constexpr std::size_t targets_max = 4096;

  const std::optional<IpAddress> only_from_;
  mutable std::mutex mutex_;
  std::map<std::string, Record, std::less<>> by_target_;
  std::map<std::uint64_t, std::string> unreleased_;  // target by splice
  std::set<IpAddress> strangers_;                    // that were logged
};

}  // namespace strictsend::strictness
