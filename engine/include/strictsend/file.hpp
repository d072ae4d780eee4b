// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include <strictsend/result.hpp>

namespace strictsend {

namespace pagecache {
class CachedFile;
class SnapshotState;
}  // namespace pagecache

/// What a file was at one instant. Taken with a snapshot, it describes exactly the bytes of that
/// snapshot.
struct FileAttributes {
  std::uint64_t size_bytes = 0;  ///< of the whole file, not of the snapshot's range
  /// Nanoseconds since 1970. The backing file's mtime; once written through the engine, the instant
  /// of the freeze that first saw the write.
  std::int64_t mtime_ns = 0;
  /// A strong validator (RFC 9110 §8.8.1), without quotes: equal tags of one path mean equal bytes,
  /// across restarts too. It may change though the bytes did not.
  std::string entity_tag;
};

/// The bytes of a file range at one instant: they never change, whoever writes to the file, until
/// the handle and every splice that was given it are gone.
///
/// Taking one copies nothing and stops nobody: pages are write-protected, and a page that is
/// written meanwhile is copied on that write (at most 4 KiB a page, once for all snapshots).
/// Move-only; dropping it gives it up. It must not outlive its Engine. Not synchronised: one thread
/// at a time.
class STRICTSEND_API Snapshot {
 public:
  Snapshot() noexcept;            ///< of nothing: not valid
  Snapshot(Snapshot&&) noexcept;  ///< the other is not valid any more
  /// What this one was is given up, now or with the other.
  /// \return *this
  Snapshot& operator=(Snapshot&&) noexcept;
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;
  ~Snapshot();  ///< gives it up

  /// \return whether it is of a file; the calls below are for such ones only (asserted)
  [[nodiscard]] bool valid() const noexcept { return state_ != nullptr; }
  /// \return of the range in the file, in bytes
  [[nodiscard]] std::uint64_t offset() const noexcept;
  /// \return of the range; 0 for an empty file
  [[nodiscard]] std::uint64_t length_bytes() const noexcept;
  /// \return of the file at that instant; theirs as long as the snapshot is there
  [[nodiscard]] const FileAttributes& attributes() const noexcept;

  /// Another snapshot of the same instant: of [offset, offset + length) of the *file*, as far as
  /// this one covers it. The two do not need each other from then on, so that a range can be sent
  /// without keeping the rest, and several ranges are of one instant. Writes nothing, protects
  /// nothing.
  /// \param offset in the file; not before this one's
  /// \param length_bytes cut where this one ends
  /// \return the other one; ENOBUFS: too many snapshots are live; ECANCELED: this one was given up
  /// for a writer
  [[nodiscard]] Result<Snapshot> part(std::uint64_t offset, std::uint64_t length_bytes) const;

 private:
  friend class Engine;
  friend class SnapshotAccess;
  pagecache::SnapshotState* state_ = nullptr;  // pooled by the page cache
};

/// A file kept in the engine's page cache. Handles to one file share its pages. Copyable and cheap
/// to copy; every method may be called by any thread but the engine's own, and may wait for the
/// disk. The engine writes changes back when it is destroyed; a handle that outlives it can still
/// read and write its memory, but not sync (ESHUTDOWN).
///
/// The mapping is a shared one of sealed memory (memfd_create(2), F_SEAL_FUTURE_WRITE of fcntl(2)),
/// protected by userfaultfd(2), so that the kernel has a writer wait until its page's old bytes are
/// safe. docs/writes.md has each way of writing, what becomes of it, and the test that shows it.
///
/// What is covered: writes through this class and through the mapping that `map` returns, by the
/// CPU or by system calls that write there (read(2), recv(2), process_vm_writev(2), also with
/// O_DIRECT or by io_uring) *that begin after the freeze*.
///
/// What the kernel refuses: /proc/self/mem and ptrace(2) (EIO on a protected page), pwrite on the
/// cache's memory (EPERM), a second mapping of it to write through (EPERM), and any access of a
/// forked child, which does not inherit the mapping (SIGSEGV).
///
/// What is not covered: DMA into the mapping that was pinned before a freeze (O_DIRECT or io_uring
/// reads in flight, fixed buffers, RDMA), a process_vm_writev in flight, which pins too, the
/// address range after the application itself moved it with mremap (what it maps over it with
/// MAP_FIXED is its own memory and no longer the file), and protection lifted with a userfaultfd of
/// the application's own. Never do pinned I/O into a mapping; EngineConfig::audit finds those who
/// do.
///
/// Where the cache is full, pages that nobody sends and that the disk has leave the memory, mapped
/// ones too, and come again when they are wanted: touching one waits for the disk. So a pinned page
/// of a mapping (the above, and also writes from it: O_DIRECT, MSG_ZEROCOPY, vmsplice(2)) may by
/// then be another file's.
///
/// What other processes write to the file on the disk is never mixed into what is being sent, as
/// far as its size and time stamps tell: `freeze` takes the new version or fails with ESTALE, and
/// so do sends of a file that is read as it is sent.
class STRICTSEND_API File {
 public:
  File() noexcept;             ///< of nothing: not valid
  File(const File&) noexcept;  ///< of the same file
  File(File&&) noexcept;       ///< the other is not valid any more
  /// \return *this, of the other's file
  File& operator=(const File&) noexcept;
  /// \return *this, of what was the other's file
  File& operator=(File&&) noexcept;
  ~File();  ///< the last one lets the file become idle: it may leave the cache, and its mapping
            ///< with it

