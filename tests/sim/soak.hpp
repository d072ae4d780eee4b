// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.hpp"

namespace strictsend::testing {

/// A whole engine on the simulated NIC for a long time: peers come and go as a seed has it, some of
/// them badly, over a path that loses, doubles, damages and reorders packets and is down for a
/// while now and then; files are written through the API and through a mapping, and one is larger
/// than the cache. Every byte that leaves the device is compared with what its file was when the
/// send was submitted; every minute the engine's accounts are looked at.
struct SoakOptions {
  std::uint64_t seed = 1;
  Duration length = seconds(1'800);         ///< in virtual time; peers then have time to leave
  Duration peer_every = milliseconds(250);  ///< one comes, on average
};

/// A peer's way to be.
enum class PeerManner : std::uint8_t {
  fast,            ///< takes all, asks for more on the same connection, leaves when it has it
  slow,            ///< closes its window again and again
  vanishes,        ///< half-way, without a word
  resets,          ///< half-way
  stops_reading,   ///< half-way, and goes on acknowledging
  is_abandoned,    ///< the application aborts its connection, or cancels what it is sent
  asks_nothing,    ///< and is given nothing
  leaves_at_once,  ///< before the handshake is done
};
inline constexpr std::size_t peer_manners = 8;

struct SoakReport {
  /// The first thing that was wrong, in words; nullopt: all was well.
  std::optional<std::string> violation;
  std::uint64_t peers = 0;
  std::uint64_t peers_at_once_max = 0;
  std::uint64_t splices = 0;
  std::uint64_t splices_complete = 0;  ///< acknowledged to the last byte
  std::uint64_t bytes_checked = 0;     ///< of those that left the device
  std::uint64_t segments_retransmitted = 0;
  std::uint64_t writes = 0;
  std::uint64_t pages_preserved = 0;
  std::uint64_t pages_evicted = 0;
  std::uint64_t sends_failed_for_writers = 0;
  std::uint64_t snapshots_max = 0;       ///< live, of all minutes
  std::uint64_t history_max = 0;         ///< frames
  std::uint64_t engine_bytes = 0;        ///< the loop's memory, the same in every minute
  std::uint64_t process_bytes_warm = 0;  ///< this process's memory at most in the first third
  std::uint64_t process_bytes_late = 0;  ///< and in the last
};

SoakReport run_soak(const SoakOptions& options);

}  // namespace strictsend::testing
