// SPDX-License-Identifier: Apache-2.0
#include "pagecache/backing_file.hpp"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include <fmt/format.h>

#include "base/assert.hpp"
#include "base/page.hpp"

namespace strictsend::pagecache {
namespace {

std::string descriptor_path(int fd) {
  return fmt::format("/proc/self/fd/{}", fd);
}

const char* hint_for_open(int error) {
  switch (error) {
    case ENOENT:
      return "there is no such file";
    case EACCES:
      return "this user may not open it that way; open O_RDONLY where reading is enough";
    case EROFS:
      return "the file system is read-only; open it O_RDONLY";
    case ETXTBSY:
      return "it is a program that runs now; open it O_RDONLY";
    case ENXIO:
      return "it is a FIFO, socket or device; only regular files can be sent";
    case EMFILE:
      return "too many open files in this process; raise it with ulimit -n";
    default:
      return "";
  }
}

/// What direct reads must be aligned to; 0 where there are none, 512 where the kernel does not say
/// (before 6.1): a frame satisfies every block size up to 4096, and a larger one answers EINVAL.
std::uint32_t direct_alignment_of(int fd) {
  struct statx status {};
  if (::statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &status) != 0) return 512;
  if ((status.stx_mask & STATX_DIOALIGN) == 0) return 512;
  if (status.stx_dio_mem_align > page_bytes || status.stx_dio_offset_align > page_bytes) return 0;
  return status.stx_dio_offset_align;
}

}  // namespace

Result<BackingFile> BackingFile::open(const std::string& path, int flags) {
  const std::string operation = "open " + path;
  const int access = flags & O_ACCMODE;
  if (access != O_RDONLY && access != O_RDWR)
    return fail(operation, EINVAL, "open it O_RDONLY, or O_RDWR to sync changes back");
  if ((flags & ~(O_ACCMODE | O_NOFOLLOW | O_CLOEXEC)) != 0)
    return fail(operation, EINVAL,
                "only O_RDONLY or O_RDWR, with O_NOFOLLOW or O_CLOEXEC; create and truncate files "
                "before, or through the File API");
  // Looked at before it is opened: opening some devices has effects.
  struct stat status {};
  const int look =
      (flags & O_NOFOLLOW) != 0 ? ::lstat(path.c_str(), &status) : ::stat(path.c_str(), &status);
  if (look != 0) return fail(operation, errno, hint_for_open(errno));
  if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode) && !S_ISLNK(status.st_mode))
    return fail(operation, EINVAL,
                "it is a FIFO, socket or device; only regular files can be sent");
  // O_NONBLOCK: should a FIFO take its place in between, the open does not wait for a writer.
  UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) return fail(operation, errno, hint_for_open(errno));
  auto identity = strictsend::pagecache::identify(fd.get(), path);
  if (!identity) return tl::unexpected(identity.error());
  return BackingFile(std::move(fd), path, access == O_RDWR, *identity);
}

Result<BackingFile> BackingFile::from_descriptor(int fd) {
  const std::string name = fmt::format("file descriptor {}", fd);
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0) return fail("open " + name, errno);
  const int access = flags & O_ACCMODE;
  if ((flags & O_PATH) != 0 || access == O_WRONLY)
    return fail("open " + name, EBADF, "it cannot be read from; open it O_RDONLY or O_RDWR");
  auto identity = strictsend::pagecache::identify(fd, name);
  if (!identity) return tl::unexpected(identity.error());
  // A duplicate shares its flags with the caller's: with O_APPEND pwrite would append (a Linux
  // peculiarity, pwrite(2) BUGS), with O_DIRECT write-back would need padding. Then a fresh one.
  UniqueFd own;
  if ((flags & (O_APPEND | O_DIRECT)) != 0)
    own = UniqueFd(::open(descriptor_path(fd).c_str(), access | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  else
    own = UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!own.valid()) return fail("open " + name, errno, hint_for_open(errno));
  return BackingFile(std::move(own), name, access == O_RDWR, *identity);
}

void BackingFile::become_writable(BackingFile other) {
  STRICTSEND_ASSERT(other.writable_ && other.identity_.key == identity_.key);
  fd_ = std::move(other.fd_);
  writable_ = true;
}

void BackingFile::open_direct() {
  if (direct_fd_.valid()) return;
  direct_alignment_bytes_ = direct_alignment_of(fd_.get());
  if (direct_alignment_bytes_ == 0) {
    buffered_why_ = "the file system has no direct reads of this file";
    return;
  }
  direct_fd_ = UniqueFd(
      ::open(descriptor_path(fd_.get()).c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC | O_NOCTTY));
  if (!direct_fd_.valid())
    buffered_why_ = fmt::format("opening it with O_DIRECT failed: {}", ::strerror(errno));
}

void BackingFile::close_direct(std::string why) {
  direct_fd_.reset();
  buffered_why_ = std::move(why);
}

std::string BackingFile::mode_text() const {
  if (direct_fd_.valid())
    return fmt::format("direct reads, {}-byte blocks", direct_alignment_bytes_);
  return "buffered reads: " + buffered_why_;
}

}  // namespace strictsend::pagecache
