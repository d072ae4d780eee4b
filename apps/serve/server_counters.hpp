// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace strictsend::serve {

/// What a response answered, as far as it is counted apart.
constexpr std::array<std::string_view, 5> counted_methods{"GET", "HEAD", "PUT", "other",
                                                          "unreadable"};
constexpr std::array<std::string_view, 4> counted_classes{"2xx", "3xx", "4xx", "5xx"};
/// The statuses of refusals that `serve` knows; the last place is for any other.
constexpr std::array<int, 19> counted_refusals{400, 403, 404, 405, 408, 409, 411, 412, 413, 414,
                                               416, 417, 431, 500, 501, 503, 505, 507, 0};

/// What a server did in its life, and what it has under way. All are numbers of 64 bits, so that
/// the table of statistics can see whether it knows each of them.
struct ServerCounters {
  // Each request that was read is in exactly one of these, once its response is through.
  std::uint64_t requests_ok = 0;       ///< answered to the last byte, with a status below 400
  std::uint64_t requests_refused = 0;  ///< answered with an error to the last byte
  std::uint64_t requests_cut = 0;      ///< the connection ended before the response did, or began
  std::uint64_t bytes_sent = 0;        ///< of heads and files, handed to the NIC for the first time
  std::uint64_t bytes_acked = 0;       ///< heads and files, as far as clients acknowledged them
  std::uint64_t pages_preserved = 0;   ///< for responses that are finished
  std::uint64_t bytes_copied = 0;      ///< likewise
  std::uint64_t connections_accepted = 0;
  std::uint64_t connections_open = 0;     ///< gauge
  std::uint64_t connections_blocked = 0;  ///< gauge: the engine takes nothing more for now
  std::uint64_t responses_open = 0;       ///< gauge: under way
  std::uint64_t files_open = 0;           ///< gauge: kept in the cache
  std::uint64_t files_found = 0;          ///< asked for while they were open
  std::uint64_t files_loaded = 0;         ///< opened for a request
  std::uint64_t files_dropped = 0;        ///< let go of, for others' sake
  std::uint64_t uploads_begun = 0;
  std::uint64_t uploads_open = 0;  ///< gauge
  std::uint64_t uploads_created = 0;
  std::uint64_t uploads_replaced = 0;
  std::uint64_t uploads_refused = 0;    ///< by the conditions, the file system or the disk
  std::uint64_t uploads_abandoned = 0;  ///< the client went, or sent what cannot be stored
  std::uint64_t uploads_bytes_received = 0;
  std::uint64_t access_log_lines_lost = 0;
  /// requests_ok and requests_refused, by counted_methods and counted_classes.
  std::array<std::array<std::uint64_t, counted_classes.size()>, counted_methods.size()> responses{};
  /// requests_refused, by counted_refusals.
  std::array<std::uint64_t, counted_refusals.size()> refusals{};
};

/// Counts a response that went out whole, with a final status. `method` is as the client wrote it;
/// empty: it could not be read.
void count_response(ServerCounters& counters, std::string_view method, int status);

}  // namespace strictsend::serve
