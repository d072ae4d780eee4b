// SPDX-License-Identifier: Apache-2.0
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "apps/http/date.hpp"
#include "apps/http/listing.hpp"
#include "apps/http/mime.hpp"
#include "apps/http/request_parser.hpp"
#include "apps/http/response.hpp"
#include "apps/http/target.hpp"

namespace strictsend::http {
namespace {

TEST(HttpDate, writes_the_example_of_rfc_9110_section_5_6_7) {
  EXPECT_EQ(format_date(784'111'777), "Sun, 06 Nov 1994 08:49:37 GMT");
}

TEST(HttpDate, knows_leap_days_and_the_ends_of_what_it_can_write) {
  EXPECT_EQ(format_date(951'782'400), "Tue, 29 Feb 2000 00:00:00 GMT");
  EXPECT_EQ(format_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(format_date(-5), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(format_date(253'402'300'799), "Fri, 31 Dec 9999 23:59:59 GMT");
  EXPECT_EQ(format_date(INT64_MAX), "Fri, 31 Dec 9999 23:59:59 GMT");
}

TEST(MediaType, goes_by_the_last_extension_in_any_case) {
  EXPECT_EQ(media_type("a/b/index.html"), "text/html; charset=utf-8");
  EXPECT_EQ(media_type("PHOTO.JPG"), "image/jpeg");
  EXPECT_EQ(media_type("archive.tar.gz"), "application/gzip");
}

TEST(MediaType, is_octet_stream_where_the_name_says_nothing) {
  for (const char* path : {"README", ".html", "dir.html/file", "x.", "x.unknown", ""})
    EXPECT_EQ(media_type(path), "application/octet-stream") << path;
}

TEST(Target, is_decoded_and_made_relative) {
  EXPECT_EQ(path_of_target("/a/b.txt").value(), "a/b.txt");
  EXPECT_EQ(path_of_target("/a%20b%2Fc").value(), "a b/c");
  EXPECT_EQ(path_of_target("///x").value(), "x");
  EXPECT_EQ(path_of_target("/").value(), "./");
  EXPECT_EQ(path_of_target("//").value(), "./");
}

TEST(Target, loses_its_dot_segments_as_rfc_3986_section_5_2_4_has_it) {
  EXPECT_EQ(path_of_target("/a/./b/../c").value(), "a/c");
  EXPECT_EQ(path_of_target("/a/%2e%2E/b").value(), "b");
  EXPECT_EQ(path_of_target("/none/../b").value(), "b");
  EXPECT_EQ(path_of_target("/a/..b/...").value(), "a/..b/...");
}

TEST(Target, names_a_directory_by_the_slash_or_the_dot_segment_at_its_end) {
  EXPECT_EQ(path_of_target("/a/").value(), "a/");
  EXPECT_EQ(path_of_target("/a//").value(), "a/");
  EXPECT_EQ(path_of_target("/a/.").value(), "a/");
  EXPECT_EQ(path_of_target("/a/b/..").value(), "a/");
  EXPECT_EQ(path_of_target("/a/..").value(), "./");
}

TEST(Target, is_refused_with_400_when_it_leads_out_of_the_root) {
  for (const char* target : {"/..", "/../a", "/a/../../b", "/%2e%2e%2fa", "/./.."}) {
    const auto path = path_of_target(target);
    ASSERT_FALSE(path.has_value()) << target;
    EXPECT_EQ(path.error().status, 400) << target;
  }
}

TEST(Target, of_a_directory_is_redirected_to_the_same_host) {
  EXPECT_EQ(directory_location("a b/c", "/a%20b/c"), "/a%20b/c/");
  EXPECT_EQ(directory_location("a", "/a?x=/y&z"), "/a/?x=/y&z");
  EXPECT_EQ(directory_location("evil", path_of_target("//evil").value()), "/evil/");
  EXPECT_EQ(directory_location("a\r\nb?", "/"), "/a%0D%0Ab%3F/");
}

TEST(Host, is_a_name_or_an_address_and_perhaps_a_port) {
  for (const char* field :
       {"a", "a.b", "a:80", "127.0.0.1", "[::1]", "[fe80::1]:8080", "a:", "a_b"})
    EXPECT_TRUE(is_host(field)) << field;
  for (const char* field : {"", ":80", "a/b", "a b", "a:x", "[::1", "[]", "[::1]x", "a@b", "a\\b"})
    EXPECT_FALSE(is_host(field)) << field;
}

TEST(Target, loses_its_query_but_keeps_an_escaped_question_mark) {
  EXPECT_EQ(path_of_target("/a?x=1&y=/../").value(), "a");
  EXPECT_EQ(path_of_target("/a%3Fb?c").value(), "a?b");
  EXPECT_EQ(path_of_target("/?x").value(), "./");
}

TEST(Target, may_be_in_absolute_form) {
  EXPECT_EQ(path_of_target("http://host:80/a/b?c").value(), "a/b");
  EXPECT_EQ(path_of_target("http://host").value(), "./");
  EXPECT_EQ(path_of_target("http://host?q").value(), "./");
}

TEST(Target, is_decoded_once_only) {
  EXPECT_EQ(path_of_target("/%252e%252e").value(), "%2e%2e");
}

TEST(Target, is_refused_with_400_when_its_escapes_are_wrong) {
  for (const char* target : {"/%", "/%4", "/%4g", "/%g4", "/a%", "/%%41", "/%00", "/a%00b"}) {
    const auto path = path_of_target(target);
    ASSERT_FALSE(path.has_value()) << target;
    EXPECT_EQ(path.error().status, 400) << target;
  }
}

TEST(Target, is_refused_with_400_in_any_other_form) {
  for (const char* target : {"a/b", "*", "host:443", "ftp://host/x"}) {
    const auto path = path_of_target(target);
    ASSERT_FALSE(path.has_value()) << target;
    EXPECT_EQ(path.error().status, 400) << target;
  }
}

/// Five bytes with a time of modification.
class FiveBytes final : public Representation {
 public:
  explicit FiveBytes(std::int64_t mtime_ns) {
    attributes_.size_bytes = 5;
    attributes_.mtime_ns = mtime_ns;
    attributes_.entity_tag = "abc";
  }
  [[nodiscard]] const FileAttributes& attributes() const override { return attributes_; }
  [[nodiscard]] std::string_view media_type() const override { return "text/plain"; }

 private:
  FileAttributes attributes_;
};

constexpr std::int64_t date_now = 784'111'777;
constexpr std::int64_t mtime_ns = 784'111'000'999'999'999;

TEST(Response, to_a_get_describes_the_snapshot) {
  const auto pieces =
      file_response({200, {}}, FiveBytes(mtime_ns), {date_now, Persistence::keep, true});
  ASSERT_EQ(pieces.size(), 1U);
  EXPECT_EQ(pieces[0].text,
            "HTTP/1.1 200 OK\r\nServer: strictsend\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
            "Content-Type: text/plain\r\nContent-Length: 5\r\nX-Content-Type-Options: nosniff\r\n"
            "ETag: \"abc\"\r\nLast-Modified: Sun, 06 Nov 1994 08:36:40 GMT\r\n"
            "Accept-Ranges: bytes\r\n\r\n");
  EXPECT_EQ(pieces[0].range, (ByteRange{0, 5}));
}

TEST(Response, never_says_that_a_file_was_modified_in_the_future) {
  const auto pieces = file_response({200, {}}, FiveBytes(2'000'000'000'000'000'000),
                                    {date_now, Persistence::keep, true});
  EXPECT_NE(pieces[0].text.find("Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n"),
            std::string::npos);
}

TEST(Response, of_one_range_says_which_as_rfc_9110_section_15_3_7_1_has_it) {
  const auto pieces =
      file_response({206, {{1, 3}}}, FiveBytes(mtime_ns), {date_now, Persistence::keep, true});
  ASSERT_EQ(pieces.size(), 1U);
  EXPECT_TRUE(pieces[0].text.starts_with("HTTP/1.1 206 Partial Content\r\n"));
  EXPECT_NE(pieces[0].text.find("Content-Range: bytes 1-2/5\r\n"), std::string::npos);
  EXPECT_NE(pieces[0].text.find("Content-Length: 2\r\n"), std::string::npos);
  EXPECT_EQ(pieces[0].range, (ByteRange{1, 3}));
}

TEST(Response, of_several_ranges_is_multipart_as_rfc_9110_section_15_3_7_2_has_it) {
  const auto pieces = file_response({206, {{0, 1}, {3, 5}}}, FiveBytes(mtime_ns),
                                    {date_now, Persistence::keep, true});
  ASSERT_EQ(pieces.size(), 3U);
  const std::string& first = pieces[0].text;
  const std::size_t at = first.find("Content-Type: multipart/byteranges; boundary=");
  ASSERT_NE(at, std::string::npos);
  const std::string boundary = first.substr(at + 45, 20);
  const std::size_t body = first.find("\r\n\r\n") + 4;
  EXPECT_EQ(first.substr(body), "\r\n--" + boundary +
                                    "\r\nContent-Type: text/plain\r\nContent-Range: bytes "
                                    "0-0/5\r\n\r\n");
  EXPECT_EQ(first.substr(0, body).find("Content-Range"), std::string::npos);
  EXPECT_EQ(pieces[1].range, (ByteRange{3, 5}));
  EXPECT_EQ(pieces[2].text, "\r\n--" + boundary + "--\r\n");
  const std::size_t length =
      first.size() - body + 1 + pieces[1].text.size() + 2 + pieces[2].text.size();
  EXPECT_NE(first.find("Content-Length: " + std::to_string(length) + "\r\n"), std::string::npos);
}

TEST(Response, that_nothing_was_modified_has_validators_and_no_content) {
  const auto pieces =
      file_response({304, {}}, FiveBytes(mtime_ns), {date_now, Persistence::close, true});
  ASSERT_EQ(pieces.size(), 1U);
  EXPECT_EQ(pieces[0].text,
            "HTTP/1.1 304 Not Modified\r\nServer: strictsend\r\n"
            "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nETag: \"abc\"\r\n"
            "Last-Modified: Sun, 06 Nov 1994 08:36:40 GMT\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(pieces[0].range.length(), 0U);
}

TEST(Response, boundaries_are_never_the_same_twice) {
  EXPECT_NE(fresh_boundary(), fresh_boundary());
  EXPECT_EQ(fresh_boundary().size(), 20U);
}

TEST(Response, every_status_that_is_sent_has_a_reason_phrase) {
  for (const int status : {200, 201, 204, 206, 301, 304, 400, 403, 404, 405, 408, 409,
                           411, 412, 413, 414, 416, 417, 431, 500, 501, 503, 505, 507})
    EXPECT_FALSE(reason_phrase(status).empty()) << status;
}

TEST(Listing, escapes_names_for_html_and_for_links) {
  const std::string page = listing_page("<d>/", {{"b&\"<script>'.txt", false, 12, date_now},
                                                 {"z dir", true, 0, date_now},
                                                 {"a%", false, 0, date_now}});
  EXPECT_NE(page.find("<title>/&lt;d&gt;/</title>"), std::string::npos);
  EXPECT_NE(
      page.find("href=\"b%26%22%3Cscript%3E%27.txt\">b&amp;&quot;&lt;script&gt;&#39;.txt</a>"),
      std::string::npos);
  EXPECT_NE(page.find("href=\"a%25\">a%</a>"), std::string::npos);
  EXPECT_EQ(page.find("<script"), std::string::npos);
  // Directories first, then by name.
  EXPECT_LT(page.find("z%20dir/"), page.find("a%25"));
  EXPECT_LT(page.find("a%25"), page.find("b%26"));
}

TEST(Listing, has_a_way_up_but_in_the_root) {
  EXPECT_EQ(listing_page("./", {}).find("../"), std::string::npos);
  EXPECT_NE(listing_page("a/", {}).find("href=\"../\""), std::string::npos);
}

TEST(Listing, says_how_much_it_leaves_out) {
  std::vector<ListingEntry> entries(20'000, {std::string(50, 'n'), false, 1, date_now});
  const std::string page = listing_page("./", entries);
  EXPECT_LE(page.size(), listing_bytes_max);
  EXPECT_NE(page.find(" more are not listed."), std::string::npos);
}

/// Feeds a head in pieces of `step` bytes, as a session does.
RequestParser::Outcome feed(RequestParser& parser, const std::string& bytes, std::size_t step) {
  std::string buffer;
  RequestParser::Outcome outcome = RequestParser::Outcome::incomplete;
  for (std::size_t i = 0; i < bytes.size() && outcome == RequestParser::Outcome::incomplete;
       i += step) {
    buffer += bytes.substr(i, step);
    std::size_t consumed = 0;
    outcome = parser.parse(buffer, consumed);
    buffer.erase(0, consumed);
  }
  return outcome;
}

TEST(RequestParser, finds_the_same_request_whatever_the_pieces) {
  const std::string bytes =
      "\r\nHEAD /x?y HTTP/1.0\r\nHost: a\r\nConnection: Keep-Alive\r\nExpect: 100-continue\r\n"
      "Content-Length: 12\r\n\r\n";
  for (std::size_t step = 1; step <= bytes.size(); ++step) {
    RequestParser parser(8192);
    ASSERT_EQ(feed(parser, bytes, step), RequestParser::Outcome::complete) << step;
    const Request& request = parser.request();
    EXPECT_EQ(request.method, Method::head);
    EXPECT_EQ(request.target, "/x?y");
    EXPECT_EQ(request.minor_version, 0);
    EXPECT_TRUE(request.keep_alive);
    EXPECT_EQ(request.host_fields, 1U);
    EXPECT_EQ(request.expectation, Expectation::continue_100);
    EXPECT_EQ(request.body_bytes, 12U);
    EXPECT_FALSE(request.body_is_chunked);
  }
}

TEST(RequestParser, method_names_are_case_sensitive) {
  RequestParser parser(8192);
  ASSERT_EQ(feed(parser, "get / HTTP/1.1\r\nHost: a\r\n\r\n", 100),
            RequestParser::Outcome::complete);
  EXPECT_EQ(parser.request().method, Method::other);
}

TEST(RequestParser, refuses_what_could_smuggle_a_second_request) {
  for (const char* fields : {
           "Content-Length: 1\r\nContent-Length: 2\r\n",
           "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
           "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n",
           "Content-Length: -1\r\n",
           "Content-Length: 0x10\r\n",
           "Content-Length: 99999999999999999999999\r\n",
           "Content-Length: \r\n",
           "Content-Length : 1\r\n",
       }) {
    RequestParser parser(8192);
    EXPECT_EQ(feed(parser, std::string("GET / HTTP/1.1\r\nHost: a\r\n") + fields + "\r\n", 1),
              RequestParser::Outcome::malformed)
        << fields;
    EXPECT_FALSE(parser.complaint().empty());
  }
}

TEST(RequestParser, a_transfer_coding_that_it_does_not_know_is_still_a_body) {
  RequestParser parser(8192);
  ASSERT_EQ(feed(parser, "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 3),
            RequestParser::Outcome::complete);
  EXPECT_TRUE(parser.request().body_is_coded);
}

TEST(RequestParser, refuses_other_versions_and_garbage) {
  for (const char* bytes : {"GET / HTTP/2.0\r\n\r\n", "GET / HTTP/0.9\r\nHost: a\r\n\r\n"}) {
    RequestParser parser(8192);
    EXPECT_EQ(feed(parser, bytes, 1000), RequestParser::Outcome::version_unsupported) << bytes;
  }
  for (const char* bytes : {"GET /\r\n\r\n", "GET / HTTP/x.1\r\n\r\n", "\x16\x03\x01\x02\x01\x01",
                            " GET / HTTP/1.1\r\n\r\n", "GET  / HTTP/1.1\r\n\r\n",
                            "GET / HTTP/1.1\n\n", "GET / HTTP/1.1\r\nHost: a\n\r\n",
                            "GET / HTTP/1.1\r\nno colon\r\n\r\n", "GET / HTTP/1.1 \r\n\r\n"}) {
    RequestParser parser(8192);
    EXPECT_EQ(feed(parser, bytes, 1000), RequestParser::Outcome::malformed) << bytes;
  }
}

TEST(RequestParser, a_head_over_the_limit_is_too_large_whatever_the_pieces) {
  std::string bytes = "GET / HTTP/1.1\r\nHost: a\r\n";
  while (bytes.size() < 300)
    bytes += "X: y\r\n";
  bytes += "\r\n";
  for (std::size_t step = 1; step <= bytes.size(); ++step) {
    RequestParser parser(256);
    EXPECT_EQ(feed(parser, bytes, step), RequestParser::Outcome::too_large) << step;
  }
}

TEST(RequestParser, a_head_of_too_many_fields_is_too_large_however_short_they_are) {
  const auto head = [](std::size_t fields) {
    std::string bytes = "GET / HTTP/1.1\r\nHost: a\r\n";
    for (std::size_t i = 1; i < fields; ++i)
      bytes += "X:\r\n";
    return bytes + "\r\n";
  };
  for (const std::size_t step : {1U, 7U, 10'000U}) {
    RequestParser parser(8192);
    EXPECT_EQ(feed(parser, head(RequestParser::fields_max), step),
              RequestParser::Outcome::complete);
    parser.reset();
    EXPECT_EQ(feed(parser, head(RequestParser::fields_max + 1), step),
              RequestParser::Outcome::too_large);
  }
}

TEST(RequestParser, an_endless_request_line_has_too_long_a_target) {
  for (const std::size_t step : {1U, 100U, 1000U}) {
    RequestParser parser(256);
    EXPECT_EQ(feed(parser, "GET /" + std::string(1000, 'a'), step),
              RequestParser::Outcome::target_too_long);
  }
}

TEST(RequestParser, joins_the_lines_of_a_list_as_rfc_9110_section_5_3_has_it) {
  RequestParser parser(8192);
  ASSERT_EQ(feed(parser,
                 "GET / HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"a\"\r\nX: y\r\n"
                 "If-None-Match: \"b\"\r\nRange: bytes=0-1\r\n\r\n",
                 7),
            RequestParser::Outcome::complete);
  EXPECT_EQ(parser.request().conditions.if_none_match, "\"a\", \"b\"");
  EXPECT_EQ(parser.request().conditions.if_match, std::nullopt);
  EXPECT_EQ(parser.request().range, "bytes=0-1");
}

TEST(RequestParser, takes_the_frames_off_a_chunked_body_whatever_the_pieces) {
  const std::string head = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  const std::string body = "5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nTrailer: z\r\n\r\n";
  for (std::size_t step = 1; step <= body.size(); ++step) {
    RequestParser parser(8192);
    ASSERT_EQ(feed(parser, head, 1000), RequestParser::Outcome::complete);
    EXPECT_TRUE(parser.request().body_is_chunked);
    std::string buffer;
    std::string content;
    RequestParser::Outcome outcome = RequestParser::Outcome::incomplete;
    for (std::size_t i = 0; i < body.size(); i += step) {
      ASSERT_EQ(outcome, RequestParser::Outcome::incomplete);
      buffer += body.substr(i, step);
      std::size_t consumed = 0;
      outcome = parser.parse_body(buffer, consumed, content);
      buffer.erase(0, consumed);
    }
    ASSERT_EQ(outcome, RequestParser::Outcome::complete) << step;
    EXPECT_EQ(content, "hello!");
    EXPECT_TRUE(buffer.empty());
  }
}

TEST(RequestParser, takes_an_empty_chunked_body_byte_by_byte_however_often_it_looks) {
  for (const std::string body : {"0\r\n\r\n", "000;x\r\nA: b\r\n\r\n", "1\r\nx\r\n0\r\n\r\n"}) {
    RequestParser parser(8192);
    ASSERT_EQ(feed(parser, "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 1000),
              RequestParser::Outcome::complete);
    std::string buffer;
    std::string content;
    RequestParser::Outcome outcome = RequestParser::Outcome::incomplete;
    for (const char byte : body) {
      buffer += byte;
      for (int again = 0; again < 2 && outcome == RequestParser::Outcome::incomplete; ++again) {
        std::size_t consumed = 0;
        outcome = parser.parse_body(buffer, consumed, content);
        buffer.erase(0, consumed);
      }
    }
    EXPECT_EQ(outcome, RequestParser::Outcome::complete) << body;
    EXPECT_TRUE(buffer.empty());
  }
}

TEST(RequestParser, stops_at_the_end_of_a_body_by_its_length) {
  RequestParser parser(8192);
  ASSERT_EQ(feed(parser, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n", 1000),
            RequestParser::Outcome::complete);
  std::size_t consumed = 0;
  std::string content;
  EXPECT_EQ(parser.parse_body("abcGET", consumed, content), RequestParser::Outcome::complete);
  EXPECT_EQ(content, "abc");
  EXPECT_EQ(consumed, 3U);
}

TEST(RequestParser, a_chunk_without_its_size_is_malformed) {
  for (const char* body :
       {"x\r\n\r\n", "-1\r\n\r\n", "5\r\nhelloX\r\n\r\n", "fffffffffffffffff\r\n"}) {
    RequestParser parser(8192);
    ASSERT_EQ(feed(parser, "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 1000),
              RequestParser::Outcome::complete);
    std::size_t consumed = 0;
    std::string content;
    EXPECT_EQ(parser.parse_body(body, consumed, content), RequestParser::Outcome::malformed)
        << body;
    EXPECT_FALSE(parser.complaint().empty());
  }
}

}  // namespace
}  // namespace strictsend::http
