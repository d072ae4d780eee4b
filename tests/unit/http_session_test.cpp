// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <string>

#include <gtest/gtest.h>

#include "tests/unit/http_support.hpp"

namespace strictsend::http {
namespace {

using std::chrono::milliseconds;
using namespace std::chrono_literals;

class SessionTest : public ::testing::Test {
 protected:
  SessionTest() {
    root_.file("hello.txt", "hello, world\n");
    root_.file("empty", "");
    root_.file("dir/inner.html", "<p>inner</p>");
    root_.file("big.bin", std::string(100'000, 'b'));
  }
  TemporaryRoot root_;
};

TEST_F(SessionTest, a_get_is_answered_with_the_file) {
  Conversation c(root_);
  const ParsedResponse r = c.say(get("/hello.txt")).got();
  EXPECT_EQ(r.status_line, "HTTP/1.1 200 OK");
  EXPECT_EQ(r.body, "hello, world\n");
  EXPECT_EQ(r.fields.at("Content-Type"), "text/plain; charset=utf-8");
  EXPECT_EQ(r.fields.at("Date"), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(r.fields.at("ETag"), "\"tag13\"");
  EXPECT_EQ(r.fields.count("Last-Modified"), 1U);
  EXPECT_EQ(r.fields.count("Connection"), 0U);
  EXPECT_FALSE(c.stream.closed);
}

TEST_F(SessionTest, an_empty_file_has_content_length_zero_and_the_connection_lives_on) {
  Conversation c(root_);
  const ParsedResponse r = c.say(get("/empty") + get("/hello.txt")).got();
  EXPECT_EQ(r.status, 200);
  EXPECT_EQ(r.fields.at("Content-Length"), "0");
  EXPECT_EQ(c.got().body, "hello, world\n");
}

TEST_F(SessionTest, head_gets_the_head_of_get_and_nothing_else) {
  for (const char* target : {"/hello.txt", "/empty", "/big.bin", "/missing", "/dir"}) {
    Conversation c(root_);
    const ParsedResponse by_get = c.say(get(target)).got();
    const ParsedResponse by_head = c.say(head(target)).got(true);
    EXPECT_EQ(by_head.head, by_get.head) << target;
    EXPECT_TRUE(c.stream.outgoing.empty()) << target;
  }
}

TEST_F(SessionTest, every_split_of_the_bytes_gives_the_same_answers) {
  const std::string requests = get("/hello.txt") + "\r\n" + get("/missing") +
                               "GET /empty HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" +
                               head("/big.bin") + get("/dir/inner.html", "Connection: close\r\n");
  Conversation at_once(root_);
  at_once.say(requests);
  ASSERT_EQ(at_once.stream.statuses, (std::vector<int>{200, 404, 200, 200, 200}));
  ASSERT_TRUE(at_once.stream.closed);
  for (std::size_t cut = 1; cut < requests.size(); ++cut) {
    Conversation c(root_);
    c.say(requests.substr(0, cut)).say(requests.substr(cut));
    ASSERT_EQ(c.stream.outgoing, at_once.stream.outgoing) << "cut at " << cut;
  }
  Conversation c(root_);
  for (const char byte : requests)
    c.say(std::string(1, byte));
  EXPECT_EQ(c.stream.outgoing, at_once.stream.outgoing);
}

TEST_F(SessionTest, pipelined_requests_are_answered_in_order) {
  Conversation c(root_);
  std::string requests;
  for (int i = 0; i < 50; ++i)
    requests += get(i % 2 == 0 ? "/hello.txt" : "/dir/inner.html");
  c.say(requests);
  for (int i = 0; i < 50; ++i)
    EXPECT_EQ(c.got().body, i % 2 == 0 ? "hello, world\n" : "<p>inner</p>") << i;
}

TEST_F(SessionTest, while_a_file_is_looked_for_the_next_request_waits_its_turn) {
  Conversation c(root_);
  c.stream.incoming = get("/hello.txt") + get("/missing");
  c.session.on_readable();
  ASSERT_EQ(c.files.wanted, (std::deque<std::string>{"hello.txt"}));
  c.session.on_readable();
  EXPECT_EQ(c.files.wanted.size(), 1U);
  c.settle();
  EXPECT_EQ(c.stream.statuses, (std::vector<int>{200, 404}));
}

TEST_F(SessionTest, nothing_more_is_read_from_a_client_that_takes_no_responses) {
  SessionLimits limits;
  limits.responses_max = 3;
  limits.head_bytes_max = 64;
  Conversation c(root_, limits);
  for (int i = 0; i < 10; ++i)
    c.stream.incoming += get("/empty");
  c.session.on_readable();
  while (!c.files.wanted.empty())
    c.resolve_one();
  EXPECT_EQ(c.stream.unreleased, 3U);
  EXPECT_GT(c.stream.incoming.size(), 5 * get("/empty").size());
  const std::size_t unread = c.stream.incoming.size();
  c.session.on_readable();
  EXPECT_EQ(c.stream.incoming.size(), unread);

  c.release_one();
  while (!c.files.wanted.empty())
    c.resolve_one();
  EXPECT_EQ(c.stream.unreleased, 3U);
  c.settle();
  EXPECT_EQ(c.stream.statuses, std::vector<int>(10, 200));
}

TEST_F(SessionTest, a_response_that_the_transport_refuses_for_now_is_sent_later_and_once) {
  Conversation c(root_);
  c.stream.next_outcome = SendOutcome::later;
  c.say(get("/hello.txt") + get("/missing"));
  EXPECT_TRUE(c.stream.statuses.empty());
  c.session.on_send_possible();
  c.settle();
  EXPECT_TRUE(c.stream.statuses.empty());
  EXPECT_TRUE(c.session.busy());
  // Whatever the file is by then, head and body are of one snapshot.
  root_.file("hello.txt", "hello, new world\n");
  c.stream.next_outcome = SendOutcome::queued;
  c.session.on_send_possible();
  c.settle();
  EXPECT_FALSE(c.session.busy());
  const ParsedResponse r = c.got();
  EXPECT_EQ(r.body, "hello, new world\n");
  EXPECT_EQ(r.fields.at("ETag"), "\"tag17\"");
  EXPECT_EQ(c.got().status, 404);
  EXPECT_TRUE(c.stream.outgoing.empty());
}

TEST_F(SessionTest, an_error_that_the_transport_refuses_for_now_is_sent_later) {
  Conversation c(root_);
  c.stream.next_outcome = SendOutcome::later;
  c.say(get("/missing"));
  c.stream.next_outcome = SendOutcome::queued;
  c.session.on_send_possible();
  EXPECT_TRUE(c.files.wanted.empty());
  EXPECT_EQ(c.got().status, 404);
}

TEST_F(SessionTest, a_peer_that_is_gone_ends_the_session) {
  Conversation c(root_);
  c.stream.next_outcome = SendOutcome::gone;
  c.say(get("/hello.txt") + get("/missing"));
  EXPECT_TRUE(c.files.wanted.empty());
  EXPECT_EQ(c.session.deadline(), TimePoint::max());
}

TEST_F(SessionTest, connection_close_is_obeyed_and_said) {
  Conversation c(root_);
  const ParsedResponse r =
      c.say(get("/hello.txt", "Connection: close\r\n") + get("/missing")).got();
  EXPECT_EQ(r.fields.at("Connection"), "close");
  EXPECT_TRUE(c.stream.closed);
  EXPECT_TRUE(c.stream.outgoing.empty());
}

TEST_F(SessionTest, http_1_0_closes_unless_keep_alive_was_asked_for) {
  Conversation closing(root_);
  EXPECT_EQ(closing.say("GET /hello.txt HTTP/1.0\r\n\r\n").got().fields.at("Connection"), "close");
  EXPECT_TRUE(closing.stream.closed);

  Conversation kept(root_);
  const ParsedResponse r =
      kept.say("GET /hello.txt HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").got();
  EXPECT_EQ(r.fields.at("Connection"), "keep-alive");
  EXPECT_FALSE(kept.stream.closed);
}

TEST_F(SessionTest, http_1_1_needs_exactly_one_host) {
  for (const char* fields : {"", "Host: a\r\nHost: b\r\n"}) {
    Conversation c(root_);
    const ParsedResponse r =
        c.say(std::string("GET /hello.txt HTTP/1.1\r\n") + fields + "\r\n").got();
    EXPECT_EQ(r.status, 400);
    EXPECT_NE(r.body.find("Host"), std::string::npos);
    EXPECT_TRUE(c.stream.closed);
  }
}

TEST_F(SessionTest, garbage_gets_400_and_the_connection_ends) {
  Conversation c(root_);
  const ParsedResponse r = c.say("\x16\x03\x01 hello").got();
  EXPECT_EQ(r.status, 400);
  EXPECT_EQ(r.fields.at("Connection"), "close");
  EXPECT_TRUE(c.stream.closed);
}

TEST_F(SessionTest, a_target_that_is_none_gets_400_and_the_connection_ends) {
  Conversation c(root_);
  EXPECT_EQ(c.say(get("/%zz")).got().status, 400);
  EXPECT_TRUE(c.stream.closed);
}

TEST_F(SessionTest, other_methods_get_405_and_are_told_which_there_are) {
  for (const char* method : {"POST", "PUT", "DELETE", "OPTIONS", "FROB", "get"}) {
    Conversation c(root_);
    const ParsedResponse r =
        c.say(std::string(method) + " /hello.txt HTTP/1.1\r\nHost: a\r\n\r\n").got();
    EXPECT_EQ(r.status, 405) << method;
    EXPECT_EQ(r.fields.at("Allow"), "GET, HEAD") << method;
    EXPECT_EQ(c.say(get("/hello.txt")).got().status, 200) << method;
  }
}

TEST_F(SessionTest, a_head_that_is_too_long_gets_431) {
  SessionLimits limits;
  limits.head_bytes_max = 128;
  Conversation c(root_, limits);
  EXPECT_EQ(c.say(get("/hello.txt", "X: " + std::string(200, 'x') + "\r\n")).got().status, 431);
  EXPECT_TRUE(c.stream.closed);
}

TEST_F(SessionTest, a_request_that_trickles_in_gets_408) {
  Conversation c(root_);
  const std::string request = get("/hello.txt");
  // Every byte is news, yet the head as a whole has its limit.
  for (int i = 0; i < 9; ++i) {
    c.say(request.substr(static_cast<std::size_t>(i), 1));
    c.pass(1100ms);
    ASSERT_TRUE(c.stream.statuses.empty());
  }
  c.pass(1100ms);
  const ParsedResponse r = c.got();
  EXPECT_EQ(r.status, 408);
  EXPECT_EQ(r.fields.at("Connection"), "close");
  EXPECT_TRUE(c.stream.closed);
}

TEST_F(SessionTest, an_idle_connection_is_closed_without_a_word) {
  Conversation c(root_);
  c.pass(59s);
  EXPECT_FALSE(c.stream.closed);
  c.say(get("/hello.txt"));
  c.got();
  c.pass(59s);
  EXPECT_FALSE(c.stream.closed);
  c.pass(2s);
  EXPECT_TRUE(c.stream.closed);
  EXPECT_TRUE(c.stream.outgoing.empty());
}

TEST_F(SessionTest, empty_lines_between_requests_do_not_start_the_request_clock) {
  Conversation c(root_);
  c.say("\r\n");
  c.pass(11s);
  EXPECT_FALSE(c.stream.closed);
}

TEST_F(SessionTest, a_client_that_takes_long_to_download_is_not_idle) {
  Conversation c(root_);
  c.stream.incoming = get("/big.bin");
  c.session.on_readable();
  c.resolve_one();
  c.pass(0ms);  // takes the response
  c.stream.incoming = get("/big.bin");
  c.session.on_readable();
  c.resolve_one();
  c.clock.advance(1h);
  c.session.on_tick();
  EXPECT_FALSE(c.stream.closed);
  EXPECT_EQ(c.session.deadline(), TimePoint::max());
  c.release_one();
  EXPECT_EQ(c.session.deadline(), c.clock.now() + 60s);
}

TEST_F(SessionTest, after_closing_input_is_thrown_away_until_the_linger_time_is_over) {
  Conversation c(root_);
  c.say(get("/hello.txt", "Connection: close\r\n"));
  c.say(std::string(100'000, 'x'));
  EXPECT_TRUE(c.stream.incoming.empty());
  EXPECT_FALSE(c.stream.aborted);
  c.pass(4900ms);
  EXPECT_FALSE(c.stream.aborted);
  c.pass(200ms);
  EXPECT_TRUE(c.stream.aborted);
}

TEST_F(SessionTest, the_linger_time_begins_when_the_last_response_has_arrived) {
  Conversation c(root_);
  c.stream.incoming = get("/big.bin", "Connection: close\r\n");
  c.session.on_readable();
  c.resolve_one();
  ASSERT_TRUE(c.stream.closed);
  c.clock.advance(1h);
  c.session.on_tick();
  EXPECT_FALSE(c.stream.aborted);
  c.release_one();
  c.pass(5s);
  EXPECT_TRUE(c.stream.aborted);
}

TEST_F(SessionTest, a_flood_after_closing_is_reset) {
  SessionLimits limits;
  limits.linger_bytes_max = 1000;
  Conversation c(root_, limits);
  c.say(get("/hello.txt", "Connection: close\r\n")).say(std::string(2000, 'x'));
  EXPECT_TRUE(c.stream.aborted);
}

TEST_F(SessionTest, short_request_bodies_are_skipped) {
  Conversation c(root_);
  c.say("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\n\r\n" + std::string(39, 'G'));
  EXPECT_EQ(c.got().status, 405);
  c.say("!" + get("/hello.txt"));
  EXPECT_EQ(c.got().body, "hello, world\n");
}

TEST_F(SessionTest, a_request_body_that_does_not_come_closes_the_connection) {
  Conversation c(root_);
  c.say("GET /hello.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\n\r\nabc");
  EXPECT_EQ(c.got().status, 200);
  c.pass(11s);
  EXPECT_TRUE(c.stream.closed);
  EXPECT_TRUE(c.stream.outgoing.empty());
}

TEST_F(SessionTest, long_bodies_close_the_connection) {
  Conversation c(root_);
  const ParsedResponse r =
      c.say(get("/hello.txt", "Content-Length: 65537\r\n") + get("/missing")).got();
  EXPECT_EQ(r.status, 200);
  EXPECT_EQ(r.fields.at("Connection"), "close");
  EXPECT_TRUE(c.stream.closed);
  EXPECT_TRUE(c.stream.outgoing.empty());
}

TEST_F(SessionTest, chunked_bodies_are_skipped_unless_they_are_long_or_broken) {
  const std::string chunked = get("/hello.txt", "Transfer-Encoding: chunked\r\n");
  Conversation c(root_);
  c.say(chunked + "5\r\nhello\r\n0\r\n\r\n" + get("/missing"));
  EXPECT_EQ(c.stream.statuses, (std::vector<int>{200, 404}));
  EXPECT_FALSE(c.stream.closed);

  Conversation broken(root_);
  broken.say(chunked + "hello\r\n" + get("/missing"));
  EXPECT_EQ(broken.stream.statuses, (std::vector<int>{200}));
  EXPECT_TRUE(broken.stream.closed);

  Conversation endless(root_);
  endless.say(chunked);
  for (int i = 0; i < 70; ++i)
    endless.say("400\r\n" + std::string(1024, 'x') + "\r\n");
  EXPECT_TRUE(endless.stream.closed);

  Conversation no_frame(root_);
  no_frame.say(chunked + "1;" + std::string(9000, 'x'));
  EXPECT_TRUE(no_frame.stream.closed);
}

TEST_F(SessionTest, other_codings_get_501_and_http_1_0_has_none) {
  Conversation c(root_);
  EXPECT_EQ(c.say(get("/hello.txt", "Transfer-Encoding: gzip\r\n")).got().status, 501);
  EXPECT_TRUE(c.stream.closed);
  Conversation old(root_);
  EXPECT_EQ(old.say("GET /hello.txt HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n").got().status,
            400);
  EXPECT_TRUE(old.stream.closed);
}

TEST_F(SessionTest, a_host_that_is_none_gets_400) {
  Conversation c(root_);
  EXPECT_EQ(c.say("GET /hello.txt HTTP/1.1\r\nHost: a/b\r\n\r\n").got().status, 400);
  EXPECT_TRUE(c.stream.closed);
}

TEST_F(SessionTest, a_request_line_that_is_too_long_gets_414) {
  Conversation c(root_);
  EXPECT_EQ(c.say("GET /" + std::string(9000, 'a') + " HTTP/1.1\r\n").got().status, 414);
  EXPECT_TRUE(c.stream.closed);
}

TEST_F(SessionTest, another_version_gets_505) {
  Conversation c(root_);
  EXPECT_EQ(c.say("GET / HTTP/3.0\r\nHost: a\r\n\r\n").got().status, 505);
  EXPECT_TRUE(c.stream.closed);
}

TEST_F(SessionTest, an_expectation_that_is_not_known_gets_417) {
  Conversation c(root_);
  EXPECT_EQ(c.say(get("/hello.txt", "Expect: more\r\n")).got().status, 417);
  EXPECT_EQ(c.say(get("/hello.txt")).got().status, 200);
}

TEST_F(SessionTest, a_range_is_answered_with_its_bytes) {
  Conversation c(root_);
  const ParsedResponse r = c.say(get("/hello.txt", "Range: bytes=7-11\r\n")).got();
  EXPECT_EQ(r.status_line, "HTTP/1.1 206 Partial Content");
  EXPECT_EQ(r.fields.at("Content-Range"), "bytes 7-11/13");
  EXPECT_EQ(r.body, "world");
}

TEST_F(SessionTest, several_ranges_are_answered_in_the_order_of_asking) {
  Conversation c(root_);
  const ParsedResponse r = c.say(get("/hello.txt", "Range: bytes=7-11, 0-0, -1\r\n")).got();
  EXPECT_EQ(r.status, 206);
  const std::string& type = r.fields.at("Content-Type");
  ASSERT_TRUE(type.starts_with("multipart/byteranges; boundary="));
  const std::string boundary = type.substr(31);
  const auto part = [&](const char* range, const char* bytes) {
    return "\r\n--" + boundary +
           "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes " + range +
           "/13\r\n\r\n" + bytes;
  };
  EXPECT_EQ(r.body, part("7-11", "world") + part("0-0", "h") + part("12-12", "\n") + "\r\n--" +
                        boundary + "--\r\n");
  EXPECT_EQ(c.say(get("/hello.txt")).got().status, 200);
}

TEST_F(SessionTest, a_range_that_the_file_has_not_gets_416_and_its_length) {
  Conversation c(root_);
  const ParsedResponse r = c.say(get("/hello.txt", "Range: bytes=13-\r\n")).got();
  EXPECT_EQ(r.status, 416);
  EXPECT_EQ(r.fields.at("Content-Range"), "bytes */13");
  EXPECT_FALSE(c.stream.closed);
}

TEST_F(SessionTest, conditions_are_held_against_the_snapshot) {
  Conversation c(root_);
  const ParsedResponse same = c.say(get("/hello.txt", "If-None-Match: \"tag13\"\r\n")).got();
  EXPECT_EQ(same.status, 304);
  EXPECT_EQ(same.fields.at("ETag"), "\"tag13\"");
  EXPECT_EQ(same.fields.count("Content-Length"), 0U);
  EXPECT_EQ(c.say(get("/hello.txt", "If-Match: \"other\"\r\n")).got().status, 412);
  EXPECT_EQ(c.say(get("/hello.txt", "Range: bytes=0-1\r\nIf-Range: \"other\"\r\n")).got().status,
            200);
  EXPECT_EQ(c.say(get("/missing", "If-Match: *\r\n")).got().status, 404);
}

TEST_F(SessionTest, a_directory_is_redirected_with_its_query) {
  Conversation c(root_);
  const ParsedResponse r = c.say(get("/dir?a=b")).got();
  EXPECT_EQ(r.status, 301);
  EXPECT_EQ(r.fields.at("Location"), "/dir/?a=b");
}

TEST_F(SessionTest, a_listing_is_a_page_without_validators) {
  Conversation c(root_);
  c.files.listing = true;
  const ParsedResponse r = c.say(get("/dir/", "If-None-Match: *\r\nRange: bytes=0-1\r\n")).got();
  EXPECT_EQ(r.status, 200);
  EXPECT_EQ(r.fields.at("Content-Type"), "text/html; charset=utf-8");
  EXPECT_EQ(r.fields.count("ETag"), 0U);
  EXPECT_NE(r.body.find("inner.html"), std::string::npos);
}

TEST_F(SessionTest, a_client_that_waits_to_be_invited_gets_the_final_answer_at_once) {
  Conversation c(root_);
  const ParsedResponse r = c.say(
                                "PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n"
                                "Expect: 100-continue\r\n\r\n")
                               .got();
  EXPECT_EQ(r.status, 405);
  EXPECT_EQ(r.fields.at("Connection"), "close");
  // Without a body there is nothing to invite.
  Conversation bare(root_);
  EXPECT_EQ(bare.say(get("/hello.txt", "Expect: 100-continue\r\n")).got().status, 200);
  EXPECT_FALSE(bare.stream.closed);
}

TEST_F(SessionTest, a_half_closed_client_still_gets_its_answers) {
  Conversation c(root_);
  c.stream.incoming = get("/hello.txt") + get("/missing") + "GET /cut";
  c.session.on_readable();
  c.session.on_peer_closed();
  c.settle();
  EXPECT_EQ(c.stream.statuses, (std::vector<int>{200, 404}));
  EXPECT_TRUE(c.stream.closed);
}

TEST_F(SessionTest, draining_closes_idle_connections_at_once) {
  Conversation c(root_);
  c.session.drain();
  EXPECT_TRUE(c.stream.closed);
}

TEST_F(SessionTest, draining_finishes_the_request_that_was_taken_and_no_other) {
  Conversation c(root_);
  c.stream.incoming = get("/hello.txt") + get("/missing");
  c.session.on_readable();
  c.session.drain();
  EXPECT_FALSE(c.stream.closed);
  c.settle();
  EXPECT_EQ(c.got().fields.at("Connection"), "close");
  EXPECT_TRUE(c.stream.closed);
  EXPECT_TRUE(c.stream.outgoing.empty());
}

TEST_F(SessionTest, a_refusal_can_say_when_to_try_again) {
  Conversation c(root_);
  c.stream.incoming = get("/hello.txt");
  c.session.on_readable();
  c.files.wanted.clear();
  c.session.on_resolved(tl::unexpected(Refusal{503, "The cache is full.", 2}));
  const ParsedResponse r = c.got();
  EXPECT_EQ(r.status, 503);
  EXPECT_EQ(r.fields.at("Retry-After"), "2");
  EXPECT_EQ(r.body, "503 Service Unavailable\nThe cache is full.\n");
  EXPECT_FALSE(c.stream.closed);
}

}  // namespace
}  // namespace strictsend::http
