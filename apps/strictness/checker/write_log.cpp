// SPDX-License-Identifier: Apache-2.0
#include "apps/strictness/checker/write_log.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace strictsend::checker {

Result<WriteLog> WriteLog::restore(std::vector<std::int64_t> stamps_ns, std::uint64_t writes,
                                   std::int64_t end_ns) {
  const auto refuse = [](const char* hint) { return fail("reading a write log", EINVAL, hint); };
  const std::uint64_t batches = stamps_ns.size();
  if (writes / batch_writes + (writes % batch_writes != 0 ? 1 : 0) != batches)
    return refuse("it has too many or too few stamps for its writes");
  if (end_ns < 0 || (batches > 0 && stamps_ns.front() < 0))
    return refuse("its stamps lie before the clock's beginning");
  if (!std::is_sorted(stamps_ns.begin(), stamps_ns.end()) ||
      (batches > 0 && stamps_ns.back() > end_ns))
    return refuse("its stamps go back in time");
  WriteLog log(0);
  log.stamps_ns_ = std::move(stamps_ns);
  log.batches_ = batches;
  log.writes_ = writes;
  log.end_ns_ = end_ns;
  return log;
}

std::uint64_t WriteLog::certainly_ended_before(std::int64_t instant_ns) const {
  if (batches_ == 0) return 0;
  if (end_ns_ < instant_ns) return writes_;
  const auto begin = stamps_ns_.begin();
  const auto end = begin + static_cast<std::ptrdiff_t>(batches_);
  const auto before = static_cast<std::uint64_t>(std::lower_bound(begin, end, instant_ns) - begin);
  // The last stamp before the instant closes the batches ahead of it, not its own.
  return before == 0 ? 0 : (before - 1) * batch_writes;
}

std::uint64_t WriteLog::possibly_begun_by(std::int64_t instant_ns) const {
  const auto begin = stamps_ns_.begin();
  const auto end = begin + static_cast<std::ptrdiff_t>(batches_);
  const auto begun = static_cast<std::uint64_t>(std::upper_bound(begin, end, instant_ns) - begin);
  return std::min(begun * batch_writes, writes_);
}

std::int64_t WriteLog::longest_batch_ns() const {
  std::int64_t longest_ns = 0;
  for (std::size_t i = 0; i < batches_; ++i) {
    const std::int64_t next_ns = i + 1 < batches_ ? stamps_ns_[i + 1] : end_ns_;
    longest_ns = std::max(longest_ns, next_ns - stamps_ns_[i]);
  }
  return longest_ns;
}

}  // namespace strictsend::checker
