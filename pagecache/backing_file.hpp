// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "base/result.hpp"
#include "base/unique_fd.hpp"
#include "pagecache/file_identity.hpp"

namespace strictsend::pagecache {

/// An open regular file on disk, as the cache loads it and writes it back: the descriptors, and how
/// this file system wants them used.
///
/// Owned by its cached file (or by a load that is not one yet); application threads; used by one at
/// a time. Loads go past the kernel's page cache (O_DIRECT) where the file system can, else the
/// bytes would stand in memory twice. Write-back is buffered, so that other programs' cached reads
/// see it and a last page needs no padding.
class BackingFile {
 public:
  /// `flags`: O_RDONLY or O_RDWR, with O_NOFOLLOW or O_CLOEXEC if wanted (it is always close on
  /// exec). Never waits for a FIFO's other end.
  static Result<BackingFile> open(const std::string& path, int flags);
  /// Keeps a descriptor of its own; the caller's stays open and keeps its file offset.
  static Result<BackingFile> from_descriptor(int fd);

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] bool writable() const { return writable_; }
  /// Goes over to the other's descriptor, which refers to the same file and may write.
  void become_writable(BackingFile other);
  /// As of opening.
  [[nodiscard]] const FileIdentity& identity() const { return identity_; }
  /// As of now.
  [[nodiscard]] Result<FileIdentity> identify() const {
    return strictsend::pagecache::identify(fd(), name_);
  }

  /// Opens the descriptor for direct reads, if the file system has such. Until `close_direct`.
  void open_direct();
  void close_direct(std::string why);
  [[nodiscard]] int direct_fd() const { return direct_fd_.get(); }  ///< -1: buffered reads only
  [[nodiscard]] std::uint32_t direct_alignment_bytes() const { return direct_alignment_bytes_; }
  /// For people: how it is read, and why not directly.
  [[nodiscard]] std::string mode_text() const;

 private:
  BackingFile(UniqueFd fd, std::string name, bool writable, const FileIdentity& identity)
      : fd_(std::move(fd)), name_(std::move(name)), writable_(writable), identity_(identity) {}

  UniqueFd fd_;
  UniqueFd direct_fd_;
  std::uint32_t direct_alignment_bytes_ = 0;
  std::string buffered_why_ = "not opened for direct reads";
  std::string name_;
  bool writable_ = false;
  FileIdentity identity_;
};

}  // namespace strictsend::pagecache
