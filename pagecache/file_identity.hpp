// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.hpp"
#include "base/result.hpp"

namespace strictsend::pagecache {

/// Which file on which file system. Two names with one key are one file.
struct FileKey {
  std::uint64_t device = 0;  ///< major << 32 | minor
  std::uint64_t inode = 0;
  bool operator==(const FileKey&) const = default;
};

/// What statx(2) says about a file at one instant: a plain value, compared to find out whether
/// others changed the file meanwhile.
///
/// The inode's change counter would be the exact answer, but the kernel keeps STATX_CHANGE_COOKIE
/// to itself. Its stand-in is ctime, which no program can set back. Kernels before 6.13 step it
/// with the timer tick, so that two changes within one tick leave one ctime: `wait_until_settled`
/// makes sure that a recorded identity cannot be one of those.
struct FileIdentity {
  FileKey key;
  std::uint64_t size_bytes = 0;
  std::int64_t mtime_ns = 0;  ///< since 1970
  std::int64_t ctime_ns = 0;
  // What moves ctime alone when it is changed:
  std::uint32_t links = 0;
  std::uint32_t mode = 0;
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  bool operator==(const FileIdentity&) const = default;
};

/// What became of a file between two looks at it.
enum class FileChange : std::uint8_t {
  none,
  inode,        ///< links, mode or owner; the bytes only if somebody also set mtime back to the
                ///< nanosecond
  unexplained,  ///< ctime moved and nothing else shows: it was renamed, its times or extended
                ///< attributes were set, or its bytes were changed and mtime was set back
  content,
};
[[nodiscard]] FileChange change_between(const FileIdentity& before, const FileIdentity& after);

/// Longer than the slowest tick (HZ=100) that ctime can lag behind.
inline constexpr Duration timestamp_granularity = milliseconds(20);

/// What `fd` refers to; EINVAL with a hint unless that is a regular file. System call, does not
/// wait for the disk but on network file systems.
Result<FileIdentity> identify(int fd, const std::string& name);

/// Pure: how long to wait, at `now_ns` since 1970, until every later change must show in ctime. 0
/// when it need not, or when ctime lies in the future (set by a clock that ran ahead), where
/// waiting helps nobody.
[[nodiscard]] Duration time_until_settled(const FileIdentity& identity, std::int64_t now_ns);

/// Sleeps that long (application threads; at most `timestamp_granularity`). True when it slept, so
/// that the identity must be read again.
bool wait_until_settled(const FileIdentity& identity);

/// A strong validator for the bytes of a file as loaded from disk (RFC 9110 §8.8.1): key,
/// size and times, in hexadecimal.
[[nodiscard]] std::string entity_tag_of(const FileIdentity& identity);

}  // namespace strictsend::pagecache
