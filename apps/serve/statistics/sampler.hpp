// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <utility>

#include "apps/serve/statistics/json_document.hpp"
#include "apps/serve/statistics/prometheus_text.hpp"

namespace strictsend::statistics {

/// The newest sample, in both ways of writing it; taken anew when it is asked for and older than
/// `age_max`. One thread's.
class Sampler {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  Sampler(std::function<ServerStatus()> source, std::chrono::milliseconds age_max)
      : source_(std::move(source)), age_max_(age_max) {}

  [[nodiscard]] const std::string& json(TimePoint now) {
    refresh(now);
    if (json_.empty()) json_ = to_json(sample_);
    return json_;
  }
  [[nodiscard]] const std::string& prometheus(TimePoint now) {
    refresh(now);
    if (prometheus_.empty()) prometheus_ = to_prometheus(sample_);
    return prometheus_;
  }

 private:
  void refresh(TimePoint now) {
    if (taken_ && now - taken_at_ < age_max_) return;
    sample_ = source_();
    taken_ = true;
    taken_at_ = now;
    json_.clear();
    prometheus_.clear();
  }

  const std::function<ServerStatus()> source_;
  const std::chrono::milliseconds age_max_;
  bool taken_ = false;
  TimePoint taken_at_;
  ServerStatus sample_;
  std::string json_;  // of sample_; empty: not yet written
  std::string prometheus_;
};

}  // namespace strictsend::statistics
