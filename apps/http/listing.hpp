// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "apps/http/stream.hpp"

namespace strictsend::http {

/// A page lists no more than fits into so many bytes, and says how many entries it leaves out.
constexpr std::size_t listing_bytes_max = 256U << 10;

struct ListingEntry {
  std::string name;
  bool is_directory = false;
  std::uint64_t size_bytes = 0;
  std::int64_t mtime_s = 0;
};

/// The HTML page of a directory, directories first, each by name. `path` is the directory's, of
/// path_of_target. Names are any bytes: in the text they are escaped for HTML, in links
/// percent-encoded.
[[nodiscard]] std::string listing_page(std::string_view path, std::vector<ListingEntry> entries);

/// A page as a response to the request that it was made for.
class PageRepresentation final : public Representation {
 public:
  explicit PageRepresentation(std::string page) : page_(std::move(page)) {
    attributes_.size_bytes = page_.size();
  }
  [[nodiscard]] const FileAttributes& attributes() const override { return attributes_; }
  [[nodiscard]] std::string_view media_type() const override { return "text/html; charset=utf-8"; }
  [[nodiscard]] const std::string* page() const override { return &page_; }

 private:
  std::string page_;
  FileAttributes attributes_;
};

}  // namespace strictsend::http
