// SPDX-License-Identifier: Apache-2.0
// Which answer a request gets of a file that is there: dates, conditions, ranges, and the decision.
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "apps/http/answer.hpp"
#include "apps/http/date.hpp"

namespace strictsend::http {
namespace {

constexpr std::int64_t now = 1'000'000'000;     // Sun, 09 Sep 2001 01:46:40 GMT
constexpr std::int64_t modified = 784'111'777;  // Sun, 06 Nov 1994 08:49:37 GMT
constexpr const char* modified_date = "Sun, 06 Nov 1994 08:49:37 GMT";
constexpr const char* earlier_date = "Sun, 06 Nov 1994 08:49:36 GMT";
constexpr const char* later_date = "Mon, 07 Nov 1994 00:00:00 GMT";

TEST(HttpDateReading, takes_the_three_formats_of_rfc_9110_section_5_6_7) {
  EXPECT_EQ(parse_date("Sun, 06 Nov 1994 08:49:37 GMT", now), modified);
  EXPECT_EQ(parse_date("Sunday, 06-Nov-94 08:49:37 GMT", now), modified);
  EXPECT_EQ(parse_date("Sun Nov  6 08:49:37 1994", now), modified);
  EXPECT_EQ(parse_date("Wed Nov 16 08:49:37 1994", now), modified + 10 * 86'400);
}

TEST(HttpDateReading, what_it_writes_it_reads) {
  for (const std::int64_t time : {0LL, 951'782'400LL, 1'234'567'890LL, 253'402'300'799LL})
    EXPECT_EQ(parse_date(format_date(time), now), time);
}

TEST(HttpDateReading, takes_two_digit_years_for_at_most_50_years_ahead) {
  EXPECT_EQ(parse_date("Sunday, 06-Nov-51 08:49:37 GMT", now),
            parse_date("Mon, 06 Nov 2051 08:49:37 GMT", now));
  EXPECT_EQ(parse_date("Sunday, 06-Nov-52 08:49:37 GMT", now),
            parse_date("Thu, 06 Nov 1952 08:49:37 GMT", now));
}

TEST(HttpDateReading, finds_no_date_in_anything_else) {
  for (const char* text :
       {"", "0", "yesterday", "1994-11-06T08:49:37Z", "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:00 GMT", "sun, 06 nov 1994 08:49:37 gmt",
        "Sun, 06 Nov 94 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT and more",
        "Sun Nov 6 08:49:37 1994", "Sunday, 06-Nov-1994 08:49:37 GMT", ", ,", "Sun,"})
    EXPECT_EQ(parse_date(text, now), std::nullopt) << text;
}

RangeRequest::Kind kind_of(const char* field, std::uint64_t size = 1000) {
  return understand_range(field, size).kind;
}
using Ranges = std::vector<ByteRange>;
Ranges ranges_of(const char* field, std::uint64_t size = 1000) {
  return understand_range(field, size).ranges;
}
constexpr auto whole = RangeRequest::Kind::whole;
constexpr auto unsatisfiable = RangeRequest::Kind::unsatisfiable;

TEST(Range, has_the_forms_of_rfc_9110_section_14_1_2) {
  EXPECT_EQ(ranges_of("bytes=0-499"), (Ranges{{0, 500}}));
  EXPECT_EQ(ranges_of("bytes=500-"), (Ranges{{500, 1000}}));
  EXPECT_EQ(ranges_of("bytes=-1"), (Ranges{{999, 1000}}));
  EXPECT_EQ(ranges_of("bytes=0-0,-1"), (Ranges{{0, 1}, {999, 1000}}));
  EXPECT_EQ(ranges_of("bytes= 0-999 , 999-5000"), Ranges{}) << "more than there is";
  EXPECT_EQ(ranges_of("Bytes=5-5"), (Ranges{{5, 6}}));
}

TEST(Range, is_cut_at_the_end_of_the_file) {
  EXPECT_EQ(ranges_of("bytes=990-5000"), (Ranges{{990, 1000}}));
  EXPECT_EQ(ranges_of("bytes=-5000"), (Ranges{{0, 1000}}));
  EXPECT_EQ(ranges_of("bytes=1-99999999999999999999999"), (Ranges{{1, 1000}}));
  EXPECT_EQ(ranges_of("bytes=0-18446744073709551615"), (Ranges{{0, 1000}}));
}

TEST(Range, in_another_unit_is_ignored_as_rfc_9110_section_14_2_has_it) {
  EXPECT_EQ(kind_of("lines=0-1"), whole);
  EXPECT_EQ(kind_of("bytes 0-1"), whole);
  EXPECT_EQ(kind_of(""), whole);
  EXPECT_EQ(kind_of("bytes="), whole);
}

TEST(Range, that_begins_nowhere_in_the_file_is_unsatisfiable) {
  EXPECT_EQ(kind_of("bytes=1000-"), unsatisfiable);
  EXPECT_EQ(kind_of("bytes=1000-1001,2000-"), unsatisfiable);
  EXPECT_EQ(kind_of("bytes=-0"), unsatisfiable);
  EXPECT_EQ(kind_of("bytes=5-3"), unsatisfiable);
  EXPECT_EQ(kind_of("bytes=99999999999999999999999-"), unsatisfiable);
  // Beside one that does, it is left out.
  EXPECT_EQ(ranges_of("bytes=1000-,0-0"), (Ranges{{0, 1}}));
}

TEST(Range, that_is_none_is_unsatisfiable_as_rfc_9110_section_15_5_17_allows) {
  for (const char* field :
       {"bytes= ", "bytes=a-b", "bytes=1", "bytes=-", "bytes=0-1,", "bytes=,0-1", "bytes=0-1;2-3",
        "bytes=+1-2", "bytes=0x1-2", "bytes=1-2-3", "bytes=1 2-3", "bytes=--1"})
    EXPECT_EQ(kind_of(field), unsatisfiable) << field;
}

TEST(Range, of_an_empty_file_is_all_of_it_or_nothing) {
  EXPECT_EQ(kind_of("bytes=0-", 0), whole);
  EXPECT_EQ(kind_of("bytes=-5", 0), whole);
  EXPECT_EQ(kind_of("bytes=5-", 0), unsatisfiable);
}

TEST(Range, floods_get_the_whole_as_rfc_9110_section_14_2_allows) {
  EXPECT_EQ(kind_of("bytes=0-,0-,0-"), whole);
  EXPECT_EQ(kind_of("bytes=0-500,400-999"), whole);
  std::string many = "bytes=0-0";
  for (std::size_t i = 1; i < ranges_max; ++i)
    many += "," + std::to_string(i) + "-" + std::to_string(i);
  EXPECT_EQ(ranges_of(many.c_str()).size(), ranges_max);
  EXPECT_EQ(kind_of((many + ",900-900").c_str()), whole);
}

Verdict verdict(const Conditions& conditions, bool safe = true) {
  return evaluate(conditions, Validators{"tag", modified}, safe, now);
}
Verdict verdict_of_none(const Conditions& conditions, bool safe) {
  return evaluate(conditions, std::nullopt, safe, now);
}
Conditions if_match(const char* value) {
  Conditions conditions;
  conditions.if_match = value;
  return conditions;
}
Conditions if_none_match(const char* value) {
  Conditions conditions;
  conditions.if_none_match = value;
  return conditions;
}
Conditions if_modified_since(const char* value) {
  Conditions conditions;
  conditions.if_modified_since = value;
  return conditions;
}
Conditions if_unmodified_since(const char* value) {
  Conditions conditions;
  conditions.if_unmodified_since = value;
  return conditions;
}

TEST(IfMatch, compares_strongly_as_rfc_9110_section_13_1_1_has_it) {
  EXPECT_EQ(verdict(if_match("\"tag\"")), Verdict::perform);
  EXPECT_EQ(verdict(if_match("\"x\" ,, \"tag\"")), Verdict::perform);
  EXPECT_EQ(verdict(if_match("*")), Verdict::perform);
  EXPECT_EQ(verdict(if_match("W/\"tag\"")), Verdict::precondition_failed);
  EXPECT_EQ(verdict(if_match("\"other\"")), Verdict::precondition_failed);
  EXPECT_EQ(verdict(if_match("tag")), Verdict::precondition_failed);
  EXPECT_EQ(verdict(if_match("")), Verdict::precondition_failed);
  EXPECT_EQ(verdict_of_none(if_match("*"), false), Verdict::precondition_failed);
}

TEST(IfNoneMatch, compares_weakly_as_rfc_9110_section_13_1_2_has_it) {
  EXPECT_EQ(verdict(if_none_match("\"tag\"")), Verdict::not_modified);
  EXPECT_EQ(verdict(if_none_match("W/\"tag\"")), Verdict::not_modified);
  EXPECT_EQ(verdict(if_none_match("\"a,b\", \"tag\"")), Verdict::not_modified);
  EXPECT_EQ(verdict(if_none_match("*")), Verdict::not_modified);
  EXPECT_EQ(verdict(if_none_match("\"other\"")), Verdict::perform);
  EXPECT_EQ(verdict(if_none_match("\"tag")), Verdict::perform);
  EXPECT_EQ(verdict(if_none_match("\"tag\""), false), Verdict::precondition_failed);
  EXPECT_EQ(verdict_of_none(if_none_match("*"), false), Verdict::perform);
}

TEST(IfModifiedSince, is_true_only_of_a_later_time_as_rfc_9110_section_13_1_3_has_it) {
  EXPECT_EQ(verdict(if_modified_since(modified_date)), Verdict::not_modified);
  EXPECT_EQ(verdict(if_modified_since(later_date)), Verdict::not_modified);
  EXPECT_EQ(verdict(if_modified_since(earlier_date)), Verdict::perform);
  EXPECT_EQ(verdict(if_modified_since("yesterday")), Verdict::perform);
  EXPECT_EQ(verdict(if_modified_since(modified_date), false), Verdict::perform);
}

TEST(IfUnmodifiedSince, is_false_of_a_later_time_as_rfc_9110_section_13_1_4_has_it) {
  EXPECT_EQ(verdict(if_unmodified_since(modified_date)), Verdict::perform);
  EXPECT_EQ(verdict(if_unmodified_since(later_date)), Verdict::perform);
  EXPECT_EQ(verdict(if_unmodified_since(earlier_date)), Verdict::precondition_failed);
  EXPECT_EQ(verdict(if_unmodified_since("yesterday")), Verdict::perform);
  EXPECT_EQ(verdict_of_none(if_unmodified_since(later_date), false), Verdict::precondition_failed);
}

TEST(Conditions, go_by_tags_before_dates_as_rfc_9110_section_13_2_2_has_it) {
  Conditions conditions;
  conditions.if_match = "\"tag\"";
  conditions.if_unmodified_since = earlier_date;
  EXPECT_EQ(verdict(conditions), Verdict::perform);
  conditions = {};
  conditions.if_none_match = "\"other\"";
  conditions.if_modified_since = modified_date;
  EXPECT_EQ(verdict(conditions), Verdict::perform);
  conditions = {};
  conditions.if_match = "\"other\"";
  conditions.if_none_match = "\"tag\"";
  EXPECT_EQ(verdict(conditions), Verdict::precondition_failed);
  conditions.if_match = "\"tag\"";
  EXPECT_EQ(verdict(conditions), Verdict::not_modified);
}

bool counts(const char* if_range, std::int64_t at = now) {
  Conditions conditions;
  conditions.if_range = if_range;
  return range_counts(conditions, {"tag", modified}, at);
}

TEST(IfRange, takes_strong_validators_alone_as_rfc_9110_section_13_1_5_has_it) {
  EXPECT_TRUE(counts("\"tag\""));
  EXPECT_FALSE(counts("W/\"tag\""));
  EXPECT_FALSE(counts("\"other\""));
  EXPECT_FALSE(counts("\""));
  EXPECT_TRUE(counts(modified_date));
  EXPECT_FALSE(counts(later_date));
  EXPECT_FALSE(counts(earlier_date));
  EXPECT_FALSE(counts("tag"));
  EXPECT_FALSE(counts(modified_date, modified)) << "the second is not over: weak (§8.8.2.2)";
}

Answer answer(const Selection& selection) {
  FileAttributes attributes;
  attributes.size_bytes = 1000;
  attributes.mtime_ns = modified * 1'000'000'000 + 5;
  attributes.entity_tag = "tag";
  return decide(selection, attributes, now);
}

TEST(Decision, without_conditions_and_ranges_is_the_whole) {
  EXPECT_EQ(answer({}), (Answer{200, {}}));
}

TEST(Decision, ignores_ranges_of_other_methods_than_get_as_rfc_9110_section_14_2_has_it) {
  EXPECT_EQ(answer({true, {}, "bytes=0-0"}), (Answer{206, {{0, 1}}}));
  EXPECT_EQ(answer({false, {}, "bytes=0-0"}), (Answer{200, {}}));
}

TEST(Decision, evaluates_conditions_before_ranges_as_rfc_9110_section_13_2_2_has_it) {
  EXPECT_EQ(answer({true, if_none_match("\"tag\""), "bytes=5000-"}), (Answer{304, {}}));
  EXPECT_EQ(answer({true, if_match("\"other\""), "bytes=5000-"}), (Answer{412, {}}));
  EXPECT_EQ(answer({true, if_match("\"tag\""), "bytes=5000-"}), (Answer{416, {}}));
  Conditions other;
  other.if_range = "\"other\"";
  EXPECT_EQ(answer({true, other, "bytes=5000-"}), (Answer{200, {}}));
}

}  // namespace
}  // namespace strictsend::http
