// SPDX-License-Identifier: Apache-2.0
#include "apps/serve/server_counters.hpp"

#include <algorithm>

namespace strictsend::serve {
namespace {

std::size_t place_of(std::string_view method) {
  if (method.empty()) return counted_methods.size() - 1;
  const auto known = std::find(counted_methods.begin(), counted_methods.end() - 2, method);
  return static_cast<std::size_t>(known - counted_methods.begin());
}

std::size_t place_of(int status) {
  const auto known = std::find(counted_refusals.begin(), counted_refusals.end() - 1, status);
  return static_cast<std::size_t>(known - counted_refusals.begin());
}

}  // namespace

void count_response(ServerCounters& counters, std::string_view method, int status) {
  const int status_class = std::clamp(status / 100, 2, 5);
  ++counters.responses.at(place_of(method)).at(static_cast<std::size_t>(status_class - 2));
  if (status < 400) {
    ++counters.requests_ok;
  } else {
    ++counters.requests_refused;
    ++counters.refusals.at(place_of(status));
  }
}

}  // namespace strictsend::serve
