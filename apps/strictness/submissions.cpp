// SPDX-License-Identifier: Apache-2.0
#include "apps/strictness/submissions.hpp"

#include <chrono>

#include <spdlog/spdlog.h>

namespace strictsend::strictness {
namespace {

/// The steady clock is CLOCK_MONOTONIC, which the write logs use too.
std::int64_t ns(http::TimePoint at) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(at.time_since_epoch()).count();
}

}  // namespace

void Submissions::on_submit(const serve::Observer::Submission& submission) {
  const std::lock_guard lock(mutex_);
  if (only_from_ && submission.peer_address != *only_from_) {
    constexpr std::size_t logged_max = 16;
    const IpAddress& address = submission.peer_address;
    if (strangers_.size() < logged_max && strangers_.insert(address).second)
      spdlog::warn(
          "{} asks for files here too and is not the host that --peer names: "
          "what it does is not counted",
          to_string(address));
    return;
  }
  const auto known = by_target_.find(submission.target);
  if (known == by_target_.end() && by_target_.size() >= targets_max) return;
  std::string target(submission.target);
  const unsigned times = known == by_target_.end() ? 1 : known->second.times + 1;
  by_target_.insert_or_assign(target, Record{.begin_ns = ns(submission.freeze_began),
                                             .return_ns = ns(submission.submit_ended),
                                             .times = times});
  unreleased_.insert_or_assign(submission.splice_id, std::move(target));
}

void Submissions::on_released(std::uint64_t splice_id, const SpliceResult& result) {
  const std::lock_guard lock(mutex_);
  const auto found = unreleased_.find(splice_id);
  if (found == unreleased_.end()) return;
  Record& record = by_target_[found->second];
  record.released = true;
  record.error = result.error;
  unreleased_.erase(found);
}

std::optional<Submissions::Record> Submissions::of(const std::string& target) const {
  const std::lock_guard lock(mutex_);
  const auto found = by_target_.find(target);
  if (found == by_target_.end()) return std::nullopt;
  return found->second;
}

std::optional<std::string> Submissions::beginning_with(const std::string& beginning) const {
  const std::lock_guard lock(mutex_);
  const auto found = by_target_.lower_bound(beginning);
  if (found == by_target_.end() || !found->first.starts_with(beginning)) return std::nullopt;
  return found->first;
}

}  // namespace strictsend::strictness
