// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <utility>

#include "apps/http/clock.hpp"
#include "apps/http/stream.hpp"
#include <strictsend/file.hpp>

namespace strictsend::serve {

/// A file as HTTP sees it, made of a snapshot of the whole file: made by the FileStore, sent by the
/// Connection. Moved from thread to thread, used by one at a time. Must not outlive the engine.
class SnapshotRepresentation final : public http::Representation {
 public:
  SnapshotRepresentation(Snapshot snapshot, http::TimePoint freeze_began)
      : snapshot_(std::move(snapshot)), freeze_began_(freeze_began) {}

  [[nodiscard]] const FileAttributes& attributes() const override { return snapshot_.attributes(); }
  [[nodiscard]] http::TimePoint freeze_began() const { return freeze_began_; }
  [[nodiscard]] Snapshot take() { return std::move(snapshot_); }

 private:
  Snapshot snapshot_;
  http::TimePoint freeze_began_;
};

}  // namespace strictsend::serve
