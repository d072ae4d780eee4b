// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "apps/doctor/finding.hpp"

namespace strictsend::doctor {

/// A line for each finding, with why it matters and what mends it below; the last line is the sum.
[[nodiscard]] std::string to_text(const std::vector<Finding>& findings);
/// The same as one JSON object; the manual page says of what form.
[[nodiscard]] std::string to_json(const std::vector<Finding>& findings);

/// "serve would start; of 18 checks 2 slow".
[[nodiscard]] std::string conclusion(const std::vector<Finding>& findings);

}  // namespace strictsend::doctor
