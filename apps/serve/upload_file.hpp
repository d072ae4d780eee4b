// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include <tl/expected.hpp>

#include "apps/http/refusal.hpp"
#include "apps/http/upload.hpp"
#include "apps/serve/file_resolver.hpp"
#include "apps/support/unique_fd.hpp"

namespace strictsend::serve {

/// A file that is being stored: bytes in a temporary file beside the name that it is for. Until
/// `take_name` the name means what it meant; without it the temporary file goes with the object. (A
/// process that is killed leaves it behind: .strictsend-*.)
///
/// One thread at a time; waits for the disk. Refused: 507 when there is no room, 403 what the file
/// system forbids, 500 for its other failures.
class UploadFile {
 public:
  /// Refused besides: 409 where there is no such directory, or the name is a directory's; 403 what
  /// leads out of the root, and a name that is taken by something else than a regular file.
  static tl::expected<UploadFile, http::Refusal> create(const FileResolver& resolver,
                                                        const std::string& path);
  UploadFile(UploadFile&& other) noexcept = default;
  UploadFile& operator=(UploadFile&&) = delete;
  UploadFile(const UploadFile&) = delete;
  UploadFile& operator=(const UploadFile&) = delete;
  ~UploadFile();

  tl::expected<void, http::Refusal> write(std::string_view bytes);
  // The end, in this order: a name must never mean bytes that a power failure can take back.
  tl::expected<void, http::Refusal> make_durable();
  /// From one instant to the next the name means this file. `must_be_new`: 412 if it is taken.
  tl::expected<http::UploadProgress, http::Refusal> take_name(bool must_be_new);
  tl::expected<void, http::Refusal> make_name_durable();

 private:
  UploadFile(app::UniqueFd directory, app::UniqueFd file, std::string name, std::string temporary)
      : directory_(std::move(directory)),
        file_(std::move(file)),
        name_(std::move(name)),
        temporary_(std::move(temporary)) {}
  [[nodiscard]] int rename(unsigned flags) const;

  app::UniqueFd directory_;
  app::UniqueFd file_;
  std::string name_;
  std::string temporary_;  // empty: the file has its name
};

}  // namespace strictsend::serve
