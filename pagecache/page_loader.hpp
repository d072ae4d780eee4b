// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "pagecache/cache_core.hpp"
#include "pagecache/cached_file.hpp"
#include "pagecache/file_set.hpp"

namespace strictsend::pagecache {

/// The thread that brings in pages that senders want, or threads in mappings (PageWants), and tells
/// them.
///
/// One per cache, owned by its FileSource; waits for the disk and takes files' locks. A send whose
/// pages cannot be had is given up through the file's load_error or the snapshot's `revoked`; a
/// thread in a mapping gets SIGBUS.
class PageLoader {
 public:
  static Result<std::unique_ptr<PageLoader>> start(std::shared_ptr<CacheCore> core,
                                                   std::shared_ptr<FileSet> files);
  PageLoader(const PageLoader&) = delete;
  PageLoader& operator=(const PageLoader&) = delete;
  ~PageLoader();

 private:
  /// A want, copied: its snapshot may be over at any time.
  struct Want {
    std::shared_ptr<CachedFile> file;
    const SnapshotState* snapshot =
        nullptr;  ///< for finding it among the live ones, with its epoch; null: a mapping's
    std::uint64_t epoch = 0;
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
    Time since;
  };

  PageLoader(std::shared_ptr<CacheCore> core, std::shared_ptr<FileSet> files)
      : core_(std::move(core)), files_(std::move(files)) {}
  void run();
  void take_wants();
  /// True: it is answered, with pages or for good.
  [[nodiscard]] bool serve(const Want& want);
  void answer_mapping(const Want& want, bool has_come) const;
  void give_up(const Want& want, int error);

  const std::shared_ptr<CacheCore> core_;
  const std::shared_ptr<FileSet> files_;
  std::atomic<bool> stopping_{false};
  std::vector<Want> wants_;  // the thread's own
  std::thread thread_;
};

}  // namespace strictsend::pagecache
