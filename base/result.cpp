// SPDX-License-Identifier: Apache-2.0
#include "base/result.hpp"

#include <string.h>

namespace strictsend {

std::string Error::message() const {
  std::string text = operation + " failed";
  if (errno_value != 0) {
    const char* description = strerrordesc_np(errno_value);
    const char* name = strerrorname_np(errno_value);
    text += ": ";
    text += description != nullptr ? description : "unknown error";
    text += std::string(" (") + (name != nullptr ? name : std::to_string(errno_value)) + ")";
  }
  if (!hint.empty()) text += ": " + hint;
  return text;
}

}  // namespace strictsend
