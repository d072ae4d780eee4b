// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "apps/http/refusal.hpp"
#include <strictsend/file.hpp>

namespace strictsend::http {

/// "Not Found" for 404; empty for a status that this server never sends.
[[nodiscard]] std::string_view reason_phrase(int status);

/// What the connection does after a response, as its head has to say it (RFC 9112 §9.3, §9.6).
enum class Persistence : std::uint8_t {
  keep,          ///< HTTP/1.1: it is the rule and needs no words
  keep_and_say,  ///< HTTP/1.0: the client asked for it and must be told
  close,
};

/// The head of a 200 response for exactly these bytes: the attributes are the snapshot's.
[[nodiscard]] std::string file_head(const FileAttributes& attributes, std::string_view content_type,
                                    std::int64_t now_unix_seconds, Persistence persistence);

/// Head and plain-text body of an error. A HEAD request gets the head alone (`with_body` false),
/// the same to the byte.
[[nodiscard]] std::string refusal_message(const Refusal& refusal, std::int64_t now_unix_seconds,
                                          Persistence persistence, bool with_body);

}  // namespace strictsend::http
