// SPDX-License-Identifier: Apache-2.0
#include "apps/top/view.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#include <fmt/format.h>

#include "apps/cli/values.hpp"

namespace strictsend::top {
namespace {

using statistics::ServerStatus;

/// What grew between two samples, as text per second.
template <class Stats>
class Rates {
 public:
  /// `before` may be null: then there are none.
  Rates(const Stats* before, const Stats& now, double seconds)
      : before_(seconds > 0 ? before : nullptr), now_(now), seconds_(seconds) {}

  [[nodiscard]] std::string count(std::uint64_t Stats::*member) const {
    return before_ == nullptr ? "-/s" : format_count(rate(member)) + "/s";
  }
  [[nodiscard]] std::string bytes(std::uint64_t Stats::*member) const {
    return before_ == nullptr ? "-/s" : cli::format_size(rate(member)) + "/s";
  }
  /// How much of one another is, since the last sample.
  [[nodiscard]] std::string share(std::uint64_t Stats::*part, std::uint64_t Stats::*whole) const {
    if (before_ == nullptr) return "-";
    const double all = rate(whole);
    return fmt::format("{:.2f}%", all > 0 ? 100 * rate(part) / all : 0);
  }

 private:
  [[nodiscard]] double rate(std::uint64_t Stats::*member) const {
    const std::uint64_t before = before_->*member;
    const std::uint64_t now = now_.*member;
    return now > before ? static_cast<double>(now - before) / seconds_ : 0;
  }

