// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "apps/http/answer.hpp"
#include "apps/http/refusal.hpp"
#include "apps/http/stream.hpp"

namespace strictsend::http {

/// "Not Found" for 404; empty for a status that this server never sends.
[[nodiscard]] std::string_view reason_phrase(int status);

/// What the connection does after a response, as its head has to say it (RFC 9112 §9.3, §9.6).
enum class Persistence : std::uint8_t {
  keep,          ///< HTTP/1.1: it is the rule and needs no words
  keep_and_say,  ///< HTTP/1.0: the client asked for it and must be told
  close,
};

/// How a response is worded, whatever it says.
struct Wording {
  std::int64_t now_unix_seconds = 0;
  Persistence persistence = Persistence::keep;
  bool with_body = true;  ///< false for HEAD, which gets the head alone, the same to the byte
};

/// A response to GET or HEAD for exactly these bytes, by an answer of 200, 206 or 304: the head,
/// and which bytes of the representation follow with what between them (RFC 9110 §14.6).
[[nodiscard]] std::vector<Piece> file_response(const Answer& answer,
                                               const Representation& representation,
                                               const Wording& wording);

/// The same for one that is a page.
[[nodiscard]] std::vector<Piece> page_response(const Representation& page, const Wording& wording);

/// The head, which is all, of 201 and 204: the file is stored.
[[nodiscard]] std::string stored_head(int status, const Wording& wording);

/// Head and plain-text body of an error or a redirect. `allowed` are the methods, for 405.
[[nodiscard]] std::string refusal_message(const Refusal& refusal, const Wording& wording,
                                          std::string_view allowed);

/// What stands between the parts of a response of several ranges: no two responses of a process
/// have the same, and a file cannot know it.
[[nodiscard]] std::string fresh_boundary();

}  // namespace strictsend::http
