// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.hpp"
#include <strictsend/engine.hpp>

namespace strictsend::bench {

/// A program that serves one cached file over HTTP, and the mapping through which that file is
/// rewritten meanwhile. Serves from its making until it is destroyed; then nothing of it is left.
class Sender {
 public:
  struct Config {
    std::string interface_name;  ///< on which it serves
    std::string address;         ///< of that interface
    std::string directory;       ///< holds `file_name` alone
    std::uint64_t file_bytes = 0;
  };
  static constexpr const char* file_name = "file";
  static constexpr std::uint16_t port = 8080;

  /// What the engine did; all zero for others.
  struct Counters {
    std::uint64_t write_faults = 0;
    std::uint64_t pages_preserved = 0;
    std::uint64_t pages_redirected = 0;
    std::uint64_t segments_retransmitted = 0;
  };

  Sender() = default;
  Sender(const Sender&) = delete;
  Sender& operator=(const Sender&) = delete;
  virtual ~Sender() = default;

  [[nodiscard]] virtual std::span<std::byte> mapping() const = 0;
  /// Processes other than this one that do the work.
  [[nodiscard]] virtual const std::vector<pid_t>& processes() const = 0;
  [[nodiscard]] virtual Counters counters() const = 0;
  /// Port and packet form; empty for others than the engine.
  [[nodiscard]] virtual std::string description() const = 0;
};

/// The engine with `strictsend serve`'s HTTP server, in this process; the mapping is the file's.
Result<std::unique_ptr<Sender>> start_strictsend(const Sender::Config& config, TxForm form);

/// nginx with one worker; the mapping is a shared one of the file itself.
Result<std::unique_ptr<Sender>> start_nginx(const Sender::Config& config, bool sendfile);

}  // namespace strictsend::bench
