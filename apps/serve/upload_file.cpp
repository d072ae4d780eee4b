// SPDX-License-Identifier: Apache-2.0
#include "apps/serve/upload_file.hpp"

#include <linux/fs.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <optional>
#include <random>
#include <unistd.h>
#include <utility>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace strictsend::serve {
namespace {

using http::Refusal;
using http::UploadProgress;

constexpr std::string_view temporary_prefix = ".strictsend-";

Refusal refusal_for(const char* what, int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return {507, "There is no room for this file."};
    case EACCES:
    case EPERM:
    case EROFS:
      return {403, "The server may not store anything here."};
    case EXDEV:
      return {403, "The path leads out of the directory that is served."};
    case ELOOP:
      return {403, "The path has a symbolic link that may not be followed."};
    case ENOENT:
    case ENOTDIR:
      return {409, "There is no directory for this file."};
    case EISDIR:
      return {409, "This names a directory; only a file can be stored."};
    case ENAMETOOLONG:
      return {409, "The name is longer than the file system takes."};
    default:
      spdlog::warn("{}: {}", what, Error{"storing", error, {}}.message());
      return {500, "The server could not store this file."};
  }
}

std::string temporary_name() {
  std::random_device random;
  return fmt::format("{}{:08x}{:08x}", temporary_prefix, random(), random());
}

/// What the name is taken by already, as far as a file may take its place; nothing: it is free.
tl::expected<std::optional<mode_t>, Refusal> mode_of(int directory, const std::string& name) {
  struct stat status {};
  if (::fstatat(directory, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return std::nullopt;
    return tl::unexpected(refusal_for("look at the name", errno));
  }
  if (S_ISDIR(status.st_mode)) return tl::unexpected(refusal_for("", EISDIR));
  if (!S_ISREG(status.st_mode))
    return tl::unexpected(Refusal{403, "The name is taken by what is not a regular file."});
  return status.st_mode & 0777;
}

}  // namespace

tl::expected<UploadFile, Refusal> UploadFile::create(const FileResolver& resolver,
                                                     const std::string& path) {
  const std::size_t slash = path.rfind('/');
  const std::string directory_path =
      slash == std::string::npos ? std::string(".") : path.substr(0, slash);
  std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  if (name.starts_with(temporary_prefix))
    return tl::unexpected(Refusal{403, "Such names are the server's own."});
  auto opened = resolver.open_directory(directory_path);
  if (!opened) return tl::unexpected(refusal_for("open directory", opened.error()));
  app::UniqueFd directory = std::move(*opened);
  const auto mode = mode_of(directory.get(), name);
  if (!mode) return tl::unexpected(mode.error());

  std::string temporary = temporary_name();
  app::UniqueFd file(::openat(directory.get(), temporary.c_str(),
                              O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666));
  if (!file.valid()) return tl::unexpected(refusal_for("make temporary file", errno));
  UploadFile upload(std::move(directory), std::move(file), std::move(name), std::move(temporary));
  // A new version is as open to others as the old one was.
  if (*mode && ::fchmod(upload.file_.get(), **mode) != 0)
    return tl::unexpected(refusal_for("set mode", errno));
  return upload;
}

UploadFile::~UploadFile() {
  // Moved from, it has no directory any more.
  if (directory_.valid() && !temporary_.empty())
    ::unlinkat(directory_.get(), temporary_.c_str(), 0);
}

tl::expected<void, Refusal> UploadFile::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(file_.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return tl::unexpected(refusal_for("write", errno));
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

tl::expected<void, Refusal> UploadFile::make_durable() {
  if (::fsync(file_.get()) != 0) return tl::unexpected(refusal_for("fsync", errno));
  return {};
}

tl::expected<UploadProgress, Refusal> UploadFile::take_name(bool must_be_new) {
  UploadProgress progress = UploadProgress::created;
  int error = rename(RENAME_NOREPLACE);
  if (error == EEXIST && must_be_new)
    return tl::unexpected(Refusal{412, "The file is there already."});
  if (error == EEXIST) {
    progress = UploadProgress::replaced;
    error = rename(0);
  }
  if (error != 0) return tl::unexpected(refusal_for("rename", error));
  temporary_.clear();
  return progress;
}

tl::expected<void, Refusal> UploadFile::make_name_durable() {
  if (::fsync(directory_.get()) != 0) return tl::unexpected(refusal_for("fsync directory", errno));
  return {};
}

/// An errno, or 0.
int UploadFile::rename(unsigned flags) const {
  return ::renameat2(directory_.get(), temporary_.c_str(), directory_.get(), name_.c_str(),
                     flags) == 0
             ? 0
             : errno;
}

}  // namespace strictsend::serve
