// SPDX-License-Identifier: Apache-2.0
#include "apps/http/mime.hpp"

#include <algorithm>
#include <array>
#include <string>

namespace strictsend::http {
namespace {

struct Entry {
  std::string_view extension;
  std::string_view type;
};

// Sorted by extension, for the binary search below. Text is served as UTF-8, as nearly all is.
constexpr std::array entries{
    Entry{"7z", "application/x-7z-compressed"},
    Entry{"aac", "audio/aac"},
    Entry{"avif", "image/avif"},
    Entry{"bz2", "application/x-bzip2"},
    Entry{"css", "text/css; charset=utf-8"},
    Entry{"csv", "text/csv; charset=utf-8"},
    Entry{"deb", "application/vnd.debian.binary-package"},
    Entry{"flac", "audio/flac"},
    Entry{"gif", "image/gif"},
    Entry{"gz", "application/gzip"},
    Entry{"htm", "text/html; charset=utf-8"},
    Entry{"html", "text/html; charset=utf-8"},
    Entry{"ico", "image/vnd.microsoft.icon"},
    Entry{"jpeg", "image/jpeg"},
    Entry{"jpg", "image/jpeg"},
    Entry{"js", "text/javascript; charset=utf-8"},
    Entry{"json", "application/json"},
    Entry{"log", "text/plain; charset=utf-8"},
    Entry{"m3u8", "application/vnd.apple.mpegurl"},
    Entry{"m4a", "audio/mp4"},
    Entry{"md", "text/markdown; charset=utf-8"},
    Entry{"mjs", "text/javascript; charset=utf-8"},
    Entry{"mkv", "video/x-matroska"},
    Entry{"mov", "video/quicktime"},
    Entry{"mp3", "audio/mpeg"},
    Entry{"mp4", "video/mp4"},
    Entry{"mpd", "application/dash+xml"},
    Entry{"oga", "audio/ogg"},
    Entry{"ogg", "audio/ogg"},
    Entry{"ogv", "video/ogg"},
    Entry{"otf", "font/otf"},
    Entry{"pdf", "application/pdf"},
    Entry{"png", "image/png"},
    Entry{"rpm", "application/x-rpm"},
    Entry{"svg", "image/svg+xml"},
    Entry{"tar", "application/x-tar"},
    Entry{"ts", "video/mp2t"},
    Entry{"ttf", "font/ttf"},
    Entry{"txt", "text/plain; charset=utf-8"},
    Entry{"wasm", "application/wasm"},
    Entry{"wav", "audio/wav"},
    Entry{"webm", "video/webm"},
    Entry{"webp", "image/webp"},
    Entry{"woff", "font/woff"},
    Entry{"woff2", "font/woff2"},
    Entry{"xhtml", "application/xhtml+xml"},
    Entry{"xml", "application/xml"},
    Entry{"xz", "application/x-xz"},
    Entry{"zip", "application/zip"},
    Entry{"zst", "application/zstd"},
};

constexpr bool before(const Entry& a, const Entry& b) {
  return a.extension < b.extension;
}
static_assert(std::is_sorted(entries.begin(), entries.end(), before));

constexpr char lower_of(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

}  // namespace

std::string_view media_type(std::string_view path) {
  constexpr std::string_view unknown = "application/octet-stream";
  const std::string_view name = path.substr(path.rfind('/') + 1);  // npos + 1 is 0
  const std::size_t dot = name.rfind('.');
  // A leading dot hides a file; it begins no extension.
  if (dot == std::string_view::npos || dot == 0) return unknown;
  std::string extension(name.substr(dot + 1));
  std::transform(extension.begin(), extension.end(), extension.begin(), lower_of);
  const auto* found =
      std::lower_bound(entries.begin(), entries.end(), Entry{extension, {}}, before);
  return found != entries.end() && found->extension == extension ? found->type : unknown;
}

}  // namespace strictsend::http
