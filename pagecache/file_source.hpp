// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "base/result.hpp"

namespace strictsend::pagecache {

class CacheCore;
class CachedFile;

/// What stands between the core and the disk: finds, loads and forgets files. Owned by PageCache;
/// any thread but an engine's; may wait for the disk.
class FileSource {
 public:
  FileSource() = default;
  FileSource(const FileSource&) = delete;
  FileSource& operator=(const FileSource&) = delete;
  virtual ~FileSource() = default;

  virtual Result<std::shared_ptr<CachedFile>> open(const std::string& path, int flags) = 0;
  virtual Result<std::shared_ptr<CachedFile>> open(int fd) = 0;
  /// Called at the start of every freeze, without locks: when the backing file was changed by
  /// others, loads the new version and makes `file` refer to it.
  virtual Result<void> refresh(std::shared_ptr<CachedFile>& file) = 0;
  /// Lets go of files that nobody uses, so that a full cache can settle.
  virtual void drop_idle() = 0;
};

/// The registry over io_uring.
Result<std::unique_ptr<FileSource>> make_file_source(std::shared_ptr<CacheCore> core);

}  // namespace strictsend::pagecache
