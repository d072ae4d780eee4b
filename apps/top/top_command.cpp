// SPDX-License-Identifier: Apache-2.0
#include "apps/top/top_command.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <optional>
#include <poll.h>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>

#include "apps/cli/command.hpp"
#include "apps/cli/exit_code.hpp"
#include "apps/top/fetch.hpp"
#include "apps/top/options.hpp"
#include "apps/top/terminal.hpp"
#include "apps/top/view.hpp"

namespace strictsend::top {
namespace {

using std::chrono::milliseconds;
using TimePoint = Fetch::TimePoint;

constexpr milliseconds answer_limit{5'000};

int failed(const Error& error) {
  fmt::print(stderr, "strictsend top: {}\n", error.message());
  return cli::exit_failed;
}

/// The last two samples, and what is wrong if there is no newer one.
class Samples {
 public:
  /// Whether anything changed that is to be said where nothing is drawn again.
  bool take(Result<statistics::ServerStatus> sample) {
    if (!sample) {
      const std::string before = std::exchange(problem_, sample.error().message());
      return before != problem_;
    }
    problem_.clear();
    previous_ = std::exchange(current_, std::move(*sample));
    return true;
  }
  [[nodiscard]] const std::string& problem() const { return problem_; }
  [[nodiscard]] bool has_rates() const {
    return problem_.empty() && previous_ && follows(*previous_, *current_);
  }
  [[nodiscard]] std::vector<std::string> lines(Size size) const {
    std::vector<std::string> all;
    if (!problem_.empty()) {
      all = {problem_.substr(0, size.columns), std::string("Trying again.").substr(0, size.columns),
             ""};
      all.resize(std::min(all.size(), size.lines));
    }
    if (!current_) return all;
    const std::uint64_t before_ns = previous_ ? previous_->process.uptime_ns : 0;
    const std::uint64_t now_ns = current_->process.uptime_ns;
    const double seconds = now_ns > before_ns ? static_cast<double>(now_ns - before_ns) / 1e9 : 0;
    const std::vector<std::string> shown = view(previous_ ? &*previous_ : nullptr, *current_,
                                                seconds, {size.columns, size.lines - all.size()});
    all.insert(all.end(), shown.begin(), shown.end());
    return all;
  }

 private:
  std::optional<statistics::ServerStatus> previous_;
  std::optional<statistics::ServerStatus> current_;
  std::string problem_;  // printable, as the server's text is by then
};

class Top {
 public:
  Top(const Options& options, const TerminalSignals& signals, std::optional<Screen> screen)
      : options_(options), signals_(signals), screen_(std::move(screen)) {}

  int run() {
    if (screen_) screen_->enter();
    while (!exit_code_) {
      wait();
      take_signals();
      take_keys();
      take_sample();
    }
    if (screen_) screen_->leave();
    return *exit_code_;
  }

 private:
  void wait();
  void take_signals();
  void take_keys();
  void take_sample();
  void on_sample(Result<statistics::ServerStatus> sample);
  void draw();
  void print();
  void stop_here();

  const Options options_;
  const TerminalSignals& signals_;
  std::optional<Screen> screen_;
  bool has_keys_ = ::isatty(STDIN_FILENO) == 1;
  std::optional<Fetch> fetch_;
  TimePoint next_sample_ = std::chrono::steady_clock::now();
  Samples samples_;
  std::array<pollfd, 3> sources_{};
  std::optional<int> exit_code_;
};

void Top::wait() {
  const TimePoint until = fetch_ ? fetch_->deadline() : next_sample_;
  const auto left = std::chrono::ceil<milliseconds>(until - std::chrono::steady_clock::now());
  sources_ = {{{signals_.fd(), POLLIN, 0},
               {screen_ && has_keys_ ? STDIN_FILENO : -1, POLLIN, 0},
               {fetch_ ? fetch_->fd() : -1, POLLIN, 0}}};
  ::poll(sources_.data(), sources_.size(),
         static_cast<int>(std::max<milliseconds::rep>(left.count(), 0)));
}

void Top::take_signals() {
  while (const int number = signals_.take()) {
    if (number == SIGWINCH)
      draw();
    else if (number == SIGTSTP)
      stop_here();
    else
      exit_code_ = cli::exit_ok;
  }
}

/// Ctrl-Z: gives the terminal back meanwhile.
void Top::stop_here() {
  if (screen_) screen_->leave();
  ::raise(SIGSTOP);
  if (screen_) screen_->enter();
  draw();
}

void Top::take_keys() {
  if (sources_[1].revents == 0) return;
  std::array<char, 64> keys;
  const ssize_t count = ::read(STDIN_FILENO, keys.data(), keys.size());
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  constexpr char ctrl_d = 4;
  // The end: the terminal is gone.
  const bool ended = count <= 0 || std::any_of(keys.begin(), keys.begin() + count, [](char key) {
                       return key == 'q' || key == 'Q' || key == ctrl_d;
                     });
  if (ended) exit_code_ = cli::exit_ok;
}

void Top::take_sample() {
  if (exit_code_) return;
  const TimePoint now = std::chrono::steady_clock::now();
  if (!fetch_) {
    if (now < next_sample_) return;
    // Not further behind than one, after Ctrl-Z or a server that answered late.
    next_sample_ = std::max(next_sample_ + options_.interval, now);
    Result<Fetch> begun = Fetch::begin(options_.socket_path, now + answer_limit);
    if (!begun) return on_sample(tl::unexpected(std::move(begun.error())));
    fetch_ = std::move(*begun);
  }
  auto sample = fetch_->go_on(now);
  if (!sample) return;
  fetch_.reset();
  on_sample(std::move(*sample));
}

void Top::on_sample(Result<statistics::ServerStatus> sample) {
  if (!sample && options_.once) {
    if (screen_) screen_->leave();
    exit_code_ = failed(sample.error());
    return;
  }
  const bool is_new = samples_.take(std::move(sample));
  if (screen_) return draw();
  if (is_new) print();
}

void Top::draw() {
  if (screen_ && !exit_code_ && !screen_->draw(samples_.lines(screen_->size()), signals_.fd()))
    exit_code_ = cli::exit_failed;
}

/// Where there is no screen.
void Top::print() {
  if (!samples_.problem().empty()) {
    fmt::print(stderr, "strictsend top: {}; trying again\n", samples_.problem());
    return;
  }
  if (!samples_.has_rates()) return;  // the first sample: the next one has them
  std::string text;
  for (const std::string& line : samples_.lines({}))
    text += line + '\n';
  if (!options_.once) text += '\n';
  const bool printed =
      std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
  if (!printed)
    exit_code_ = cli::exit_failed;
  else if (options_.once)
    exit_code_ = cli::exit_ok;
}

}  // namespace

int run_top(std::span<const std::string> arguments) {
  const auto options = parse_options(arguments);
  if (!options) return cli::usage_error("top", options.error());
  if (options->help) {
    fmt::print("{}", top_help());
    return cli::exit_ok;
  }
  std::signal(SIGPIPE, SIG_IGN);
  // Before the terminal is changed.
  Result<TerminalSignals> signals = TerminalSignals::create();
  if (!signals) return failed(signals.error());
  // What is shown once is to stay.
  std::optional<Screen> screen = options->once ? std::nullopt : Screen::open();
  return Top(*options, *signals, std::move(screen)).run();
}

}  // namespace strictsend::top
