// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

namespace strictsend::test {

/// A request as a client sends it, byte by byte.
struct HttpRequest {
  std::string name;
  std::string bytes;  ///< "{etag}" stands for hello.txt's entity tag
  /// Where the answer is meant to be another one than nginx's: a row of the table in docs/http.md
  /// begins with these words, and has the reason.
  std::string difference{};
  int our_status = 0;  ///< then
  bool probed = true;  ///< a GET follows on the same connection
};

/// The list that the two servers are compared by. The files are those that the test makes.
[[nodiscard]] std::vector<HttpRequest> http_requests();

}  // namespace strictsend::test
