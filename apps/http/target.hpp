// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include <tl/expected.hpp>

#include "apps/http/refusal.hpp"

namespace strictsend::http {

/// The path that a request target names, decoded, without empty segments and dot segments (RFC 3986
/// §5.2.4), and relative to the server's root: no leading slash, "./" for the root itself. It ends
/// with a slash if the target does, or in a dot segment. An escaped slash counts as a slash.
/// Whether it stays beneath the root is still the resolver's business (the kernel's, in fact): only
/// the kernel knows the symbolic links.
///
/// Takes the origin form and the absolute form (RFC 9112 §3.2.1, §3.2.2: a server must accept it);
/// the query is cut off. Refused with 400: other forms, an escape that is not % and two hexadecimal
/// digits, a NUL byte, however it is written, and dot segments that lead out of the root.
[[nodiscard]] tl::expected<std::string, Refusal> path_of_target(std::string_view target);

/// Where the directory is that `path` (of path_of_target) names without a slash at its end: its
/// path with one, percent-encoded, and the query of the target. It begins with one slash, so that
/// nothing in the target can make another host of it.
[[nodiscard]] std::string directory_location(std::string_view path, std::string_view target);

/// Whether a Host field's value is uri-host [":" port] (RFC 9110 §7.2); an empty one names none.
[[nodiscard]] bool is_host(std::string_view field);

/// Everything but RFC 3986's unreserved characters and the slash as % and two digits.
[[nodiscard]] std::string percent_encoded(std::string_view path);

}  // namespace strictsend::http
