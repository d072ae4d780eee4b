// SPDX-License-Identifier: Apache-2.0
#include "apps/cli/status_line.hpp"

#include <sys/ioctl.h>

#include <cerrno>
#include <memory>
#include <unistd.h>

#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>

namespace strictsend::cli {
namespace {

constexpr std::string_view erase_line = "\r\x1b[K";

/// How many columns a line may take without wrapping, which could not be erased.
std::size_t columns() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 2) return 79;
  return size.ws_col - 1U;
}

class SinkAbove final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  explicit SinkAbove(StatusLine& line) : line_(line) {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t text;
    formatter_->format(message, text);
    line_.print_above({text.data(), text.size()});
  }
  void flush_() override {}

  StatusLine& line_;
};

}  // namespace

StatusLine::StatusLine() : is_terminal_(::isatty(STDERR_FILENO) == 1) {}

StatusLine::~StatusLine() {
  show({});
}

void StatusLine::show(std::string_view text) {
  if (!is_terminal_) return;
  const std::lock_guard lock(mutex_);
  if (text.empty() && line_.empty()) return;
  line_ = text.substr(0, columns());
  write(std::string(erase_line) + line_);
}

void StatusLine::print_above(std::string_view text) {
  const std::lock_guard lock(mutex_);
  if (line_.empty()) return write(text);
  write(std::string(erase_line) + std::string(text) + line_);
}

void StatusLine::write(std::string_view text) const {
  while (!text.empty()) {
    const ssize_t n = ::write(STDERR_FILENO, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;  // nobody reads it any more; the work goes on
    text.remove_prefix(static_cast<std::size_t>(n));
  }
}

void log_above(StatusLine& line, const std::string& level) {
  auto logger = std::make_shared<spdlog::logger>("", std::make_shared<SinkAbove>(line));
  logger->set_level(spdlog::level::from_str(level));
  logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %^%l%$ %v");
  spdlog::set_default_logger(std::move(logger));
}

}  // namespace strictsend::cli
