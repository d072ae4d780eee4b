// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "apps/conformance/cases.hpp"
#include "apps/conformance/options.hpp"
#include "apps/conformance/report.hpp"

namespace strictsend::conformance {
namespace {

using namespace std::chrono_literals;
using Arguments = std::vector<std::string>;

const std::vector<Case> all(all_cases.begin(), all_cases.end());

/// A port that can do everything.
PortFacts able_port() {
  PortFacts port;
  port.spec = "dpdk:0000:01:00.0";
  port.driver = "net_able";
  port.mtu_bytes = 1500;
  port.queues = 1;
  port.form = TxForm::fragments;
  port.max_fragments = 40;
  port.fragments_possible = true;
  port.checksum_offload = true;
  port.segmented_bytes_max = 65'000;
  return port;
}

TEST(Cases, are_all_run_on_a_port_that_can_do_everything) {
  for (const Case which : all_cases)
    EXPECT_EQ(why_not(which, able_port(), all), "") << name_of(which);
}

TEST(Cases, that_would_repeat_the_first_are_left_out) {
  PortFacts port = able_port();
  port.segmented_bytes_max = 0;
  EXPECT_NE(why_not(Case::checksum, port, all).find("no segmentation offload"), std::string::npos);
  EXPECT_EQ(why_not(Case::plain, port, all), "") << "it still writes checksums";
  port.checksum_offload = false;
  EXPECT_NE(why_not(Case::plain, port, all).find("no offload at all"), std::string::npos);
  for (const Case which : {Case::fragments, Case::linear, Case::control})
    EXPECT_EQ(why_not(which, port, all), "") << name_of(which);
}

TEST(Cases, a_port_with_too_few_fragments_has_linear_and_the_control) {
  PortFacts port = able_port();
  port.fragments_possible = false;
  port.max_fragments = 1;
  for (const Case which : {Case::fragments, Case::checksum, Case::plain}) {
    const std::string why = why_not(which, port, all);
    EXPECT_NE(why.find("packets of 1 pieces at most"), std::string::npos) << why;
    EXPECT_EQ(why.find("Linux 6.6"), std::string::npos) << why;
  }
  EXPECT_EQ(why_not(Case::linear, port, all), "");
  EXPECT_EQ(why_not(Case::control, port, all), "");
  port.spec = "af_xdp:eth0";
  EXPECT_NE(why_not(Case::fragments, port, all).find("AF_XDP needs Linux 6.6"), std::string::npos);
}

TEST(Cases, are_left_out_when_nobody_asked_for_them) {
  const std::vector<Case> asked{Case::linear};
  EXPECT_EQ(why_not(Case::linear, able_port(), asked), "");
  EXPECT_EQ(why_not(Case::control, able_port(), asked), "not asked for (--cases)");
}

TEST(Cases, set_form_offloads_and_protection_alone) {
  EngineConfig base;
  base.nic = "af_xdp:eth0";
  base.queues = 3;
  const auto config = [&](Case which, const PortFacts& port) {
    EngineConfig made = engine_config(which, port, base);
    EXPECT_EQ(made.nic, base.nic);
    EXPECT_EQ(made.queues, base.queues);
    return made;
  };
  struct Expected {
    Case which;
    TxForm form;
    bool checksum;
    bool segmentation;
    Protection protection;
  };
  for (const Expected& e : {
           Expected{Case::fragments, TxForm::fragments, true, true, Protection::on},
           Expected{Case::checksum, TxForm::fragments, true, false, Protection::on},
           Expected{Case::plain, TxForm::fragments, false, false, Protection::on},
           Expected{Case::linear, TxForm::linear, true, true, Protection::on},
           Expected{Case::control, TxForm::fragments, true, true, Protection::off_unsafe},
       }) {
    const EngineConfig made = config(e.which, able_port());
    EXPECT_EQ(made.tx_form, e.form) << name_of(e.which);
    EXPECT_EQ(made.checksum_offload, e.checksum) << name_of(e.which);
    EXPECT_EQ(made.segmentation_offload, e.segmentation) << name_of(e.which);
    EXPECT_EQ(made.protection, e.protection) << name_of(e.which);
  }
  PortFacts port = able_port();
  port.fragments_possible = false;
  EXPECT_EQ(config(Case::control, port).tx_form, TxForm::linear) << "it must tear there too";
}

TEST(Cases, are_named_in_a_list) {
  EXPECT_EQ(parse_cases("all").value(), all);
  EXPECT_EQ(parse_cases("linear,control").value(), (std::vector{Case::linear, Case::control}));
  for (const Case which : all_cases)
    EXPECT_EQ(parse_cases(name_of(which)).value(), std::vector{which});
  for (const char* text : {"", ",", "linear,", "linear, control", "Linear", "all,linear", "x"}) {
    const auto cases = parse_cases(text);
    ASSERT_FALSE(cases) << text;
    EXPECT_NE(cases.error().find("fragments, checksum, plain, linear, control"), std::string::npos);
  }
}

/// A case as it should end.
CaseResult good(Case which) {
  CaseResult result;
  result.which = which;
  result.port = able_port();
  result.port.form = which == Case::linear ? TxForm::linear : TxForm::fragments;
  result.writing = "2 threads through the mapping";
  result.writes = 1000;
  result.verdict.strict = which == Case::control ? 0 : 8;
  result.verdict.torn = which == Case::control ? 8 : 0;
  result.stats.pages_preserved = which == Case::control ? 0 : 5;
  result.stats.payload_bytes_copied = which == Case::linear ? 4096 : 0;
  return result;
}

CaseResult left_out(Case which) {
  CaseResult result;
  result.which = which;
  result.not_run = "not asked for (--cases)";
  return result;
}

Report report_of(std::vector<CaseResult> cases) {
  Report report;
  report.version = "1.2.3";
  report.kernel = "Linux 6.6";
  report.port = able_port();
  report.ends = "10.0.0.1 port 8017, received by 10.0.0.2";
  report.file_bytes = 64 << 20;
  report.downloads = 8;
  report.parallel = 4;
  report.cases = std::move(cases);
  return report;
}

TEST(Conclusion, is_proven_when_all_that_was_run_was_strict_and_the_control_torn) {
  std::vector<CaseResult> cases;
  for (const Case which : all_cases) {
    EXPECT_EQ(shortcoming(good(which)), "") << name_of(which);
    cases.push_back(good(which));
  }
  EXPECT_EQ(conclusion(report_of(cases)), "PROVEN: fragments, checksum, plain, linear on net_able");
  cases[1] = left_out(Case::checksum);
  EXPECT_EQ(conclusion(report_of(cases)), "PROVEN: fragments, plain, linear on net_able");
  EXPECT_TRUE(is_proven(conclusion(report_of(cases))));
}

TEST(Conclusion, names_each_shortcoming) {
  struct Flaw {
    Case which;
    void (*make)(CaseResult&);
    const char* named;
  };
  for (const Flaw& flaw : {
           Flaw{Case::fragments, [](CaseResult& r) { r.verdict.torn = 2; }, "2 of its downloads"},
           Flaw{Case::control, [](CaseResult& r) { r.verdict.torn = 0; }, "take a larger --size"},
           Flaw{Case::linear, [](CaseResult& r) { r.stats.pages_preserved = 0; },
                "no page had to be preserved"},
           Flaw{Case::fragments, [](CaseResult& r) { r.stats.frames_pinned = 1; }, "left pinned"},
           Flaw{Case::control, [](CaseResult& r) { r.stats.snapshots_live = 1; }, "left pinned"},
           Flaw{Case::fragments, [](CaseResult& r) { r.stats.payload_bytes_copied = 1; },
                "copied payload"},
           Flaw{Case::plain, [](CaseResult& r) { r.failure = "the receiver gave no verdict"; },
                "the receiver gave no verdict"},
       }) {
    std::vector<CaseResult> cases;
    for (const Case which : all_cases) {
      cases.push_back(good(which));
      if (which == flaw.which) flaw.make(cases.back());
    }
    const std::string said = conclusion(report_of(cases));
    EXPECT_FALSE(is_proven(said)) << said;
    EXPECT_TRUE(said.starts_with("NOT PROVEN: " + std::string(name_of(flaw.which)) + ": ")) << said;
    EXPECT_NE(said.find(flaw.named), std::string::npos) << said;
    const std::string text = to_text(report_of(cases));
    EXPECT_TRUE(text.ends_with("\n" + said + "\n")) << text;
  }
}

TEST(Conclusion, redirected_pages_count_as_preserved_and_linear_may_copy) {
  CaseResult result = good(Case::linear);
  result.stats.pages_preserved = 0;
  result.stats.pages_redirected = 1;
  EXPECT_EQ(shortcoming(result), "");
}

TEST(Conclusion, several_shortcomings_are_all_named) {
  CaseResult torn = good(Case::fragments);
  torn.verdict.torn = 1;
  CaseResult whole = good(Case::control);
  whole.verdict.torn = 0;
  const std::string said = conclusion(report_of({torn, whole}));
  EXPECT_NE(said.find("fragments: 1 of its"), std::string::npos) << said;
  EXPECT_NE(said.find("; control: "), std::string::npos) << said;
}

TEST(Conclusion, without_the_control_or_without_another_case_nothing_is_proven) {
  EXPECT_EQ(conclusion(report_of({good(Case::fragments), left_out(Case::control)})),
            "NOT PROVEN: the control was not run");
  EXPECT_EQ(conclusion(report_of({left_out(Case::fragments), good(Case::control)})),
            "NOT PROVEN: no protected case was run");
  EXPECT_FALSE(is_proven(conclusion(report_of({}))));
  EXPECT_FALSE(is_proven("")) << "a receiver that got no report";
}

TEST(Reports, have_a_part_for_every_case_run_or_not) {
  std::vector<CaseResult> cases{good(Case::fragments), left_out(Case::checksum),
                                good(Case::control)};
  cases.push_back(good(Case::linear));
  cases.back().failure = "the port is gone";
  const std::string text = to_text(report_of(cases));
  for (const char* part :
       {"driver            net_able", "Case fragments\n", "checksum, segmentation of up to 65000",
        "Case checksum\n  not run           not asked for", "result            strict",
        "result            torn, as it must be",
        "Case linear\n  failed            the port is gone",
        "64.0 MiB, 8 downloads in each case, 4 at a time"})
    EXPECT_NE(text.find(part), std::string::npos) << part << " is not in:\n" << text;
  EXPECT_EQ(text.find("note"), std::string::npos) << text;
}

TEST(Reports, say_when_a_port_copies_before_the_wire) {
  Report report = report_of({good(Case::fragments), good(Case::control)});
  report.port.copies_payload = true;
  EXPECT_NE(to_text(report).find("this run proves less"), std::string::npos);
}

cli::Parsed<Options> parse_sender(const Arguments& more) {
  Arguments all_of_them{"--nic", "af_xdp:eth0", "--peer", "10.0.0.2"};
  all_of_them.insert(all_of_them.end(), more.begin(), more.end());
  return parse_options(all_of_them);
}

TEST(ConformanceOptions, have_defaults_that_match_the_manual_page) {
  const auto options = parse_sender({});
  ASSERT_TRUE(options) << options.error();
  EXPECT_TRUE(options->sends);
  EXPECT_EQ(options->engine.nic, "af_xdp:eth0");
  EXPECT_EQ(options->peer, (Ipv4Address{10, 0, 0, 2}));
  EXPECT_EQ(options->port, 8017);
  EXPECT_EQ(options->directory, "/var/tmp");
  EXPECT_EQ(options->wait, 60s);
  EXPECT_EQ(options->file_bytes, 64U << 20);
  EXPECT_EQ(options->downloads, 8U);
  EXPECT_EQ(options->writers, 2U);
  EXPECT_EQ(options->write, WriteWay::automatic);
  EXPECT_EQ(options->cases, all);
}

TEST(ConformanceOptions, are_all_understood) {
  const auto options = parse_sender(
      {"--port=8080", "--directory",   "/srv",     "--wait",    "5s",    "--address", "10.0.0.1/26",
       "--gateway",   "10.0.0.62",     "--queues", "4",         "--mtu", "9000",      "--size",
       "1M",          "--downloads",   "3",        "--writers", "5",     "--write",   "api",
       "--cases",     "linear,control"});
  ASSERT_TRUE(options) << options.error();
  EXPECT_EQ(options->port, 8080);
  EXPECT_EQ(options->directory, "/srv");
  EXPECT_EQ(options->wait, 5s);
  EXPECT_EQ(options->engine.address, (Ipv4Address{10, 0, 0, 1}));
  EXPECT_EQ(options->engine.prefix_bits, 26);
  EXPECT_EQ(options->engine.gateway, (Ipv4Address{10, 0, 0, 62}));
  EXPECT_EQ(options->engine.queues, 4U);
  EXPECT_EQ(options->engine.mtu_bytes, 9000U);
  EXPECT_EQ(options->file_bytes, 1U << 20);
  EXPECT_EQ(options->downloads, 3U);
  EXPECT_EQ(options->writers, 5U);
  EXPECT_EQ(options->write, WriteWay::api);
  EXPECT_EQ(options->cases, (std::vector{Case::linear, Case::control}));
  EXPECT_EQ(parse_sender({"--write", "mapping"}).value().write, WriteWay::mapping);
  EXPECT_EQ(parse_sender({"--write", "auto"}).value().write, WriteWay::automatic);
}

TEST(ConformanceOptions, a_mistake_is_named_with_its_option) {
  struct Mistake {
    Arguments arguments;
    const char* named;
  };
  for (const Mistake& m : std::vector<Mistake>{
           {{"--port", "0"}, "--port"},
           {{"--directory", ""}, "directory"},
           {{"--wait", "soon"}, "--wait"},
           {{"--address", "here"}, "--address"},
           {{"--gateway", "10.0.0.1/24"}, "--gateway"},
           {{"--queues", "257"}, "--queues"},
           {{"--mtu", "67"}, "--mtu"},
           {{"--size", "5K"}, "--size: \"5K\" is no multiple of 4K from 1M to 64G"},
           {{"--size", "4097K"}, "--size"},
           {{"--size", "65G"}, "--size"},
           {{"--downloads", "0"}, "--downloads"},
           {{"--downloads", "1025"}, "--downloads"},
           {{"--writers", "65"}, "--writers: \"65\" is not a whole number from 1 to 64"},
           {{"--write", "both"}, "--write: \"both\" is no way of writing"},
           {{"--cases", "linear,none"}, "--cases: \"none\" is no case"},
           {{"--colour", "red"}, "--colour"},
           {{"--peer", "10.0.0.3"}, "--peer"},
           {{"10.0.0.3"}, "behind --peer"},
           {{"--", "--no-huge"}, "--nic dpdk:PORT alone"},
       }) {
    const auto options = parse_sender(m.arguments);
    ASSERT_FALSE(options) << m.named;
    EXPECT_NE(options.error().find(m.named), std::string::npos) << options.error();
    EXPECT_EQ(options.error().find('\n'), std::string::npos) << options.error();
  }
}

TEST(ConformanceOptions, of_the_receiver_are_few) {
  const Arguments line{"--peer", "10.0.0.1", "--port", "80", "--directory", "/srv", "--wait", "2m"};
  const auto options = parse_options(line);
  ASSERT_TRUE(options) << options.error();
  EXPECT_FALSE(options->sends);
  EXPECT_EQ(options->peer, (Ipv4Address{10, 0, 0, 1}));
  for (const char* name :
       {"address", "gateway", "queues", "mtu", "size", "downloads", "writers", "write", "cases"}) {
    Arguments more = line;
    more.insert(more.end(), {std::string("--") + name, "1"});
    const auto refused = parse_options(more);
    ASSERT_FALSE(refused) << name;
    EXPECT_NE(refused.error().find("is the sender's"), std::string::npos) << refused.error();
  }
}

TEST(ConformanceOptions, say_that_the_peer_is_missing) {
  const Arguments sender{"--nic", "af_xdp:eth0"};
  EXPECT_NE(parse_options(sender).error().find("--peer is missing: name the receiver's"),
            std::string::npos);
  const Arguments nothing;
  EXPECT_NE(parse_options(nothing).error().find("--peer is missing: name the sender's"),
            std::string::npos);
}

TEST(ConformanceOptions, what_stands_behind_two_dashes_is_dpdks) {
  const Arguments line{"--nic", "dpdk:net_tap0", "--peer", "10.0.0.2", "--", "--no-huge", "--size"};
  const auto options = parse_options(line);
  ASSERT_TRUE(options) << options.error();
  EXPECT_EQ(options->engine.nic_arguments, (Arguments{"--no-huge", "--size"}));
}

TEST(ConformanceOptions, help_needs_nothing_else_and_explains_every_option) {
  const Arguments help{"--help"};
  EXPECT_TRUE(parse_options(help).value().help);
  const std::string page(conformance_help());
  for (const std::string& name : option_names())
    EXPECT_NE(page.find("--" + name), std::string::npos) << name;
  for (const Case which : all_cases)
    EXPECT_NE(page.find("    " + std::string(name_of(which)) + "\n"), std::string::npos)
        << name_of(which);
  std::size_t begin = 0;
  for (std::size_t end = 0; (end = page.find('\n', begin)) != std::string::npos; begin = end + 1)
    EXPECT_LE(end - begin, 90U) << page.substr(begin, end - begin);
}

}  // namespace
}  // namespace strictsend::conformance
