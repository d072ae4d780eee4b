// SPDX-License-Identifier: Apache-2.0
#include "pagecache/file_identity.hpp"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <time.h>

#include <fmt/format.h>

namespace strictsend::pagecache {
namespace {

std::int64_t nanoseconds_of(const struct statx_timestamp& stamp) {
  return stamp.tv_sec * 1'000'000'000 + stamp.tv_nsec;
}

const char* kind_of(unsigned mode) {
  switch (mode & S_IFMT) {
    case S_IFDIR:
      return "a directory";
    case S_IFIFO:
      return "a FIFO";
    case S_IFCHR:
      return "a character device";
    case S_IFBLK:
      return "a block device";
    case S_IFSOCK:
      return "a socket";
    case S_IFLNK:
      return "a symbolic link";
    default:
      return "not a file";
  }
}

}  // namespace

Result<FileIdentity> identify(int fd, const std::string& name) {
  struct statx status {};
  // AT_STATX_FORCE_SYNC: on a network file system an old answer would hide a foreign change.
  constexpr unsigned wanted = STATX_TYPE | STATX_MODE | STATX_INO | STATX_SIZE | STATX_MTIME |
                              STATX_CTIME | STATX_NLINK | STATX_UID | STATX_GID;
  if (::statx(fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, wanted, &status) != 0)
    return fail("statx of " + name, errno);
  if (!S_ISREG(status.stx_mode))
    return fail("open " + name, S_ISDIR(status.stx_mode) ? EISDIR : EINVAL,
                fmt::format("it is {}; only regular files can be sent", kind_of(status.stx_mode)));
  FileIdentity identity;
  identity.key.device =
      (std::uint64_t{status.stx_dev_major} << 32) | std::uint64_t{status.stx_dev_minor};
  identity.key.inode = status.stx_ino;
  identity.size_bytes = status.stx_size;
  identity.mtime_ns = nanoseconds_of(status.stx_mtime);
  identity.ctime_ns = nanoseconds_of(status.stx_ctime);
  identity.links = status.stx_nlink;
  identity.mode = status.stx_mode;
  identity.uid = status.stx_uid;
  identity.gid = status.stx_gid;
  return identity;
}

FileChange change_between(const FileIdentity& before, const FileIdentity& after) {
  if (before == after) return FileChange::none;
  if (before.key != after.key || before.size_bytes != after.size_bytes ||
      before.mtime_ns != after.mtime_ns)
    return FileChange::content;
  const bool explained = before.links != after.links || before.mode != after.mode ||
                         before.uid != after.uid || before.gid != after.gid;
  return explained ? FileChange::inode : FileChange::unexplained;
}

Duration time_until_settled(const FileIdentity& identity, std::int64_t now_ns) {
  const std::int64_t age_ns = now_ns - identity.ctime_ns;
  if (age_ns < 0 || age_ns >= timestamp_granularity.ns) return Duration{};
  return Duration{timestamp_granularity.ns - age_ns};
}

bool wait_until_settled(const FileIdentity& identity) {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  const Duration wait = time_until_settled(identity, now.tv_sec * 1'000'000'000 + now.tv_nsec);
  if (wait.ns == 0) return false;
  timespec left{0, wait.ns};  // below a second
  while (::clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR) {
  }
  return true;
}

std::string entity_tag_of(const FileIdentity& identity) {
  return fmt::format("{:x}-{:x}-{:x}-{:x}-{:x}", identity.key.device, identity.key.inode,
                     identity.size_bytes, static_cast<std::uint64_t>(identity.mtime_ns),
                     static_cast<std::uint64_t>(identity.ctime_ns));
}

}  // namespace strictsend::pagecache
