// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "pagecache/backing_file.hpp"
#include "pagecache/cache_core.hpp"
#include "pagecache/file_set.hpp"
#include "pagecache/file_source.hpp"
#include "pagecache/page_loader.hpp"

namespace strictsend::pagecache {
namespace {

/// The page cache's way to the disk: opens backing files, and leaves the rest to the set of files.
/// Owned by PageCache; destroyed before the guard stops, so that changes can still be written back.
class FileRegistry final : public FileSource {
 public:
  FileRegistry(std::shared_ptr<FileSet> files, std::unique_ptr<PageLoader> loader)
      : files_(std::move(files)), loader_(std::move(loader)) {}
  FileRegistry(const FileRegistry&) = delete;
  FileRegistry& operator=(const FileRegistry&) = delete;
  ~FileRegistry() override {
    loader_.reset();
    // Now, and not when the last one who reads a page lets go of the set: the guard is still there.
    files_->save_all();
  }

  Result<std::shared_ptr<CachedFile>> open(const std::string& path, int flags) override {
    return open(BackingFile::open(path, flags));
  }
  Result<std::shared_ptr<CachedFile>> open(int fd) override {
    return open(BackingFile::from_descriptor(fd));
  }
  Result<void> refresh(std::shared_ptr<CachedFile>& file) override { return files_->refresh(file); }
  void drop_idle() override { files_->drop_idle(); }

 private:
  Result<std::shared_ptr<CachedFile>> open(Result<BackingFile> backing) {
    if (!backing) return tl::unexpected(backing.error());
    return files_->open(*std::move(backing));
  }

  std::shared_ptr<FileSet> files_;
  std::unique_ptr<PageLoader> loader_;
};

}  // namespace

Result<std::unique_ptr<FileSource>> make_file_source(std::shared_ptr<CacheCore> core) {
  auto files = std::make_shared<FileSet>(core, LoadOptions{});
  auto loader = PageLoader::start(std::move(core), files);
  if (!loader) return tl::unexpected(loader.error());
  return std::make_unique<FileRegistry>(std::move(files), *std::move(loader));
}

}  // namespace strictsend::pagecache
