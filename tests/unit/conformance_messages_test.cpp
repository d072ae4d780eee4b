// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "apps/conformance/fetch.hpp"
#include "apps/conformance/messages.hpp"
#include "apps/conformance/resources.hpp"
#include "apps/strictness/submissions.hpp"
#include "tests/support/temp_dir.hpp"

namespace strictsend::conformance {
namespace {

using checker::WriteLog;

Plan some_plan() {
  Plan plan;
  plan.case_name = "fragments";
  plan.layout = {.file_bytes = 16 << 20, .writers = 3, .seed = 7};
  plan.downloads = 8;
  plan.parallel = 4;
  plan.directory = "93c1f80a-2";
  return plan;
}

/// `json` with the first `from` replaced.
std::string with(std::string json, const std::string& from, const std::string& to) {
  const std::size_t at = json.find(from);
  EXPECT_NE(at, std::string::npos) << from << " is not in " << json;
  return at == std::string::npos ? json : json.replace(at, from.size(), to);
}

TEST(Plans, come_through) {
  const auto plan = parse_plan(to_json(some_plan()));
  ASSERT_TRUE(plan) << plan.error().message();
  EXPECT_FALSE(plan->finished);
  EXPECT_EQ(plan->case_name, "fragments");
  EXPECT_EQ(plan->layout.file_bytes, 16U << 20);
  EXPECT_EQ(plan->layout.writers, 3U);
  EXPECT_EQ(plan->layout.seed, 7U);
  EXPECT_EQ(plan->downloads, 8U);
  EXPECT_EQ(plan->parallel, 4U);
  EXPECT_EQ(plan->directory, "93c1f80a-2");
  Plan finished;
  finished.finished = true;
  EXPECT_TRUE(parse_plan(to_json(finished)).value().finished);
}

TEST(Plans, that_make_no_sense_are_refused_with_what_is_wrong) {
  const std::string good = to_json(some_plan());
  struct Change {
    const char* from;
    const char* to;
    const char* named;
  };
  for (const Change& c : {
           Change{"\"protocol\": 1", "\"protocol\": 2", "\"protocol\" is no whole number from 1"},
           Change{"\"finished\": false", "\"finished\": 0", "\"finished\" is neither true nor"},
           Change{"\"finished\"", "\"done\"", "\"finished\" is missing"},
           Change{"16777216", "16777217", "whole number of pages"},
           Change{"16777216", "0", "\"file_bytes\" is no whole number from 4096"},
           Change{"16777216", "-4096", "\"file_bytes\""},
           Change{"16777216", "4096.0", "\"file_bytes\""},
           Change{"16777216", "68719480832", "\"file_bytes\""},
           Change{"16777216", "1e300", "\"file_bytes\""},
           Change{"16777216", "99999999999999999999999", "\"file_bytes\""},
           Change{"\"writers\": 3", "\"writers\": 65", "\"writers\" is no whole number from 1 to"},
           Change{"\"writers\": 3", "\"writers\": 0", "\"writers\""},
           Change{"\"seed\": 7", "\"seed\": -7", "\"seed\""},
           Change{"\"downloads\": 8", "\"downloads\": 1025", "\"downloads\""},
           Change{"\"downloads\": 8", "\"downloads\": 0", "\"downloads\""},
           Change{"\"parallel\": 4", "\"parallel\": 65", "\"parallel\""},
           Change{"\"parallel\": 4", "\"parallel\": 0", "\"parallel\""},
           Change{"\"fragments\"", "\"\"", "\"name\" is no name"},
           Change{"\"fragments\"", "\"\\u001b[2J\"", "\"name\" is no name"},
           Change{"93c1f80a-2", "..", "\"directory\" is no name"},
           Change{"93c1f80a-2", "a/b", "\"directory\" is no name"},
           Change{"93c1f80a-2", "a?b", "\"directory\" is no name"},
           Change{"\"93c1f80a-2\"", "2", "\"directory\" is no name"},
       }) {
    const auto plan = parse_plan(with(good, c.from, c.to));
    ASSERT_FALSE(plan) << c.to;
    EXPECT_EQ(plan.error().errno_value, EPROTO);
    EXPECT_NE(plan.error().message().find(c.named), std::string::npos) << plan.error().message();
    EXPECT_NE(plan.error().message().find("same version"), std::string::npos);
  }
  for (const std::string& text :
       {std::string(), std::string("[]"), std::string("<html>"), good.substr(0, good.size() / 2),
        std::string("\xff\xfe"), std::string(plan_bytes_max, '['), good + good})
    EXPECT_NE(parse_plan(text).error().message().find("no JSON object"), std::string::npos);
  EXPECT_FALSE(parse_plan(with(good, "93c1f80a-2", std::string(65, 'a'))));
}

TEST(SubmitTimes, come_through) {
  const std::vector<SubmitInterval> sent{
      {1, 2}, {5, 5}, {0, std::numeric_limits<std::int64_t>::max()}};
  const auto read = parse_submits(to_json(sent), 3);
  ASSERT_TRUE(read) << read.error().message();
  ASSERT_EQ(read->size(), sent.size());
  for (std::size_t i = 0; i < sent.size(); ++i) {
    EXPECT_EQ((*read)[i].begin_ns, sent[i].begin_ns);
    EXPECT_EQ((*read)[i].return_ns, sent[i].return_ns);
  }
}

TEST(SubmitTimes, that_make_no_sense_are_refused_with_what_is_wrong) {
  const std::string good = to_json(std::vector<SubmitInterval>{{1, 2}});
  const auto expect_refused = [](const std::string& json, const char* named) {
    const auto read = parse_submits(json, 1);
    ASSERT_FALSE(read) << json;
    EXPECT_NE(read.error().message().find(named), std::string::npos) << read.error().message();
  };
  expect_refused("", "no JSON object");
  expect_refused("{}", "\"protocol\" is missing");
  expect_refused(to_json(std::vector<SubmitInterval>{}), "no list of 1 downloads");
  expect_refused(to_json(std::vector<SubmitInterval>{{1, 2}, {1, 2}}), "no list of 1 downloads");
  expect_refused(with(good, "\"submits\"", "\"submit\""), "\"submits\" is missing");
  expect_refused(with(good, "{\"begin_ns\":1,\"return_ns\":2}", "7"), "no JSON object");
  expect_refused(with(good, "\"begin_ns\":1", "\"begin_ns\":-1"), "\"begin_ns\"");
  expect_refused(with(good, "\"begin_ns\":1", "\"begin_ns\":3"), "\"return_ns\"");
  expect_refused(with(good, "\"return_ns\":2", "\"return_ns\":9223372036854775808"),
                 "\"return_ns\"");
}

TEST(WriteLogs, are_restored_as_they_were) {
  WriteLog log(100);
  log.begin_batch(10);
  log.begin_batch(20);
  log.begin_batch(20);
  log.finish(5, 30);
  const auto read = parse_log(to_bytes(log));
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(read->writes(), 37U);
  EXPECT_EQ(read->end_ns(), 30);
  for (std::int64_t at = 0; at < 40; ++at) {
    EXPECT_EQ(read->certainly_ended_before(at), log.certainly_ended_before(at)) << at;
    EXPECT_EQ(read->possibly_begun_by(at), log.possibly_begun_by(at)) << at;
  }
  EXPECT_EQ(read->longest_batch_ns(), log.longest_batch_ns());
  EXPECT_TRUE(read->full());

  WriteLog none(16);
  none.finish(0, 30);
  EXPECT_EQ(parse_log(to_bytes(none)).value().writes(), 0U);
}

TEST(WriteLogs, that_make_no_sense_are_not_restored) {
  const auto expect_refused = [](std::vector<std::int64_t> stamps, std::uint64_t writes,
                                 std::int64_t end_ns, const char* named) {
    const auto log = WriteLog::restore(std::move(stamps), writes, end_ns);
    ASSERT_FALSE(log) << named;
    EXPECT_NE(log.error().message().find(named), std::string::npos) << log.error().message();
  };
  expect_refused({1, 2}, 16, 3, "too many or too few stamps");
  expect_refused({1, 2}, 33, 3, "too many or too few stamps");
  expect_refused({}, 1, 3, "too many or too few stamps");
  expect_refused({1}, std::numeric_limits<std::uint64_t>::max(), 3, "too many or too few");
  expect_refused({2, 1}, 32, 3, "go back in time");
  expect_refused({1, 4}, 32, 3, "go back in time");
  expect_refused({std::numeric_limits<std::int64_t>::min(), 4}, 32, 5, "before the clock's");
  expect_refused({}, 0, -1, "before the clock's");
  EXPECT_TRUE(WriteLog::restore({1, 2}, 17, 2));
  EXPECT_TRUE(WriteLog::restore({}, 0, 0));
}

TEST(WriteLogs, of_another_form_are_refused) {
  WriteLog log(32);
  log.begin_batch(1);
  log.finish(16, 2);
  const std::vector<std::byte> good = to_bytes(log);
  ASSERT_TRUE(parse_log(good));
  for (std::size_t size = 0; size < good.size(); ++size) {
    const auto read = parse_log(std::span(good).first(size));
    ASSERT_FALSE(read) << size;
    EXPECT_NE(read.error().message().find("same version"), std::string::npos);
  }
  std::vector<std::byte> longer = good;
  longer.resize(longer.size() + 8);
  EXPECT_NE(parse_log(longer).error().message().find("shorter or longer"), std::string::npos);
  std::vector<std::byte> other = good;
  other[7] = std::byte{'2'};
  EXPECT_NE(parse_log(other).error().message().find("begin like one"), std::string::npos);
  std::vector<std::byte> huge = good;  // says that it has more stamps than memory has
  std::memset(huge.data() + 24, 0xff, 8);
  EXPECT_NE(parse_log(huge).error().message().find("shorter or longer"), std::string::npos);
}

TEST(Verdicts, come_through) {
  CaseVerdict sent;
  sent.strict = 6;
  sent.torn = 2;
  sent.wrong_pages = 12;
  sent.first = "download 3, at offset 8: found 100% & more = wrong?";
  sent.failure = "none";
  const auto read = parse_verdict(to_query(sent));
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(read->strict, 6U);
  EXPECT_EQ(read->torn, 2U);
  EXPECT_EQ(read->wrong_pages, 12U);
  EXPECT_EQ(read->first, sent.first);
  EXPECT_EQ(read->failure, "none");
  EXPECT_EQ(to_query({}), "?strict=0&torn=0&wrong_pages=0");
}

TEST(Verdicts, are_cut_to_what_a_request_may_hold_and_a_terminal_be_shown) {
  CaseVerdict sent;
  sent.first = std::string(100'000, '\x1b');
  sent.failure = std::string(100'000, '%');
  const std::string query = to_query(sent);
  EXPECT_LT(query.size(), 4'000U);
  const auto read = parse_verdict(query);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->first, std::string(600, '?'));
  EXPECT_EQ(read->failure, std::string(600, '%'));
}

TEST(Verdicts, that_make_no_sense_are_refused) {
  for (const char* query :
       {"", "?", "strict=1&torn=0", "?strict=1", "?torn=1", "?strict=1&torn=0&more=1",
        "?strict=1&torn", "?strict=-1&torn=0", "?strict=1025&torn=0", "?strict=1&torn=x",
        "?strict=1&torn=", "?strict=1&torn=0&wrong_pages=18446744073709551616", "?strict=1&&torn=0",
        "?strict= 1&torn=0"}) {
    const auto verdict = parse_verdict(query);
    ASSERT_FALSE(verdict) << query;
    EXPECT_NE(verdict.error().message().find("reading the receiver's verdict"), std::string::npos);
  }
}

TEST(Downloads, get_a_time_that_grows_with_them_and_ends) {
  EXPECT_EQ(download_seconds_max(0, 1), 30U);
  EXPECT_EQ(download_seconds_max(2'000'000, 4), 34U);
  EXPECT_EQ(download_seconds_max(file_bytes_max, parallel_max), 86'400U);
}

TEST(Downloads, that_do_not_fit_are_refused_before_they_begin) {
  const test::TempDir directory;
  Plan plan = some_plan();
  plan.layout.file_bytes = 4096;
  EXPECT_TRUE(check_resources(plan, directory.path()));
  plan.layout.file_bytes = file_bytes_max;
  plan.downloads = downloads_max;
  const auto refused = check_resources(plan, directory.path());
  ASSERT_FALSE(refused) << "64 TiB fit?";
  EXPECT_EQ(refused.error().errno_value, ENOSPC);
  EXPECT_NE(refused.error().message().find("1024 downloads of 64.0 GiB"), std::string::npos)
      << refused.error().message();
  EXPECT_FALSE(check_resources(plan, directory.path("missing")));
}

TEST(Curl, tells_what_its_status_means) {
  EXPECT_EQ(Fetch::meaning(7), "nobody listens there");
  for (const int status : {18, 22, 23, 28, 52, 56, 63, 127})
    EXPECT_EQ(Fetch::meaning(status).find("curl ended with status"), std::string::npos) << status;
  EXPECT_EQ(Fetch::meaning(99), "curl ended with status 99 (EXIT CODES in its manual)");
}

serve::Observer::Submission asked_by(const Ipv4Address& peer, std::string_view target,
                                     std::uint64_t splice) {
  serve::Observer::Submission submission;
  submission.target = target;
  submission.peer_address = peer;
  submission.splice_id = splice;
  return submission;
}

TEST(Submissions, are_the_named_hosts_alone) {
  const Ipv4Address peer{10, 0, 0, 2};
  strictness::Submissions submissions(peer);
  submissions.on_submit(asked_by({10, 0, 0, 3}, "/d?download=0", 1));
  EXPECT_FALSE(submissions.of("/d?download=0"));
  submissions.on_released(1, {});
  EXPECT_FALSE(submissions.of("/d?download=0"));
  submissions.on_submit(asked_by(peer, "/d?download=0", 2));
  ASSERT_TRUE(submissions.of("/d?download=0"));
  EXPECT_FALSE(submissions.of("/d?download=0")->released);
  SpliceResult cut;
  cut.error = ECONNRESET;
  submissions.on_released(2, cut);
  EXPECT_TRUE(submissions.of("/d?download=0")->released);
  EXPECT_EQ(submissions.of("/d?download=0")->error, ECONNRESET);
  submissions.on_submit(asked_by(peer, "/d?download=0", 3));
  EXPECT_EQ(submissions.of("/d?download=0")->times, 2U);
}

TEST(Submissions, of_ever_new_targets_fill_no_memory) {
  strictness::Submissions submissions;
  for (std::uint64_t i = 0; i < 5000; ++i)
    submissions.on_submit(asked_by({10, 0, 0, 2}, "/" + std::to_string(i), i));
  EXPECT_TRUE(submissions.of("/0"));
  EXPECT_FALSE(submissions.of("/4999"));
  EXPECT_EQ(submissions.beginning_with("/12"), "/12");
  EXPECT_FALSE(submissions.beginning_with("/x"));
}

}  // namespace
}  // namespace strictsend::conformance
