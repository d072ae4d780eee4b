// SPDX-License-Identifier: Apache-2.0
#include "apps/serve/file_resolver.hpp"

#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <unistd.h>

namespace strictsend::serve {
namespace {

using http::Refusal;

/// openat2(2); glibc 2.36 has no wrapper. Returns the descriptor or -errno.
int open_beneath(int root, const std::string& path, std::uint64_t flags) {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  // EAGAIN: something was renamed while ".." was looked up, and the kernel cannot tell whether the
  // path stayed beneath the root. The manual says to try again; an attacker who renames for ever
  // gets no more than this.
  constexpr int tries = 8;
  for (int i = 0;; ++i) {
    const long fd = ::syscall(SYS_openat2, root, path.c_str(), &how, sizeof(how));
    if (fd >= 0) return static_cast<int>(fd);
    if ((errno != EAGAIN && errno != EINTR) || i + 1 == tries) return -errno;
  }
}

Refusal refusal_for(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG:
      return {404, "There is no such file."};
    case EXDEV:
      return {403, "The path leads out of the directory that is served."};
    case ELOOP:
      return {403, "The path has a symbolic link that may not be followed."};
    case EACCES:
    case EPERM:
      return {403, "The server may not read this file."};
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EAGAIN:
      return {503, "The server is out of resources at the moment.", 1};
    default:
      return {500, "The server could not open this file."};
  }
}

}  // namespace

Result<FileResolver> FileResolver::create(const std::string& root) {
  app::UniqueFd fd(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid())
    return fail("open root directory " + root, errno,
                "--root must name a directory that this user may enter");
  const int probe = open_beneath(fd.get(), ".", O_PATH);
  if (probe < 0)
    return fail("openat2 in root directory " + root, -probe,
                probe == -ENOSYS ? "serving needs Linux 5.6 or newer" : "");
  ::close(probe);
  return FileResolver(std::move(fd));
}

tl::expected<Found, Refusal> FileResolver::find(const std::string& path) const {
  const app::UniqueFd fd(open_beneath(root_.get(), path, O_PATH));
  if (!fd.valid()) return tl::unexpected(refusal_for(-fd.get()));
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return tl::unexpected(refusal_for(errno));
  if (S_ISDIR(status.st_mode)) return find_index(path);
  if (!S_ISREG(status.st_mode)) return tl::unexpected(Refusal{403, "This is not a regular file."});
  // Asked each time, so that a file whose permission was taken away is no longer served from the
  // cache. O_PATH itself checks only the directories on the way.
  if (::faccessat(fd.get(), "", R_OK, AT_EACCESS | AT_EMPTY_PATH) != 0)
    return tl::unexpected(refusal_for(errno));
  return Found{{status.st_dev, status.st_ino}, path};
}

tl::expected<Found, Refusal> FileResolver::find_index(const std::string& directory) const {
  // Links in a page are relative to its directory, which clients tell by the slash.
  if (!directory.ends_with('/'))
    return tl::unexpected(Refusal{301, "This is a directory; its name ends with a slash."});
  const std::string name = "index.html";
  if (directory.ends_with("/" + name + "/"))
    return tl::unexpected(Refusal{403, "This is a directory, and not an index."});
  auto index = find(directory + name);
  const int status = index ? 200 : index.error().status;
  if (status == 404 || status == 301) return Found{{}, directory, true};
  return index;
}

tl::expected<std::vector<http::ListingEntry>, Refusal> FileResolver::list(
    const std::string& path) const {
  const int fd = open_beneath(root_.get(), path, O_RDONLY | O_DIRECTORY);
  if (fd < 0) return tl::unexpected(refusal_for(-fd));
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::fdopendir(fd), ::closedir);
  if (directory == nullptr) {
    ::close(fd);
    return tl::unexpected(refusal_for(errno));
  }
  std::vector<http::ListingEntry> entries;
  while (const dirent* entry = ::readdir(directory.get())) {
    const std::string name = entry->d_name;
    if (name.starts_with('.')) continue;
    const app::UniqueFd file(open_beneath(root_.get(), path + name, O_PATH));
    struct stat status {};
    if (!file.valid() || ::fstat(file.get(), &status) != 0) continue;
    if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)) continue;
    entries.push_back({name, S_ISDIR(status.st_mode), static_cast<std::uint64_t>(status.st_size),
                       status.st_mtim.tv_sec});
  }
  return entries;
}

tl::expected<app::UniqueFd, int> FileResolver::open_directory(const std::string& path) const {
  const int fd = open_beneath(root_.get(), path, O_RDONLY | O_DIRECTORY);
  if (fd < 0) return tl::unexpected(-fd);
  return app::UniqueFd(fd);
}

tl::expected<app::UniqueFd, Refusal> FileResolver::open(const std::string& path,
                                                        const FileIdentity& identity) const {
  // O_NONBLOCK: should the name mean a FIFO by now, this must not wait for its writer.
  app::UniqueFd fd(open_beneath(root_.get(), path, O_RDONLY | O_NONBLOCK | O_NOCTTY));
  if (!fd.valid()) return tl::unexpected(refusal_for(-fd.get()));
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) return tl::unexpected(refusal_for(errno));
  if (FileIdentity{status.st_dev, status.st_ino} != identity)
    return tl::unexpected(refusal_for(ENOENT));
  return fd;
}

}  // namespace strictsend::serve
