// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/clock.hpp"
#include "base/result.hpp"

struct pcap;
struct pcap_dumper;

namespace strictsend::nic {

/// A capture file being written: Ethernet, nanosecond timestamps, whole packets. One thread.
/// Recording blocks when its buffer is full and has to be written out. A failed write ends the
/// recording, what is in the file by then stays readable up to its last whole packet.
class PcapFile {
 public:
  /// Creates or overwrites `path`; fails when it cannot be written to.
  static Result<PcapFile> create(const std::string& path, std::size_t packet_bytes_max);

  PcapFile(PcapFile&&) noexcept = default;
  PcapFile& operator=(PcapFile&&) = delete;  // would free the old buffer before its user
  PcapFile(const PcapFile&) = delete;
  PcapFile& operator=(const PcapFile&) = delete;
  ~PcapFile() = default;

  /// `at` counts from the epoch for the file to show the right date.
  void record(Time at, std::span<const std::byte> packet);
  void flush();

  [[nodiscard]] std::uint64_t recorded() const { return recorded_; }
  /// Packets known to be missing because a write failed; not 0: the file ends early.
  [[nodiscard]] std::uint64_t lost() const { return lost_; }

 private:
  struct ClosePcap {
    void operator()(pcap* handle) const;
  };
  struct CloseDumper {
    void operator()(pcap_dumper* dumper) const;
  };
  PcapFile() = default;

  void fail_if_broken();

  // Closing the dumper flushes through the buffer, which so must outlive it.
  std::unique_ptr<char[]> buffer_;  // NOLINT(modernize-avoid-c-arrays): for setvbuf
  std::unique_ptr<pcap, ClosePcap> handle_;
  std::unique_ptr<pcap_dumper, CloseDumper> dumper_;
  bool broken_ = false;
  std::uint64_t recorded_ = 0;
  std::uint64_t lost_ = 0;
};

}  // namespace strictsend::nic
