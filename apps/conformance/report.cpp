// SPDX-License-Identifier: Apache-2.0
#include "apps/conformance/report.hpp"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "apps/cli/values.hpp"

namespace strictsend::conformance {
namespace {

constexpr std::string_view proven = "PROVEN: ";

class Lines {
 public:
  void heading(std::string_view text) { fmt::format_to(std::back_inserter(text_), "{}\n", text); }
  void line(std::string_view name, std::string_view value) {
    fmt::format_to(std::back_inserter(text_), "  {:<18}{}\n", name, value);
  }
  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

std::string_view form_name(TxForm form) {
  return form == TxForm::fragments ? "fragments: the pages themselves" : "linear: payload copied";
}

/// Those in use in this case.
std::string offloads(const PortFacts& port) {
  const bool cuts = port.form == TxForm::fragments && port.segmented_bytes_max > 0;
  if (!port.checksum_offload && !cuts) return "none";
  std::string text = port.checksum_offload ? "checksum" : "";
  if (cuts)
    text += fmt::format("{}segmentation of up to {} bytes", text.empty() ? "" : ", ",
                        port.segmented_bytes_max);
  return text;
}

void add_case(Lines& lines, const CaseResult& result) {
  lines.heading(fmt::format("\nCase {}", name_of(result.which)));
  if (!result.not_run.empty()) return lines.line("not run", result.not_run);
  if (!result.failure.empty()) return lines.line("failed", result.failure);
  const EngineStats& stats = result.stats;
  lines.line("packets", form_name(result.port.form));
  lines.line("offloads", offloads(result.port));
  lines.line("protection", result.which == Case::control ? "off" : "on");
  lines.line("writes", fmt::format("{}, by {}", result.writes, result.writing));
  lines.line("downloads",
             fmt::format("{} strict, {} torn", result.verdict.strict, result.verdict.torn));
  if (result.verdict.torn > 0)
    lines.line("torn", fmt::format("{} pages; first: {}", result.verdict.wrong_pages,
                                   result.verdict.first));
  lines.line("pages preserved", fmt::format("{} in place, {} by redirecting the writer",
                                            stats.pages_preserved, stats.pages_redirected));
  lines.line("bytes copied", fmt::format("{} in order to send {}", stats.payload_bytes_copied,
                                         stats.payload_bytes_sent));
  lines.line("retransmitted",
             fmt::format("{} of {} segments", stats.segments_retransmitted, stats.segments_sent));
  lines.line("left pinned",
             fmt::format("{} frames, {} snapshots", stats.frames_pinned, stats.snapshots_live));
  const std::string lacks = shortcoming(result);
  lines.line("result", !lacks.empty()                  ? lacks
                       : result.which == Case::control ? "torn, as it must be"
                                                       : "strict");
}

}  // namespace

std::string shortcoming(const CaseResult& result) {
  if (!result.failure.empty()) return result.failure;
  const EngineStats& stats = result.stats;
  if (stats.frames_pinned + stats.snapshots_live > 0) return "frames were left pinned";
  if (result.which == Case::control)
    return result.verdict.torn > 0 ? ""
                                   : "no unprotected download was torn: the check proves nothing "
                                     "(take a larger --size)";
  if (result.verdict.torn > 0)
    return fmt::format("{} of its downloads were torn", result.verdict.torn);
  if (stats.pages_preserved + stats.pages_redirected == 0)
    return "no page had to be preserved (take a larger --size)";
  if (result.port.form == TxForm::fragments && stats.payload_bytes_copied > 0)
    return "the engine copied payload";
  return "";
}

std::string conclusion(const Report& report) {
  std::string strict;
  std::string why_not;
  bool has_control = false;
  for (const CaseResult& result : report.cases) {
    if (!result.not_run.empty()) continue;
    if (const std::string lacks = shortcoming(result); !lacks.empty()) {
      why_not += fmt::format("{}{}: {}", why_not.empty() ? "" : "; ", name_of(result.which), lacks);
    } else if (result.which == Case::control) {
      has_control = true;
    } else {
      strict += fmt::format("{}{}", strict.empty() ? "" : ", ", name_of(result.which));
    }
  }
  if (why_not.empty() && !has_control) why_not = "the control was not run";
  if (why_not.empty() && strict.empty()) why_not = "no protected case was run";
  if (!why_not.empty()) return fmt::format("NOT PROVEN: {}", why_not);
  return fmt::format("{}{} on {}", proven, strict, report.port.driver);
}

bool is_proven(const std::string& conclusion) {
  return conclusion.starts_with(proven);
}

std::string to_text(const Report& report) {
  Lines lines;
  lines.heading("Strict splice on a NIC");
  lines.line("strictsend", report.version);
  lines.line("kernel", report.kernel);
  lines.line("port", report.port.spec);
  lines.line("driver", report.port.driver);
  lines.line("queues", fmt::format("{}", report.port.queues));
  lines.line("MTU", fmt::format("{}", report.port.mtu_bytes));
  lines.line("from", report.ends);
  lines.line("file", fmt::format("{}, {} downloads in each case, {} at a time",
                                 cli::format_size(static_cast<double>(report.file_bytes)),
                                 report.downloads, report.parallel));
  if (report.port.copies_payload)
    lines.line(
        "note",
        "what stands behind this port copies each packet before the wire, and reads the\n"
        "                    pages when they are handed over, not later: this run proves less");
  for (const CaseResult& result : report.cases)
    add_case(lines, result);
  lines.heading("");
  lines.heading(conclusion(report));
  return lines.take();
}

}  // namespace strictsend::conformance
