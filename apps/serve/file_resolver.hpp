// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <tl/expected.hpp>

#include "apps/http/listing.hpp"
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

/// What a path means to a client.
struct Found {
  FileIdentity identity;  ///< of the file
  std::string path;       ///< of the file: the index's where a directory was asked for
  /// There is no file, for the path is a directory without an index.
  bool is_directory = false;
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
  /// a device) notices. A directory means its index.html. Refused: 301 a directory without a slash
  /// at the path's end; 403 what leaves the root, what is not a regular file, what this process may
  /// not read; 404 what is not there; 503 and 500 for the system's own failures.
  [[nodiscard]] tl::expected<Found, http::Refusal> find(const std::string& path) const;
  /// What is in a directory, as far as it could be asked for: files and directories beneath the
  /// root whose names begin with no dot. Refused as by `find`.
  [[nodiscard]] tl::expected<std::vector<http::ListingEntry>, http::Refusal> list(
      const std::string& path) const;
  /// A directory to store files in, open for reading; or an errno.
  [[nodiscard]] tl::expected<app::UniqueFd, int> open_directory(const std::string& path) const;
  /// Opens what `find` found; 404 if the name means another file by now.
  [[nodiscard]] tl::expected<app::UniqueFd, http::Refusal> open(const std::string& path,
                                                                const FileIdentity& identity) const;

 private:
  [[nodiscard]] tl::expected<Found, http::Refusal> find_index(const std::string& directory) const;
  explicit FileResolver(app::UniqueFd root) : root_(std::move(root)) {}
  app::UniqueFd root_;
};

}  // namespace strictsend::serve
