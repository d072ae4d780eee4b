// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include <tl/expected.hpp>

#include "apps/http/precondition.hpp"
#include "apps/http/refusal.hpp"

namespace strictsend::http {

/// How far an upload has come.
enum class UploadProgress : std::uint8_t {
  ready,     ///< for the next bytes, or for the end
  created,   ///< stored: there was no such file
  replaced,  ///< stored in place of another version
};
using UploadOutcome = tl::expected<UploadProgress, Refusal>;

/// Where a session stores what comes by PUT: one upload at a time, `begin_upload` first. Each call
/// but `abandon_upload` is answered by one `Session::on_upload`, later and never from inside, and
/// the next one waits for that. After a refusal the upload is gone; nothing of it is left.
class Uploads {
 public:
  virtual ~Uploads() = default;
  /// Evaluates the conditions and makes room for the bytes. `path` is of path_of_target. Refused:
  /// 409 what cannot be a file's name, 412, 403 and 507 and 500 for the file system's reasons.
  virtual void begin_upload(const std::string& path, const Conditions& conditions) = 0;
  virtual void write_upload(std::string bytes) = 0;
  /// The file changes from the old version to the whole new one at one instant, on disk too.
  virtual void finish_upload() = 0;
  /// Also while an answer is awaited, which does not come then.
  virtual void abandon_upload() = 0;
};

}  // namespace strictsend::http
