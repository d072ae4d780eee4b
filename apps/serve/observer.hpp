// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string_view>

#include "apps/http/clock.hpp"
#include <strictsend/engine.hpp>

namespace strictsend::serve {

/// Looks on while files are sent, for whoever has to check them afterwards. Called on the server's
/// thread; must not block it, and must outlive the server.
class Observer {
 public:
  struct Submission {
    std::string_view target;       ///< of the request, with its query
    IpAddress peer_address;        ///< who asked
    http::TimePoint freeze_began;  ///< just before the freeze
    http::TimePoint submit_ended;  ///< after submit returned
    std::uint64_t splice_id = 0;
  };

  virtual ~Observer() = default;
  /// A file was submitted; errors, HEAD, empty files and ranges are not reported, nor is a file
  /// that has to wait behind ranges of the same connection.
  virtual void on_submit(const Submission& submission) = 0;
  /// What became of it.
  virtual void on_released(std::uint64_t splice_id, const SpliceResult& result) = 0;
};

}  // namespace strictsend::serve
