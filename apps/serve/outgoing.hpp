// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "apps/http/stream.hpp"
#include "apps/serve/snapshot_representation.hpp"
#include <strictsend/engine.hpp>

namespace strictsend::serve {

/// A response on its way to the engine, piece by piece: each is a splice of some text and a part of
/// the file's one snapshot. A connection's, on its thread.
class Outgoing {
 public:
  Outgoing(ConnectionId connection, std::uint64_t key, std::vector<http::Piece> pieces,
           std::unique_ptr<SnapshotRepresentation> file);

  /// How many splices it takes in all.
  [[nodiscard]] std::size_t pieces() const { return pieces_.size(); }
  [[nodiscard]] std::size_t pieces_left() const { return pieces_.size() - next_; }
  [[nodiscard]] std::uint64_t key() const { return key_; }

  /// Submits the next piece; the splice's id. EAGAIN or ENOBUFS: later again. Anything else: the
  /// connection is gone, or what was to be sent is (ECANCELED).
  Result<std::uint64_t> submit(Engine& engine);

 private:
  ConnectionId connection_;
  std::uint64_t key_;
  std::vector<http::Piece> pieces_;
  std::size_t next_ = 0;
  Snapshot whole_;  // not valid where no range is left
  std::size_t ranges_left_ = 0;
};

}  // namespace strictsend::serve
