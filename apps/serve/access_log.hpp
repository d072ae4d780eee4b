// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "apps/serve/transfers.hpp"
#include "apps/support/unique_fd.hpp"
#include <strictsend/result.hpp>

namespace strictsend::serve {

/// A response that has ended, as a line of the access log: the combined format that web servers
/// share, and behind it what only this one knows, as name=value. Whatever a client sent can end no
/// line and no quotation: such bytes are written as \xHH, as nginx does.
[[nodiscard]] std::string access_line(const Transfer& transfer, std::int64_t unix_seconds,
                                      double seconds);

/// Lines on their way to a file, written by a thread of its own: who adds one never waits for the
/// disk. While the file does not take them, a bounded number is kept, and further ones are lost and
/// counted.
class AccessLog {
 public:
  /// Appends to the file at `path`, which is made if need be; "-" is standard output.
  static Result<std::unique_ptr<AccessLog>> open(const std::string& path);
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;
  ~AccessLog();  ///< writes what is left

  /// Any thread.
  void add(std::string_view line);
  /// Opens `path` again, for what is added from now on, because the file was renamed; if that
  /// fails, goes on with the old one and warns. Any thread; waits for nothing.
  void reopen();
  [[nodiscard]] std::uint64_t lines_lost() const { return lines_lost_; }

 private:
  AccessLog(std::string path, app::UniqueFd file);
  static Result<app::UniqueFd> open_file(const std::string& path);
  void work();
  void write(std::string_view lines);

  const std::string path_;
  app::UniqueFd file_;    // the thread's
  bool failing_ = false;  // the thread's: the last write failed, which was said
  std::atomic<std::uint64_t> lines_lost_{0};

  std::mutex mutex_;
  std::condition_variable wake_;
  std::string waiting_;     // by mutex_
  bool reopening_ = false;  // by mutex_
  bool stopping_ = false;   // by mutex_
  std::thread thread_;
};

}  // namespace strictsend::serve
