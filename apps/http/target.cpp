// SPDX-License-Identifier: Apache-2.0
#include "apps/http/target.hpp"

namespace strictsend::http {
namespace {

tl::unexpected<Refusal> bad_target(const char* sentence) {
  return tl::unexpected<Refusal>(Refusal{400, sentence});
}

/// The value of a hexadecimal digit, or -1.
int digit_of(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

/// Cuts "http://authority" off an absolute-form target; the host is not looked at, because one root
/// serves all.
std::string_view without_authority(std::string_view target) {
  const std::size_t scheme_end = target.find("://");
  if (scheme_end == std::string_view::npos) return target;
  const std::size_t path = target.find_first_of("/?", scheme_end + 3);
  return path == std::string_view::npos ? std::string_view("/") : target.substr(path);
}

}  // namespace

tl::expected<std::string, Refusal> path_of_target(std::string_view target) {
  if (target.starts_with("http://") || target.starts_with("https://"))
    target = without_authority(target);
  target = target.substr(0, target.find_first_of("?#"));
  // An absolute form may have no path at all before its query; it means the root.
  if (target.empty()) target = "/";
  if (target.front() != '/') return bad_target("The request target must begin with a slash.");

  std::string path;
  path.reserve(target.size());
  for (std::size_t i = 0; i < target.size(); ++i) {
    char c = target[i];
    if (c == '%') {
      const int high = i + 1 < target.size() ? digit_of(target[i + 1]) : -1;
      const int low = i + 2 < target.size() ? digit_of(target[i + 2]) : -1;
      if (high < 0 || low < 0)
        return bad_target(
            "The request target has a percent sign without two hexadecimal digits after it.");
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (c == '\0') return bad_target("The request target contains a NUL byte.");
    path.push_back(c);
  }
  path.erase(0, path.find_first_not_of('/'));  // all of it, where it is slashes only
  return path.empty() ? std::string(".") : path;
}

}  // namespace strictsend::http
