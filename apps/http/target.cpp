// SPDX-License-Identifier: Apache-2.0
#include "apps/http/target.hpp"

#include <algorithm>

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

/// Of a decoded path that begins with a slash; see path_of_target.
tl::expected<std::string, Refusal> without_dot_segments(std::string_view path) {
  std::string result;
  bool directory = true;
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::string_view segment = path.substr(0, path.find('/'));
    path.remove_prefix(segment.size());
    directory = segment.empty() || segment == "." || segment == "..";
    if (segment == "..") {
      if (result.empty()) return bad_target("The request target leads out of the root.");
      const std::size_t slash = result.rfind('/');
      result.resize(slash == std::string::npos ? 0 : slash);
    } else if (!directory) {
      if (!result.empty()) result += '/';
      result += segment;
    }
  }
  if (result.empty()) return "./";
  if (directory) result += '/';
  return result;
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
  return without_dot_segments(path);
}

std::string directory_location(std::string_view path, std::string_view target) {
  const std::size_t query = target.find('?');
  const std::string_view kept = query == std::string_view::npos
                                    ? std::string_view()
                                    : target.substr(query, target.find('#', query) - query);
  return "/" + percent_encoded(path) + "/" + std::string(kept);
}

bool is_host(std::string_view field) {
  constexpr std::string_view letters_and_digits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  constexpr std::string_view others = "-._~%!$&'()*+,;=";
  const auto all_of = [](std::string_view text, auto good) {
    return std::all_of(text.begin(), text.end(), good);
  };
  const auto in_name = [&](char c) {
    return letters_and_digits.find(c) != std::string_view::npos ||
           others.find(c) != std::string_view::npos;
  };
  std::string_view name = field;
  if (field.starts_with('[')) {
    name = field.substr(0, field.find(']'));
    if (name.size() == field.size()) return false;
    field.remove_prefix(name.size() + 1);
    name.remove_prefix(1);
    if (!all_of(name, [&](char c) { return c == ':' || in_name(c); })) return false;
  } else {
    name = field.substr(0, field.find(':'));
    field.remove_prefix(name.size());
    if (!all_of(name, in_name)) return false;
  }
  if (name.empty()) return false;
  return field.empty() || (field.front() == ':' &&
                           all_of(field.substr(1), [](char c) { return c >= '0' && c <= '9'; }));
}

std::string percent_encoded(std::string_view path) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  constexpr std::string_view kept =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";
  std::string encoded;
  encoded.reserve(path.size());
  for (const char c : path) {
    if (kept.find(c) != std::string_view::npos) {
      encoded += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    encoded += {'%', digits[byte >> 4], digits[byte & 15]};
  }
  return encoded;
}

}  // namespace strictsend::http
