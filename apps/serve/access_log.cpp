// SPDX-License-Identifier: Apache-2.0
#include "apps/serve/access_log.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "apps/support/blocked_signals.hpp"

namespace strictsend::serve {
namespace {

constexpr std::size_t waiting_bytes_max = 4U << 20;

std::string quoted(std::string_view text) {
  if (text.empty()) return "\"-\"";
  std::string result = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7f || c == '"' || c == '\\')
      result += fmt::format("\\x{:02X}", byte);
    else
      result += c;
  }
  return result + '"';
}

/// "06/Nov/1994:08:49:37 +0000", whatever the locale.
std::string log_time(std::int64_t unix_seconds) {
  constexpr std::array months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                              "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const time_t seconds = unix_seconds;
  tm t{};
  ::gmtime_r(&seconds, &t);
  return fmt::format("{:02}/{}/{:04}:{:02}:{:02}:{:02} +0000", t.tm_mday,
                     months.at(static_cast<std::size_t>(t.tm_mon)), t.tm_year + 1900, t.tm_hour,
                     t.tm_min, t.tm_sec);
}

}  // namespace

std::string access_line(const Transfer& transfer, std::int64_t unix_seconds, double seconds) {
  const AccessRecord& record = transfer.access;
  const SpliceResult& result = transfer.result;
  const std::string request =
      record.method.empty()
          ? std::string()
          : fmt::format("{} {} HTTP/1.{}", record.method, record.target, record.minor_version);
  const std::uint64_t content =
      result.bytes_acked - std::min(result.bytes_acked, record.head_bytes);
  std::string line = fmt::format(
      "{} - - [{}] {} {} {} {} {} bytes_acked={} seconds={:.3f} pages_preserved={}", record.address,
      log_time(unix_seconds), quoted(request), transfer.status, content, quoted(record.referer),
      quoted(record.user_agent), result.bytes_acked, seconds, result.pages_preserved);
  if (result.error != 0) {
    const char* name = ::strerrorname_np(result.error);
    line += fmt::format(" cut={}", name != nullptr ? name : std::to_string(result.error).c_str());
  }
  return line + '\n';
}

Result<app::UniqueFd> AccessLog::open_file(const std::string& path) {
  app::UniqueFd file(
      path == "-"
          ? ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0)
          : ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640));
  if (!file.valid())
    return fail("open access log " + path, errno, "--access-log names a file to append to, or -");
  return file;
}

Result<std::unique_ptr<AccessLog>> AccessLog::open(const std::string& path) {
  Result<app::UniqueFd> file = open_file(path);
  if (!file) return tl::unexpected(std::move(file.error()));
  return std::unique_ptr<AccessLog>(new AccessLog(path, std::move(*file)));
}

AccessLog::AccessLog(std::string path, app::UniqueFd file)
    : path_(std::move(path)), file_(std::move(file)) {
  const app::BlockedSignals blocked;
  thread_ = std::thread([this] { work(); });
}

AccessLog::~AccessLog() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
  if (lines_lost_ > 0) spdlog::warn("the access log lacks {} lines", lines_lost_.load());
}

void AccessLog::add(std::string_view line) {
  {
    const std::lock_guard lock(mutex_);
    if (waiting_.size() + line.size() > waiting_bytes_max) {
      ++lines_lost_;
      return;
    }
    waiting_ += line;
  }
  wake_.notify_one();
}

void AccessLog::reopen() {
  {
    const std::lock_guard lock(mutex_);
    reopening_ = true;
  }
  wake_.notify_one();
}

void AccessLog::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || reopening_ || !waiting_.empty(); });
    // What was added before it was asked to open the file again may go to either.
    const bool reopening = std::exchange(reopening_, false);
    const bool stopping = stopping_;
    const std::string lines = std::exchange(waiting_, {});
    lock.unlock();
    if (reopening) {
      Result<app::UniqueFd> file = open_file(path_);
      if (file)
        file_ = std::move(*file);
      else
        spdlog::warn("{}", file.error().message());
    }
    write(lines);
    if (stopping) return;
    lock.lock();
  }
}

void AccessLog::write(std::string_view lines) {
  while (!lines.empty()) {
    const ssize_t written = ::write(file_.get(), lines.data(), lines.size());
    if (written >= 0) {
      failing_ = false;
      lines.remove_prefix(static_cast<std::size_t>(written));
      continue;
    }
    if (errno == EINTR) continue;
    if (!std::exchange(failing_, true))
      spdlog::warn("{}", Error{"write access log " + path_, errno, {}}.message());
    lines_lost_ += static_cast<std::uint64_t>(std::count(lines.begin(), lines.end(), '\n'));
    return;
  }
}

}  // namespace strictsend::serve
