// SPDX-License-Identifier: Apache-2.0
#include "apps/http/listing.hpp"

#include <algorithm>
#include <tuple>

#include <fmt/format.h>

#include "apps/http/date.hpp"
#include "apps/http/target.hpp"

namespace strictsend::http {
namespace {

std::string html(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

std::string row(const ListingEntry& entry) {
  const std::string_view slash = entry.is_directory ? "/" : "";
  return fmt::format(
      "<tr><td><a href=\"{}{}\">{}{}</a></td><td align=\"right\">{}</td><td>{}</td></tr>\n",
      percent_encoded(entry.name), slash, html(entry.name), slash,
      entry.is_directory ? std::string("-") : std::to_string(entry.size_bytes),
      format_date(entry.mtime_s));
}

}  // namespace

std::string listing_page(std::string_view path, std::vector<ListingEntry> entries) {
  std::sort(entries.begin(), entries.end(), [](const ListingEntry& a, const ListingEntry& b) {
    return std::tuple(!a.is_directory, std::string_view(a.name)) <
           std::tuple(!b.is_directory, std::string_view(b.name));
  });
  const bool is_root = path == "./";
  const std::string title = html(is_root ? "/" : "/" + std::string(path));
  std::string page = fmt::format(
      "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>{0}</title></head>\n"
      "<body><h1>{0}</h1>\n<table>\n",
      title);
  if (!is_root) page += "<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n";
  constexpr std::size_t end_bytes = 128;
  std::size_t listed = 0;
  for (const ListingEntry& entry : entries) {
    const std::string text = row(entry);
    if (page.size() + text.size() + end_bytes > listing_bytes_max) break;
    page += text;
    ++listed;
  }
  page += "</table>\n";
  if (listed < entries.size())
    page += fmt::format("<p>{} more are not listed.</p>\n", entries.size() - listed);
  return page + "</body></html>\n";
}

}  // namespace strictsend::http
