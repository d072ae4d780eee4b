// SPDX-License-Identifier: Apache-2.0
#include <string>

#include <gtest/gtest.h>

#include "apps/http/date.hpp"
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
  EXPECT_EQ(path_of_target("/").value(), ".");
  EXPECT_EQ(path_of_target("//").value(), ".");
}

TEST(Target, loses_its_query_but_keeps_an_escaped_question_mark) {
  EXPECT_EQ(path_of_target("/a?x=1&y=/../").value(), "a");
  EXPECT_EQ(path_of_target("/a%3Fb?c").value(), "a?b");
  EXPECT_EQ(path_of_target("/?x").value(), ".");
}

TEST(Target, may_be_in_absolute_form) {
  EXPECT_EQ(path_of_target("http://host:80/a/b?c").value(), "a/b");
  EXPECT_EQ(path_of_target("http://host").value(), ".");
  EXPECT_EQ(path_of_target("http://host?q").value(), ".");
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

TEST(ResponseHead, describes_the_snapshot) {
  FileAttributes attributes;
  attributes.size_bytes = 5;
  attributes.mtime_ns = 784'111'000'999'999'999;
  attributes.entity_tag = "abc";
  EXPECT_EQ(file_head(attributes, "text/plain", 784'111'777, Persistence::keep),
            "HTTP/1.1 200 OK\r\nServer: strictsend\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
            "Content-Type: text/plain\r\nContent-Length: 5\r\nETag: \"abc\"\r\n"
            "Last-Modified: Sun, 06 Nov 1994 08:36:40 GMT\r\n"
            "X-Content-Type-Options: nosniff\r\n\r\n");
}

TEST(ResponseHead, never_says_that_a_file_was_modified_in_the_future) {
  FileAttributes attributes;
  attributes.mtime_ns = 2'000'000'000'000'000'000;
  EXPECT_NE(file_head(attributes, "text/plain", 784'111'777, Persistence::keep)
                .find("Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n"),
            std::string::npos);
}

TEST(ResponseHead, every_status_that_is_sent_has_a_reason_phrase) {
  for (const int status : {200, 400, 403, 404, 405, 408, 431, 500, 503})
    EXPECT_FALSE(reason_phrase(status).empty()) << status;
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
    EXPECT_TRUE(request.expects_continue);
    EXPECT_EQ(request.body_bytes, 12U);
    EXPECT_FALSE(request.body_is_coded);
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
  for (const char* bytes :
       {"GET / HTTP/2.0\r\n\r\n", "GET / HTTP/0.9\r\n\r\n", "GET /\r\n\r\n",
        "\x16\x03\x01\x02\x01\x01", " GET / HTTP/1.1\r\n\r\n", "GET  / HTTP/1.1\r\n\r\n",
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

TEST(RequestParser, an_endless_request_line_is_too_large) {
  RequestParser parser(256);
  EXPECT_EQ(feed(parser, "GET /" + std::string(1000, 'a'), 1), RequestParser::Outcome::too_large);
}

}  // namespace
}  // namespace strictsend::http
