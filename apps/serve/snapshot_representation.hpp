// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>
#include <utility>

#include "apps/http/clock.hpp"
#include "apps/http/stream.hpp"
#include <strictsend/file.hpp>

namespace strictsend::serve {

/// A file as HTTP sees it, made of a snapshot of the whole file: made by the FileStore, sent by the
/// Connection. Moved from thread to thread, used by one at a time. Must not outlive the engine.
class SnapshotRepresentation final : public http::Representation {
 public:
  SnapshotRepresentation(Snapshot snapshot, http::TimePoint freeze_began,
                         std::string_view media_type)
      : snapshot_(std::move(snapshot)), freeze_began_(freeze_began), media_type_(media_type) {}

  [[nodiscard]] const FileAttributes& attributes() const override { return snapshot_.attributes(); }
  [[nodiscard]] std::string_view media_type() const override { return media_type_; }
  [[nodiscard]] http::TimePoint freeze_began() const { return freeze_began_; }
  [[nodiscard]] Snapshot take() { return std::move(snapshot_); }

 private:
  Snapshot snapshot_;
  http::TimePoint freeze_began_;
  std::string_view media_type_;  // of http::media_type, whose texts live for ever
};

}  // namespace strictsend::serve
