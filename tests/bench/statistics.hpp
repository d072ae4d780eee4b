// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

namespace strictsend::bench {

/// The value below which so much of the samples lies; they must not be empty.
inline double quantile(std::vector<double> samples, double share) {
  const auto last = static_cast<double>(samples.size() - 1);
  const auto nth = samples.begin() + std::lround(share * last);
  std::nth_element(samples.begin(), nth, samples.end());
  return *nth;
}

inline double median(std::vector<double> samples) {
  return quantile(std::move(samples), 0.5);
}

}  // namespace strictsend::bench
