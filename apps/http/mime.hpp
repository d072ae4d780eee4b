// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace strictsend::http {

/// The Content-Type for a path, by its last name's extension in any case;
/// "application/octet-stream" where the extension says nothing.
[[nodiscard]] std::string_view media_type(std::string_view path);

}  // namespace strictsend::http