  /// \return whether it is of a file; the calls below are for such ones only (asserted)
  [[nodiscard]] bool valid() const noexcept { return impl_ != nullptr; }
  /// \return as it is now, in bytes
  [[nodiscard]] std::uint64_t size_bytes() const;

  /// Copies out. Each page is read at one instant; freeze for more.
  /// \param into where to; may be in a mapping
  /// \param offset in the file
  /// \return the bytes read, fewer only at the end of the file, or where a page cannot be read;
  /// ESTALE, ESHUTDOWN, ENOBUFS or the disk's errors, of files that are not kept in memory
  Result<std::size_t> read(std::span<std::byte> into, std::uint64_t offset) const;
  /// Writes at `offset`, growing the file if need be. Submitted splices keep the old bytes. Each 4
  /// KiB page is written at one instant; a longer write is not one instant. Never waits for the
  /// network (see EngineConfig::writer_wait_limit_ms).
  /// \param from what; may be in a mapping
  /// \param offset in the file; what lies between its end and that becomes zeros
  /// \return the bytes written, fewer where the rest failed; ENOBUFS: no room for the pages, or for
  /// old bytes that a send needs; EFBIG: no file can be as long; of files that are not kept in
  /// memory also what `read` says
  Result<std::size_t> write(std::span<const std::byte> from, std::uint64_t offset);
  /// Writes at the end of the file: all of it or, on an error, nothing. Like `write` page by page:
  /// what lies within one page is of one instant.
  /// \param from what; may be in a mapping
  /// \return the offset at which the bytes now stand; errors as of `write`
  Result<std::uint64_t> append(std::span<const std::byte> from);
  /// Cuts the file, or lengthens it by zeros, at one instant. Submitted splices keep what they
  /// have. \param size_bytes of the file from now on \return EBUSY: a send needs what would be cut
  /// off, and not all of that is in memory; ENOBUFS as of `write`
  Result<void> truncate(std::uint64_t size_bytes);

  /// The file's one writable mapping, over its whole present size; every call returns a span of the
  /// same addresses. Stays valid until the last handle is gone; touching a page that is not in
  /// memory and cannot be had any more (its disk fails, another process changed the file, the
  /// engine is gone, or there was no room for ten seconds) raises SIGBUS, as in any mapped file.
  /// Bytes past the end of the file in the last page read as zero and are not part of the file.
  /// Brings the whole file into memory first, if some of it has left.
  /// \return the mapping, for any thread to load from and store to; ENOTSUP on kernels older
  /// than 6.4 (no UFFDIO_CONTINUE_MODE_WP), where the methods above are the way to write; EFBIG:
  /// the file is not kept in memory as a whole; ENOMEM: vm.max_map_count
  Result<std::span<std::byte>> map();

  /// Writes what was changed back to the backing file, as one snapshot, and waits for it
  /// (fdatasync(2)). Writers do not wait. What fails stays changed, to be tried again. The cache
  /// does the same by itself where it needs room and finds nothing else.
  /// \return EBADF: it was opened O_RDONLY only; ESTALE: another process changed the file on the
  /// disk; EAGAIN: a writer needed the frames; ESHUTDOWN: the engine is gone; or the disk's errors
  Result<void> sync();

 private:
  friend class Engine;
  friend class FileAccess;
  std::shared_ptr<pagecache::CachedFile> impl_;
};

}  // namespace strictsend
