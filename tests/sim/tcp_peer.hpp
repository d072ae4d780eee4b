// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "engine/transport/tcp/segment.hpp"

namespace strictsend::tcp {

struct PeerSetup {
  std::uint32_t iss = 0;
  std::uint32_t request_bytes = 100;
  std::uint32_t buffer_bytes = 65535;
  std::uint16_t mss_bytes = 1460;
  std::uint8_t window_scale = 0;  ///< offered when it is not 0
  bool timestamps = false;
  bool sack_permitted = true;
  bool closes_first = false;  ///< FIN right after the request
  bool reads_slowly = false;  ///< now and then does not read for seconds
  bool reneges = false;       ///< once, drops all that it has SACKed (RFC 2018 §8)
};

/// A model of a receiver that asks for a download: keeps what comes early, acknowledges everything
/// at once, checks every segment against what it has promised, and repeats its own few bytes on a
/// plain timer. Deliberately unlike the code under test: sets of ranges instead of pointers.
class TcpPeer {
 public:
  explicit TcpPeer(const PeerSetup& setup) : setup_(setup) {}

  std::vector<SegmentIn> start(Time now);
  std::vector<SegmentIn> receive(const SegmentOut& segment, Time now);
  std::vector<SegmentIn> on_timer(Time now);
  [[nodiscard]] Time deadline() const { return deadline_; }

  /// The application of the peer takes everything that waits.
  std::vector<SegmentIn> read(Time now);

  [[nodiscard]] std::uint64_t received_bytes() const { return received_; }
  [[nodiscard]] bool got_fin() const { return fin_taken_; }
  [[nodiscard]] bool was_reset() const { return reset_; }
  /// What the sender did wrong; empty when nothing.
  [[nodiscard]] const std::string& complaint() const { return complaint_; }

 private:
  [[nodiscard]] SegmentIn segment(Time now) const;
  [[nodiscard]] SackBlocks blocks(const SegmentOut& newest, bool duplicate) const;
  [[nodiscard]] bool has(std::uint64_t begin, std::uint64_t end) const;
  void merge_early();
  [[nodiscard]] std::uint32_t window_bytes() const;
  std::vector<SegmentIn> own_unacknowledged(Time now);
  void take_payload(const SegmentOut& segment);
  void complain(const char* what, const SegmentOut& segment);

  PeerSetup setup_;
  bool established_ = false;
  bool reset_ = false;
  bool sacks_ = false;
  bool reneged_ = false;
  std::uint8_t scale_ = 0;  // for our own window
  Seq server_iss_;
  std::uint64_t received_ = 0;  // in order
  std::uint64_t unread_ = 0;    // of these
  std::uint64_t promised_ = 0;  // largest stream offset ever announced as receivable
  std::map<std::uint64_t, std::uint64_t> early_;
  bool fin_seen_ = false;
  bool fin_taken_ = false;
  std::uint64_t fin_at_ = 0;
  std::uint32_t acked_ = 0;  // of our own sequence space, SYN included
  std::uint32_t sent_ = 1;   // likewise
  std::uint32_t echo_ = 0;
  Time deadline_ = Time::never();
  std::string complaint_;
};

}  // namespace strictsend::tcp
