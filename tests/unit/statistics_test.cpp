// SPDX-License-Identifier: Apache-2.0
// What is told of a running server: the table, and both ways of writing it.
#include <array>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "apps/serve/statistics/json_document.hpp"
#include "apps/serve/statistics/metrics_request.hpp"
#include "apps/serve/statistics/prometheus_text.hpp"
#include "apps/serve/statistics/sampler.hpp"
#include "apps/serve/statistics/table.hpp"

namespace strictsend::statistics {
namespace {

using namespace std::chrono_literals;

/// Gives every number of it another value, whether the table knows it or not.
template <class Stats>
void number_all(Stats& stats, std::uint64_t first) {
  std::array<std::uint64_t, sizeof(Stats) / sizeof(std::uint64_t)> values;
  for (std::uint64_t& value : values)
    value = first++;
  stats = std::bit_cast<Stats>(values);
}

ServerStatus numbered() {
  ServerStatus status;
  status.version = "1.2.3";
  status.port.spec = "af_xdp:eth0";
  status.port.driver = "veth";
  status.port.form = TxForm::fragments;
  status.port.mtu_bytes = 1500;
  status.port.queues = 2;
  status.port.max_fragments = 18;
  status.port.fragments_possible = true;
  status.port.segmented_bytes_max = 65536;
  status.port.late_completion = true;
  status.queues.resize(2);
  number_all(status.process, 1'000);
  number_all(status.engine, 2'000);
  number_all(status.server, 3'000);
  number_all(status.queues[0], 4'000);
  number_all(status.queues[1], 5'000);
  return status;
}

template <class Stats>
bool equal(const Stats& a, const Stats& b) {
  return std::memcmp(&a, &b, sizeof a) == 0;
}

std::string name_of(std::string_view section, std::string_view name, Kind kind, Unit unit) {
  return prometheus_name({section, name, kind, unit, {}, {}});
}

TEST(MetricNames, have_base_units_last_and_say_what_a_counter_is) {
  EXPECT_EQ(name_of("engine", "payload_bytes_sent", Kind::counter, Unit::bytes),
            "strictsend_engine_payload_sent_bytes_total");
  EXPECT_EQ(name_of("cache", "writer_stall_ns_max", Kind::gauge, Unit::nanoseconds),
            "strictsend_cache_writer_stall_max_seconds");
  EXPECT_EQ(name_of("cache", "frames_total", Kind::gauge, Unit::frames),
            "strictsend_cache_total_bytes");
  EXPECT_EQ(name_of("cache", "snapshots_live", Kind::gauge, Unit::number),
            "strictsend_cache_snapshots_live");
}

TEST(MetricNames, say_their_section_once) {
  EXPECT_EQ(name_of("connections", "connections_accepted", Kind::counter, Unit::number),
            "strictsend_connections_accepted_total");
  EXPECT_EQ(name_of("datagram", "datagrams_sent", Kind::counter, Unit::number),
            "strictsend_datagrams_sent_total");
}

TEST(Table, gives_each_metric_a_name_of_its_own_and_a_sentence) {
  const std::regex right("strictsend_[a-z0-9]+(_[a-z0-9]+)+");
  std::set<std::string> names;
  for (const Family& family : families(numbered())) {
    const std::string name = prometheus_name(family);
    EXPECT_TRUE(names.insert(name).second) << name << " is there twice";
    EXPECT_TRUE(std::regex_match(name, right)) << name;
    // What promtool complains of.
    EXPECT_EQ(name.ends_with("_total"), family.kind == Kind::counter) << name;
    ASSERT_FALSE(family.help.empty()) << name;
    EXPECT_EQ(family.help.back(), '.') << name;
    EXPECT_EQ(family.help.find_first_of("\n\\"), std::string_view::npos) << name;
  }
}

std::string operations_page() {
  std::ifstream file(OPERATIONS_PAGE);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

TEST(OperationsPage, lists_every_metric) {
  const std::string page = operations_page();
  for (const Family& family : families(numbered())) {
    const std::string row = "| `" + std::string(family.name) + "` | `" + prometheus_name(family) +
                            "` | " + std::string(family.help) + " |\n";
    EXPECT_NE(page.find(row), std::string::npos) << "docs/operations.md lacks the row\n" << row;
  }
}

TEST(OperationsPage, names_no_metric_that_there_is_not) {
  std::set<std::string> known{"strictsend_build_info", "strictsend_port_info"};
  for (const Family& family : families(numbered()))
    known.insert(prometheus_name(family));
  const std::string page = operations_page();
  const std::regex name("strictsend_[a-z0-9_]+");
  for (std::sregex_iterator found(page.begin(), page.end(), name), end; found != end; ++found)
    EXPECT_TRUE(known.contains(found->str())) << found->str();
}

TEST(Document, holds_every_number_of_the_public_statistics) {
  const ServerStatus written = numbered();
  const Result<ServerStatus> read = parse_document(to_json(written));
  ASSERT_TRUE(read) << read.error().message();
  // Byte for byte: two rows of the same member would leave another one out.
  EXPECT_TRUE(equal(read->process, written.process));
  EXPECT_TRUE(equal(read->engine, written.engine));
  ASSERT_EQ(read->queues.size(), 2U);
  EXPECT_TRUE(equal(read->queues[0], written.queues[0]));
  EXPECT_TRUE(equal(read->queues[1], written.queues[1]));
  serve::ServerCounters server = written.server;
  server.responses = {};
  server.refusals = {};
  EXPECT_TRUE(equal(read->server, server));
  EXPECT_EQ(read->version, "1.2.3");
  EXPECT_EQ(facts(read->port), facts(written.port));
}

TEST(Document, has_the_shape_that_is_promised) {
  const ServerStatus status = numbered();
  const auto document = nlohmann::json::parse(to_json(status));
  EXPECT_EQ(document["version"], 1);
  EXPECT_EQ(document["program"]["name"], "strictsend");
  EXPECT_EQ(document["port"]["form"], "fragments");
  EXPECT_EQ(document["cache"]["frames_free"], status.engine.frames_free);
  EXPECT_EQ(document["queues"][1]["nic_bytes_sent"], status.queues[1].nic_bytes_sent);
  const auto& responses = document["http"]["responses"];
  ASSERT_EQ(responses.size(), serve::counted_methods.size() * serve::counted_classes.size());
  EXPECT_EQ(responses[1]["method"], "GET");
  EXPECT_EQ(responses[1]["status"], "3xx");
  EXPECT_EQ(responses[1]["value"], status.server.responses[0][1]);
  EXPECT_EQ(document["http"]["refusals"][2]["status"], "404");
  EXPECT_EQ(document["http"]["refusals"][2]["value"], status.server.refusals[2]);
}

TEST(Document, of_a_server_that_knows_less_has_zeros) {
  const Result<ServerStatus> read =
      parse_document(R"({"version":1,"engine":{"splices_submitted":7,"later":1},"queues":[{}]})");
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(read->engine.splices_submitted, 7U);
  EXPECT_EQ(read->engine.frames_total, 0U);
  EXPECT_EQ(read->queues.size(), 1U);
}

TEST(Document, that_is_none_is_refused_with_the_reason) {
  for (const char* text : {"", "nonsense", "[1]", "{}", R"({"version":"1"})", R"({"version":-1})",
                           R"({"version":1)", R"({"version":1}x)"}) {
    const Result<ServerStatus> read = parse_document(text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().errno_value, EPROTO);
    EXPECT_FALSE(read.error().hint.empty());
  }
  EXPECT_NE(parse_document(R"({"version":2})").error().hint.find("another version"),
            std::string::npos);
}

TEST(Document, shows_a_terminal_no_control_characters) {
  const Result<ServerStatus> read = parse_document(
      "{\"version\":1,\"port\":{\"spec\":\"a\\u001b[2J\\u00e9b\"},\"program\":{\"version\":[]}}");
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(read->port.spec, "a?[2J??b");
  EXPECT_EQ(read->version, "");
}

TEST(PrometheusText, converts_to_base_units_and_labels_queues) {
  ServerStatus status = numbered();
  status.engine.writer_stall_ns_max = 1'500'000'000'000'000'123;
  status.engine.frames_free = 10;
  const std::string text = to_prometheus(status);
  const auto has = [&text](const std::string& line) {
    EXPECT_NE(text.find("\n" + line + "\n"), std::string::npos) << line << " in\n" << text;
  };
  has("# TYPE strictsend_cache_free_bytes gauge");
  has("strictsend_cache_free_bytes 40960");
  has("strictsend_cache_writer_stall_max_seconds 1500000000.000000123");
  has("# TYPE strictsend_queue_nic_sent_bytes_total counter");
  has("strictsend_queue_nic_sent_bytes_total{queue=\"1\"} " +
      std::to_string(status.queues[1].nic_bytes_sent));
  has("strictsend_http_responses_total{method=\"PUT\",status=\"2xx\"} " +
      std::to_string(status.server.responses[2][0]));
  has("strictsend_http_refusals_total{status=\"other\"} " +
      std::to_string(status.server.refusals.back()));
}

TEST(PrometheusText, escapes_what_would_end_a_label) {
  ServerStatus status;
  status.port.spec = "a\"b\\c\nd\xff";
  EXPECT_NE(to_prometheus(status).find(R"({spec="a\"b\\c\nd?",)"), std::string::npos);
}

TEST(Counting, of_responses_knows_each_method_and_status) {
  serve::ServerCounters counters;
  serve::count_response(counters, "GET", 206);
  serve::count_response(counters, "HEAD", 304);
  serve::count_response(counters, "BREW", 405);
  serve::count_response(counters, "", 400);
  serve::count_response(counters, "unreadable", 599);
  EXPECT_EQ(counters.requests_ok, 2U);
  EXPECT_EQ(counters.requests_refused, 3U);
  EXPECT_EQ(counters.responses[0][0], 1U) << "GET 2xx";
  EXPECT_EQ(counters.responses[1][1], 1U) << "HEAD 3xx";
  EXPECT_EQ(counters.responses[3][2], 1U) << "other 4xx";
  EXPECT_EQ(counters.responses[3][3], 1U) << "other 5xx: a method is no category";
  EXPECT_EQ(counters.responses[4][2], 1U) << "unreadable 4xx";
  EXPECT_EQ(counters.refusals[3], 1U) << "405";
  EXPECT_EQ(counters.refusals.back(), 1U) << "599";
}

/// The answer to bytes that come in pieces of so many; empty: none yet.
std::string answer_to(const std::string& bytes, std::size_t piece = 1'000'000) {
  MetricsRequest request;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    if (auto answer = request.take(
            bytes.substr(at, piece), [] { return std::string("metrics\n"); }, 784'111'777))
      return *answer;
  }
  return "";
}

TEST(MetricsRequests, get_the_text_however_they_come) {
  const std::string request = "GET /metrics?a=b HTTP/1.1\r\nHost: localhost:9100\r\n\r\n";
  for (const std::size_t piece : {1U, 7U, 1000U}) {
    const std::string answer = answer_to(request, piece);
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
    EXPECT_NE(answer.find("\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"),
              std::string::npos);
    EXPECT_NE(answer.find("\r\nContent-Length: 8\r\n"), std::string::npos);
    EXPECT_NE(answer.find("\r\nConnection: close\r\n"), std::string::npos);
    EXPECT_TRUE(answer.ends_with("\r\n\r\nmetrics\n"));
  }
  EXPECT_TRUE(answer_to("GET /metrics HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 200 "));
}

TEST(MetricsRequests, that_are_others_get_a_sentence) {
  const std::string host = "Host: x\r\n\r\n";
  const auto status = [](const std::string& bytes) { return answer_to(bytes).substr(9, 3); };
  EXPECT_EQ(status("GET / HTTP/1.1\r\n" + host), "404");
  EXPECT_EQ(status("GET /metricsx HTTP/1.1\r\n" + host), "404");
  EXPECT_EQ(status("POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n" + host), "405");
  EXPECT_EQ(status("GET /metrics HTTP/1.1\r\n\r\n"), "400");
  EXPECT_EQ(status("nonsense\r\n\r\n"), "400");
  EXPECT_EQ(status("GET /metrics HTTP/2.0\r\n" + host), "505");
  EXPECT_EQ(status("GET /" + std::string(10'000, 'x')), "414");
  EXPECT_EQ(status("GET /metrics HTTP/1.1\r\nA: " + std::string(10'000, 'x')), "431");
  const std::string head = answer_to("HEAD /metrics HTTP/1.1\r\n" + host);
  EXPECT_TRUE(head.starts_with("HTTP/1.1 405 "));
  EXPECT_TRUE(head.ends_with("\r\n\r\n")) << "no body belongs to HEAD";
  EXPECT_NE(head.find("\r\nAllow: GET\r\n"), std::string::npos);
}

TEST(Samples, are_taken_no_more_often_than_they_grow_old) {
  int taken = 0;
  Sampler sampler(
      [&taken] {
        ServerStatus status;
        status.engine.splices_submitted = static_cast<std::uint64_t>(++taken);
        return status;
      },
      100ms);
  const Sampler::TimePoint now{};
  const std::string first = sampler.json(now);
  static_cast<void>(sampler.prometheus(now + 99ms));
  EXPECT_EQ(sampler.json(now + 99ms), first);
  EXPECT_EQ(taken, 1);
  EXPECT_NE(sampler.json(now + 100ms), first);
  EXPECT_NE(sampler.prometheus(now + 150ms).find("strictsend_engine_splices_submitted_total 2\n"),
            std::string::npos);
  EXPECT_EQ(taken, 2);
}

}  // namespace
}  // namespace strictsend::statistics
