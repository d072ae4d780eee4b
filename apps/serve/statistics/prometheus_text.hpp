// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "apps/serve/statistics/server_status.hpp"

namespace strictsend::statistics {

constexpr std::string_view prometheus_content_type = "text/plain; version=0.0.4; charset=utf-8";

/// The metrics in Prometheus's text format, version 0.0.4. What port and program are is in the
/// labels of two gauges that are always 1, strictsend_port_info and strictsend_build_info.
[[nodiscard]] std::string to_prometheus(const ServerStatus& status);

}  // namespace strictsend::statistics
