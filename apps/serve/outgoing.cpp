// SPDX-License-Identifier: Apache-2.0
#include "apps/serve/outgoing.hpp"

#include <algorithm>
#include <cerrno>
#include <span>
#include <string>
#include <utility>

namespace strictsend::serve {
namespace {

/// Cuts texts that no splice can carry in one.
std::vector<http::Piece> cut(std::vector<http::Piece> pieces) {
  std::vector<http::Piece> result;
  for (http::Piece& piece : pieces) {
    std::string& text = piece.text;
    std::size_t at = 0;
    for (; text.size() - at > Splice::max_inline_bytes; at += Splice::max_inline_bytes)
      result.push_back({text.substr(at, Splice::max_inline_bytes), {}});
    if (at > 0) text.erase(0, at);
    result.push_back(std::move(piece));
  }
  return result;
}

}  // namespace

Outgoing::Outgoing(ConnectionId connection, std::uint64_t key, std::vector<http::Piece> pieces,
                   std::unique_ptr<SnapshotRepresentation> file)
    : connection_(connection), key_(key), pieces_(cut(std::move(pieces))) {
  if (file == nullptr) return;
  whole_ = file->take();
  ranges_left_ = static_cast<std::size_t>(
      std::count_if(pieces_.begin(), pieces_.end(),
                    [](const http::Piece& piece) { return piece.range.length() > 0; }));
}

Result<std::uint64_t> Outgoing::submit(Engine& engine) {
  http::Piece& piece = pieces_[next_];
  Splice splice;
  splice.connection = connection_;
  splice.header = std::as_bytes(std::span(piece.text));
  splice.user_data = key_;
  const bool has_range = piece.range.length() > 0;
  const bool is_last_use = has_range && ranges_left_ == 1 && piece.range.begin == 0 &&
                           piece.range.end == whole_.length_bytes();
  if (is_last_use) {
    splice.snapshot = std::move(whole_);
  } else if (has_range) {
    Result<Snapshot> part = whole_.part(piece.range.begin, piece.range.length());
    if (!part) return tl::unexpected(std::move(part.error()));
    splice.snapshot = std::move(*part);
  }
  Result<std::uint64_t> id = engine.submit(std::move(splice));
  if (!id) {
    if (is_last_use) whole_ = std::move(splice.snapshot);  // for the next try
    return id;
  }
  piece.text = std::string();
  ++next_;
  // Writers need preserve nothing more than what is on its way.
  if (has_range && --ranges_left_ == 0) whole_ = Snapshot();
  return id;
}

}  // namespace strictsend::serve
