// SPDX-License-Identifier: Apache-2.0
#include "tests/integration/http_requests.hpp"

namespace strictsend::test {
namespace {

constexpr const char* mtime = "Sun, 06 Nov 1994 08:49:37 GMT";
constexpr const char* earlier = "Sat, 05 Nov 1994 08:49:37 GMT";
constexpr const char* later = "Mon, 07 Nov 1994 08:49:37 GMT";

std::string line(const std::string& text) {
  return text + "\r\n";
}
std::string get(const std::string& target, const std::string& fields = {}) {
  return line("GET " + target + " HTTP/1.1") + line("Host: a") + fields + "\r\n";
}
std::string with(const std::string& field, const std::string& more = {}) {
  return get("/hello.txt", line(field) + more);
}
std::string range(const std::string& set, const std::string& more = {}) {
  return with("Range: " + set, more);
}

void add_paths(std::vector<HttpRequest>& list) {
  list.insert(
      list.end(),
      {{"a file", get("/hello.txt")},
       {"an empty file", get("/empty.txt")},
       {"a blank in the name", get("/a%20b.txt")},
       {"a percent sign in the name", get("/100%25.txt")},
       {"escapes of plain letters", get("/%68ello%2Etxt")},
       {"an escaped slash", get("/dir%2Ffile.txt")},
       {"several slashes", get("//dir///file.txt")},
       {"dot segments", get("/dir/./../dir/file.txt")},
       {"escaped dot segments", get("/dir/%2e%2E/hello.txt")},
       {"a dot segment behind what is not there", get("/none/../hello.txt")},
       {"a dot segment at the end", get("/dir/.")},
       {"two dots at the end", get("/dir/..")},
       {"out of the root", get("/../hello.txt")},
       {"out of the root, escaped", get("/%2e%2e/%2e%2e/etc/passwd")},
       {"out of the root from inside", get("/dir/../../hello.txt")},
       {"an escape of an escape", get("/%252e%252e/hello.txt")},
       {"half an escape", get("/hello.txt%4")},
       {"an escape that is none", get("/%zz")},
       {"an escaped NUL", get("/hello.txt%00")},
       {"a query", get("/hello.txt?x=1&y=/../")},
       {"an escaped question mark", get("/hello.txt%3Fx")},
       {"what is not there", get("/none")},
       {"below a file", get("/hello.txt/x")},
       {"a slash behind a file", get("/hello.txt/")},
       {"a link inside", get("/in")},
       {"a link that leaves the root", get("/out"), "Links that leave the root", 403},
       {"a directory with an index", get("/dir/")},
       {"a directory without its slash", get("/dir")},
       {"a directory without its slash, with a query", get("/dir?a=b")},
       {"a directory without an index", get("/bare/")},
       {"the absolute form", get("http://b/hello.txt")},
       {"the absolute form without a path", get("http://b?x")},
       {"another scheme", get("ftp://b/hello.txt"), "The absolute form with another scheme", 400},
       {"a target without a slash", get("hello.txt")},
       {"a fragment", get("/hello.txt#part")}});
}

void add_ranges(std::vector<HttpRequest>& list) {
  const std::string whole_file = "0-25";
  list.insert(
      list.end(),
      {{"a range", range("bytes=2-4")},
       {"a range to the end", range("bytes=20-")},
       {"a suffix", range("bytes=-3")},
       {"a suffix longer than the file", range("bytes=-100")},
       {"a range beyond the end", range("bytes=20-100")},
       {"all of it as a range", range("bytes=" + whole_file)},
       {"blanks in a range", range("bytes= 2 - 4 ")},
       {"a unit in capitals", range("BYTES=2-4")},
       {"another unit", range("lines=1-2")},
       {"two ranges", range("bytes=0-1,24-25")},
       {"three ranges, not in order", range("bytes=10-12, 0-0, -1")},
       {"two ranges, one beyond the end", range("bytes=0-1,100-")},
       {"a range that begins at the end", range("bytes=26-")},
       {"a suffix of nothing", range("bytes=-0")},
       {"a range backwards", range("bytes=5-2")},
       {"a range of words", range("bytes=a-b")},
       {"a range of nothing", range("bytes=")},
       {"a dash alone", range("bytes=-")},
       {"a comma at the end", range("bytes=0-1,")},
       {"a number of 30 digits", range("bytes=0-999999999999999999999999999999"),
        "A range's number that 63 bits do not hold", 206},
       {"ranges that overlap into more than the file", range("bytes=0-,0-,0-,0-")},
       {"a range of an empty file", get("/empty.txt", line("Range: bytes=0-"))},
       {"a range beyond an empty file", get("/empty.txt", line("Range: bytes=1-"))},
       {"a range of what is not there", get("/none", line("Range: bytes=0-1"))},
       {"a range by HEAD", "HEAD /hello.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=2-4\r\n\r\n",
        "Range with HEAD", 200},
       {"If-Range with the tag", range("bytes=2-4", line("If-Range: {etag}"))},
       {"If-Range with another tag", range("bytes=2-4", line("If-Range: \"x\""))},
       {"If-Range with a weak tag", range("bytes=2-4", line("If-Range: W/{etag}"))},
       {"If-Range with the date", range("bytes=2-4", line(std::string("If-Range: ") + mtime))},
       {"If-Range with another date", range("bytes=2-4", line(std::string("If-Range: ") + later))},
       {"If-Range with nonsense", range("bytes=2-4", line("If-Range: x"))}});
}

void add_conditions(std::vector<HttpRequest>& list) {
  const std::string since = "If-Modified-Since: ";
  const std::string not_since = "If-Unmodified-Since: ";
  list.insert(
      list.end(),
      {{"If-None-Match with the tag", with("If-None-Match: {etag}")},
       {"If-None-Match with it weakly", with("If-None-Match: W/{etag}")},
       {"If-None-Match with a list", with("If-None-Match: \"x\", {etag}")},
       {"If-None-Match with another tag", with("If-None-Match: \"x\"")},
       {"If-None-Match with a star", with("If-None-Match: *")},
       {"If-None-Match in two lines", with("If-None-Match: \"x\"", line("If-None-Match: {etag}")),
        "A list in several lines", 304},
       {"If-Match with the tag", with("If-Match: {etag}")},
       {"If-Match with it weakly", with("If-Match: W/{etag}"), "Conditions that fail", 412},
       {"If-Match with another tag", with("If-Match: \"x\""), "Conditions that fail", 412},
       {"If-Match with a star", with("If-Match: *")},
       {"If-Modified-Since with the date", with(since + mtime)},
       {"If-Modified-Since in the format of RFC 850",
        with(since + "Sunday, 06-Nov-94 08:49:37 GMT")},
       {"If-Modified-Since in the format of asctime", with(since + "Sun Nov  6 08:49:37 1994")},
       {"If-Modified-Since with an earlier date", with(since + earlier)},
       {"If-Modified-Since with a later date", with(since + later),
        "If-Modified-Since with a later date", 304},
       {"If-Modified-Since with nonsense", with(since + "yesterday")},
       {"If-Unmodified-Since with the date", with(not_since + mtime)},
       {"If-Unmodified-Since with a later date", with(not_since + later)},
       {"If-Unmodified-Since with an earlier date", with(not_since + earlier),
        "Conditions that fail", 412},
       {"If-Unmodified-Since with nonsense", with(not_since + "yesterday"),
        "If-Unmodified-Since without a date", 200},
       {"a tag that differs and a date that does not",
        with("If-None-Match: \"x\"", line(since + mtime))},
       {"a tag that matches and a date that does not",
        with("If-None-Match: {etag}", line(since + earlier)), "Conditions by tag and by date", 304},
       {"a tag that matches and a date that is over",
        with("If-Match: {etag}", line(not_since + earlier)), "Conditions by tag and by date", 200},
       {"a condition before a range", range("bytes=100-", line("If-None-Match: {etag}"))},
       {"a condition that fails before a range", range("bytes=0-1", line("If-Match: \"x\"")),
        "Conditions that fail", 412},
       {"a condition on what is not there", get("/none", line("If-Match: *"))}});
}

void add_messages(std::vector<HttpRequest>& list) {
  const std::string hello = "/hello.txt HTTP/1.";
  list.insert(
      list.end(),
      {{"HEAD", "HEAD " + hello + "1\r\nHost: a\r\n\r\n"},
       {"HEAD of what is not there", "HEAD /none HTTP/1.1\r\nHost: a\r\n\r\n"},
       {"HEAD with a condition", "HEAD " + hello + "1\r\nHost: a\r\nIf-None-Match: {etag}\r\n\r\n"},
       {"HTTP/1.0", "GET " + hello + "0\r\n\r\n"},
       {"HTTP/1.0 kept alive", "GET " + hello + "0\r\nConnection: keep-alive\r\n\r\n"},
       {"HTTP/1.1 to be closed", with("Connection: close")},
       {"several requests at once", get("/hello.txt") + get("/none") + range("bytes=1-2")},
       {"an empty line before the request", "\r\n" + get("/hello.txt")},
       {"no Host", "GET " + hello + "1\r\n\r\n"},
       {"two Hosts", with("Host: b")},
       {"an empty Host", "GET " + hello + "1\r\nHost:\r\n\r\n"},
       {"a Host that is none", "GET " + hello + "1\r\nHost: a/b\r\n\r\n"},
       {"a Host with a port", "GET " + hello + "1\r\nHost: a:8080\r\n\r\n"},
       {"POST", "POST " + hello + "1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"},
       {"PUT", "PUT " + hello + "1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"},
       {"DELETE", "DELETE " + hello + "1\r\nHost: a\r\n\r\n"},
       {"OPTIONS", "OPTIONS " + hello + "1\r\nHost: a\r\n\r\n"},
       {"a method in small letters", "get " + hello + "1\r\nHost: a\r\n\r\n",
        "Method names in small letters", 405},
       {"another version", "GET /hello.txt HTTP/2.0\r\nHost: a\r\n\r\n"},
       {"no version", "GET /hello.txt\r\n\r\n", "HTTP/0.9", 400, false},
       {"bare line feeds", "GET /hello.txt HTTP/1.1\nHost: a\n\n", "Bare line feeds", 400},
       {"no request at all", std::string("\x16\x03\x01\x02", 4) + "\r\n\r\n"},
       {"a field without a colon", with("no colon")},
       {"a blank before the colon", with("X : y")},
       {"a body by its length", get("/hello.txt", line("Content-Length: 5")) + "hello"},
       {"a body in chunks",
        get("/hello.txt", line("Transfer-Encoding: chunked")) + "5\r\nhello\r\n0\r\n\r\n"},
       {"both ways to end a body",
        get("/hello.txt", line("Content-Length: 5") + line("Transfer-Encoding: chunked")) +
            "0\r\n\r\n"},
       {"a length that is none", with("Content-Length: x")},
       {"two lengths", with("Content-Length: 1", line("Content-Length: 2"))},
       {"a coding that is not known", with("Transfer-Encoding: gzip")},
       {"an expectation without a body", with("Expect: 100-continue"),
        "An expectation without a body", 200},
       {"an expectation that is not known", with("Expect: more"), "An unknown expectation", 417},
       {"a target of 20,000 bytes", get("/" + std::string(20'000, 'a')), {}, 0, false},
       {"a field of 20,000 bytes", with("X: " + std::string(20'000, 'x')),
        "Header fields that are too large", 431, false}});
}

}  // namespace

std::vector<HttpRequest> http_requests() {
  std::vector<HttpRequest> list;
  add_paths(list);
  add_ranges(list);
  add_conditions(list);
  add_messages(list);
  return list;
}

}  // namespace strictsend::test
