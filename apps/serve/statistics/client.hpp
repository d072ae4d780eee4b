// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "apps/serve/statistics/metrics_request.hpp"
#include "apps/serve/statistics/sampler.hpp"
#include "apps/support/unique_fd.hpp"

namespace strictsend::statistics {

/// One who asks for statistics, on a connection that ends with the answer. The statistics thread's;
/// nothing here waits.
///
///     reading ──request──▶ writing ──last byte──▶ closing ──the client's end──▶ over
///
/// Who comes by the Unix socket asks for nothing, and begins at writing. A client's further bytes
/// are thrown away until it closes: unread ones would make the kernel reset the connection, and
/// take the answer with it.
class Client {
 public:
  using TimePoint = Sampler::TimePoint;

  static Client of_unix_socket(app::UniqueFd fd, std::string document, TimePoint deadline);
  static Client of_http(app::UniqueFd fd, TimePoint deadline);

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] short events() const;  ///< that it waits for, as for poll(2)
  [[nodiscard]] TimePoint deadline() const { return deadline_; }
  [[nodiscard]] bool is_http() const { return request_ != nullptr; }

  /// Goes on as far as the socket lets it. False: it is over.
  [[nodiscard]] bool go_on(Sampler& sampler, TimePoint now);

 private:
  enum class Phase : std::uint8_t { reading, writing, closing };
  enum class Step : std::uint8_t { next, wait, over };

  Client(app::UniqueFd fd, Phase phase, TimePoint deadline)
      : fd_(std::move(fd)), phase_(phase), deadline_(deadline) {}
  Step read(Sampler& sampler, TimePoint now);
  Step write();
  Step discard() const;

  app::UniqueFd fd_;
  Phase phase_;
  TimePoint deadline_;
  std::unique_ptr<MetricsRequest> request_;  // null: it came by the Unix socket
  std::string answer_;
  std::size_t written_ = 0;
};

}  // namespace strictsend::statistics
