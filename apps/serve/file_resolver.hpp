// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <utility>

#include <tl/expected.hpp>

#include "apps/http/refusal.hpp"
#include "apps/support/unique_fd.hpp"
#include <strictsend/result.hpp>

namespace strictsend::serve {

/// Which file a name means at one moment: two names of one inode are one file.
struct FileIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  bool operator==(const FileIdentity&) const = default;
  bool operator<(const FileIdentity& other) const {
    return std::tie(device, inode) < std::tie(other.device, other.inode);
  }
};

/// Finds files beneath the root directory. The kernel walks the path (openat2(2), RESOLVE_BENEATH),
/// so neither "..", nor a symbolic link, nor a rename at the same time leads out of the root; links
/// that stay inside work.
///
/// Immutable after creation: any thread may use it at any time. May wait for the disk.
class FileResolver {
 public:
  static Result<FileResolver> create(const std::string& root);

  /// Finds the regular file without opening it for reading: nothing that the path may name (a FIFO,
  /// a device) notices. Refused: 403 what leaves the root, directories, what is not a regular file,
  /// what this process may not read; 404 what is not there; 503 and 500 for the system's own
  /// failures.
  [[nodiscard]] tl::expected<FileIdentity, http::Refusal> find(const std::string& path) const;
  /// Opens what `find` found; 404 if the name means another file by now.
  [[nodiscard]] tl::expected<app::UniqueFd, http::Refusal> open(const std::string& path,
                                                                const FileIdentity& identity) const;

 private:
  explicit FileResolver(app::UniqueFd root) : root_(std::move(root)) {}
  app::UniqueFd root_;
};

}  // namespace strictsend::serve
