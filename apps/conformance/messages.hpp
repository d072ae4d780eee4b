// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "apps/strictness/checker/layout.hpp"
#include "apps/strictness/checker/write_log.hpp"
#include <strictsend/result.hpp>

// What the two ends of a run tell each other, all of it over HTTP through the engine under test:
//
//     receiver                               sender
//     GET /plan.json                   ──▶   which case it is; the writers start
//     GET /D/data?download=0 …         ──▶   the file under test
//     GET /D/submits.json              ──▶   404 until all downloads are released
//     GET /D/log-0 …                   ──▶   what the writers did
//     GET /D/verdict?strict=8&torn=0 … ──▶   (the request is the message)
//     GET /plan.json                   ──▶   the next case, or that all are finished
//     GET /report.txt                  ──▶   what both print
//
// D is the plan's directory, another one for every case of every run: what is meant for a case that
// is over, or for a sender that was started anew since, reaches nobody.
//
// Everything read here comes from another machine: whatever it is, it is refused with an error or
// within the limits below.

namespace strictsend::conformance {

inline constexpr std::uint64_t plan_bytes_max = 16 << 10;
inline constexpr std::uint64_t submits_bytes_max = 256 << 10;
inline constexpr std::uint64_t log_bytes_max = 64 << 20;  ///< of all writers of a case
inline constexpr std::uint64_t report_bytes_max = 256 << 10;

inline constexpr std::uint64_t file_bytes_max = std::uint64_t{64} << 30;
inline constexpr std::uint32_t writers_max = 64;
inline constexpr std::uint32_t downloads_max = 1024;
inline constexpr std::uint32_t parallel_max = 64;

/// What is to be done next.
struct Plan {
  bool finished = false;  ///< no case is left: the report is ready; the rest is not set
  std::string case_name;
  checker::Layout::Parameters layout;
  std::uint32_t downloads = 0;  ///< of this case
  std::uint32_t parallel = 0;   ///< so many of them at a time
  std::string directory;        ///< of all that belongs to it, "93c1f80a-2": no two cases share one
};
[[nodiscard]] std::string to_json(const Plan& plan);
[[nodiscard]] Result<Plan> parse_plan(std::string_view json);

/// When the submit of a download ran, on the sender's CLOCK_MONOTONIC.
struct SubmitInterval {
  std::int64_t begin_ns = 0;
  std::int64_t return_ns = 0;
};
/// By the number of the download.
[[nodiscard]] std::string to_json(const std::vector<SubmitInterval>& submits);
[[nodiscard]] Result<std::vector<SubmitInterval>> parse_submits(std::string_view json,
                                                                std::uint32_t downloads);

/// A finished log: little-endian words, "SSWLOG01", number of writes, end, number of stamps,
/// stamps.
[[nodiscard]] std::vector<std::byte> to_bytes(const checker::WriteLog& log);
[[nodiscard]] Result<checker::WriteLog> parse_log(std::span<const std::byte> bytes);

/// What the receiver found out about a case.
struct CaseVerdict {
  std::uint32_t strict = 0;  ///< downloads
  std::uint32_t torn = 0;
  std::uint64_t wrong_pages = 0;  ///< of all downloads
  std::string first;              ///< what was wrong first; empty: nothing
  std::string failure;            ///< why there is no verdict; empty: there is
};
/// The query of the verdict's request, "?" and all. Long texts are cut.
[[nodiscard]] std::string to_query(const CaseVerdict& verdict);
[[nodiscard]] Result<CaseVerdict> parse_verdict(std::string_view query);

/// How long the downloads of a case may take: at the slowest that makes sense to wait for.
[[nodiscard]] std::uint32_t download_seconds_max(std::uint64_t file_bytes, std::uint32_t parallel);

}  // namespace strictsend::conformance
