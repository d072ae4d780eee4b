// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include <tl/expected.hpp>

#include "apps/http/refusal.hpp"

namespace strictsend::http {

/// The path that a request target names, decoded and relative to the server's root: no leading
/// slash, "." for the root itself. Whether it stays beneath the root is the resolver's business
/// (the kernel's, in fact): only the kernel knows the symbolic links.
///
/// Takes the origin form and the absolute form (RFC 9112 §3.2.1, §3.2.2: a server must accept it);
/// the query is cut off. Refused with 400: other forms, an escape that is not % and two hexadecimal
/// digits, and a NUL byte, however it is written.
[[nodiscard]] tl::expected<std::string, Refusal> path_of_target(std::string_view target);

}  // namespace strictsend::http