  const Stats* before_;
  const Stats& now_;
  double seconds_;
};

using Parts = std::vector<std::string>;

/// "name        part   part": as many parts as there is room for.
std::string line(std::string_view name, const Parts& parts, std::size_t columns) {
  std::string text = fmt::format("{:<12}", name);
  for (const std::string& part : parts) {
    const std::string_view gap = &part == parts.data() ? "" : "   ";
    if (text.size() + gap.size() + part.size() > columns) break;
    text += gap;
    text += part;
  }
  return text;
}

std::string counted(std::uint64_t number) {
  return format_count(static_cast<double>(number));
}

std::string frames(std::string_view what, std::uint64_t number, std::uint64_t total) {
  const double percent =
      total > 0 ? 100 * static_cast<double>(number) / static_cast<double>(total) : 0;
  return fmt::format("{} {} ({:.0f}%)", what, counted(number), percent);
}

std::string in_milliseconds(std::uint64_t ns) {
  return fmt::format("{:.3f} ms", static_cast<double>(ns) / 1e6);
}

std::string title(const ServerStatus& now) {
  const PortFacts& port = now.port;
  return fmt::format("strictsend {}   {}   {}, {}, {} queue{}   up {}", now.version, port.spec,
                     port.driver, port.form == TxForm::fragments ? "fragments" : "linear",
                     now.queues.size(), now.queues.size() == 1 ? "" : "s",
                     format_duration(now.process.uptime_ns / 1'000'000'000));
}

void put_engine(std::vector<std::string>& lines, const Rates<EngineStats>& rates,
                const EngineStats& now, std::size_t columns) {
  using E = EngineStats;
  const auto put = [&](std::string_view name, const Parts& parts) {
    lines.push_back(line(name, parts, columns));
  };
  put("sending", {rates.bytes(&E::payload_bytes_sent), "segments " + rates.count(&E::segments_sent),
                  "again " + rates.share(&E::segments_retransmitted, &E::segments_sent),
                  "copied " + rates.bytes(&E::payload_bytes_copied)});
  put("connections",
      {"open " + counted(now.connections_open), "new " + rates.count(&E::connections_accepted),
       "refused " + rates.count(&E::connections_refused),
       "sends live " +
           counted(now.splices_submitted - std::min(now.splices_submitted, now.splices_released))});
  put("frames",
      {frames("free", now.frames_free, now.frames_total),
       frames("cached", now.frames_cached, now.frames_total),
       frames("history", now.frames_history, now.frames_total),
       frames("pinned", now.frames_pinned, now.frames_total), "of " + counted(now.frames_total)});
  put("snapshots", {"live " + counted(now.snapshots_live),
                    "frozen " + cli::format_size(static_cast<double>(now.frozen_bytes)),
                    "pages preserved " + rates.count(&E::pages_preserved),
                    "redirected " + rates.count(&E::pages_redirected)});
  put("writers",
      {"faults " + rates.count(&E::write_faults), "waits " + rates.count(&E::writer_waits),
       "longest stall " + in_milliseconds(now.writer_stall_ns_max),
       "victims " + counted(now.sends_failed_for_writers + now.sends_failed_for_total_limit +
                            now.sends_failed_for_connection_limit)});
  put("disk",
      {"pages loaded " + rates.count(&E::pages_loaded), "evicted " + rates.count(&E::pages_evicted),
       "sends failed " + counted(now.sends_failed_for_disk)});
}

void put_server(std::vector<std::string>& lines, const Rates<serve::ServerCounters>& rates,
                const serve::ServerCounters& now, std::size_t columns) {
  using S = serve::ServerCounters;
  const auto put = [&](std::string_view name, const Parts& parts) {
    lines.push_back(line(name, parts, columns));
  };
  put("requests",
      {"answered " + rates.count(&S::requests_ok), "refused " + rates.count(&S::requests_refused),
       "cut off " + rates.count(&S::requests_cut), "under way " + counted(now.responses_open)});
  put("files",
      {"open " + counted(now.files_open), "found " + rates.count(&S::files_found),
       "loaded " + rates.count(&S::files_loaded), "dropped " + rates.count(&S::files_dropped)});
  if (now.uploads_begun > 0)
    put("uploads",
        {"open " + counted(now.uploads_open), rates.bytes(&S::uploads_bytes_received),
         "refused " + counted(now.uploads_refused), "abandoned " + counted(now.uploads_abandoned)});
}

/// A row of the queues' table; columns for which there is no room are left out.
std::string row(const std::array<std::string, 9>& cells, std::size_t columns) {
  std::string text = fmt::format("{:<7}", cells.front());
  for (std::size_t i = 1; i < cells.size(); ++i) {
    const std::string cell = fmt::format(" {:>13}", cells.at(i));
    if (text.size() + cell.size() > columns) break;
    text += cell;
  }
  return text;
}

void put_queues(std::vector<std::string>& lines, const ServerStatus* before,
                const ServerStatus& now, double seconds, std::size_t columns) {
  using Q = QueueStats;
  lines.push_back(
      row({"queue", "sent", "packets", "again", "received", "open", "dropped", "kicks", "faults"},
          columns));
  for (std::size_t i = 0; i < now.queues.size(); ++i) {
    const Q& queue = now.queues[i];
    const bool known = before != nullptr && i < before->queues.size();
    const Rates<Q> rates(known ? &before->queues[i] : nullptr, queue, seconds);
    lines.push_back(row(
        {fmt::format("{}", i), rates.bytes(&Q::nic_bytes_sent), rates.count(&Q::nic_packets_sent),
         rates.share(&Q::segments_retransmitted, &Q::segments_sent),
         rates.count(&Q::nic_packets_received), counted(queue.connections_open),
         counted(queue.nic_packets_dropped + queue.nic_receive_drops), rates.count(&Q::nic_kicks),
         counted(queue.nic_faults + queue.device_faults)},
        columns));
  }
}

}  // namespace

std::vector<std::string> view(const ServerStatus* previous, const ServerStatus& current,
                              double seconds, Size size) {
  const ServerStatus* before =
      previous != nullptr && follows(*previous, current) ? previous : nullptr;
  std::vector<std::string> lines{title(current), ""};
  put_engine(lines, {before != nullptr ? &before->engine : nullptr, current.engine, seconds},
             current.engine, size.columns);
  put_server(lines, {before != nullptr ? &before->server : nullptr, current.server, seconds},
             current.server, size.columns);
  lines.emplace_back();
  put_queues(lines, before, current, seconds, size.columns);
  if (lines.size() > size.lines) {
    const std::size_t missing = lines.size() - size.lines + 1;
    lines.resize(size.lines);
    if (!lines.empty())
      lines.back() = fmt::format("... {} more lines: the terminal is too low", missing);
  }
  for (std::string& text : lines)
    text.resize(std::min(text.size(), size.columns));
  return lines;
}

bool follows(const ServerStatus& previous, const ServerStatus& current) {
  return previous.process.started_unix_ns == current.process.started_unix_ns &&
         previous.process.uptime_ns <= current.process.uptime_ns;
}

std::string format_count(double number) {
  constexpr std::array<std::string_view, 6> units{"", "k", "M", "G", "T", "P"};
  std::size_t unit = 0;
  while (number >= 999.5 && unit + 1 < units.size()) {
    number /= 1000;
    ++unit;
  }
  const bool is_whole = unit == 0 && number == static_cast<double>(static_cast<int>(number));
  const int decimals = is_whole || number >= 99.95 ? 0 : number >= 9.995 ? 1 : 2;
  return fmt::format("{:.{}f}{}", number, decimals, units.at(unit));
}

std::string format_duration(std::uint64_t seconds) {
  if (seconds < 60) return fmt::format("{} s", seconds);
  const std::uint64_t minutes = seconds / 60;
  if (minutes < 60) return fmt::format("{} m {:02} s", minutes, seconds % 60);
  const std::uint64_t hours = minutes / 60;
  if (hours < 24) return fmt::format("{} h {:02} m", hours, minutes % 60);
  return fmt::format("{} d {:02} h", hours / 24, hours % 24);
}

}  // namespace strictsend::top
