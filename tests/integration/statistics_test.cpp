// SPDX-License-Identifier: Apache-2.0
// What `strictsend serve` tells of itself, and `strictsend top` over it, with real clients.
#include <csignal>
#include <cstdint>
#include <filesystem>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/integration/serve_fixture.hpp"

namespace strictsend::test {
namespace {

using Json = nlohmann::json;

/// Prints "METRIC{LABELS} VALUE" for each sample, as Prometheus's own reader for Python understands
/// them, and fails where that finds a fault. Debian's interpreter, whose package it is.
const std::string read_by_prometheus = R"(/usr/bin/python3 -c '
import sys
from prometheus_client.parser import text_string_to_metric_families
for family in text_string_to_metric_families(sys.stdin.read()):
    assert family.documentation and family.type in ("counter", "gauge"), family
    for sample in family.samples:
        labels = ",".join(f"{name}={value}" for name, value in sample.labels.items())
        print(f"{sample.name}{{{labels}}} {sample.value:.0f}")
')";

class Statistics : public Serve {
 protected:
  Statistics() {
    net_options_.queues = 2;
    more_ = {"--stats-socket", socket_path(), "--metrics", "0", "--allow-put"};
  }
  [[nodiscard]] std::string socket_path() const { return sockets_.path("stats.sock"); }

  [[nodiscard]] Json document() const {
    const CommandResult told = run_command({"/usr/bin/python3", "-c",
                                            "import socket, sys\n"
                                            "s = socket.socket(socket.AF_UNIX)\n"
                                            "s.connect(sys.argv[1])\n"
                                            "while block := s.recv(65536):\n"
                                            "    sys.stdout.buffer.write(block)\n",
                                            socket_path()});
    Json document = Json::parse(told.output, nullptr, false);
    EXPECT_TRUE(document.is_object()) << told.output;
    return document;
  }
  /// Asks until `holds`, because the last acknowledgement comes after the last byte.
  template <class Holds>
  [[nodiscard]] Json document_when(Holds holds) const {
    Json now;
    for (const Time limit = monotonic_now() + seconds(60); monotonic_now() < limit;) {
      now = document();
      if (holds(now)) return now;
    }
    ADD_FAILURE() << "it never held: " << now.dump(1);
    return now;
  }
  [[nodiscard]] std::string metrics_url() const {
    const std::string& said = server_->output();
    const std::size_t begin = said.find("metrics: ") + 9;
    return said.substr(begin, said.find('\n', begin) - begin);
  }
  [[nodiscard]] CommandResult top(const std::string& arguments) const {
    return run_command(
        {"sh", "-c", STRICTSEND_PROGRAM " top --socket " + socket_path() + " " + arguments});
  }
  [[nodiscard]] Result<ChildProcess> story(const std::string& name) const {
    const std::string session = PEERS_DIRECTORY "/top_session.py";
    return ChildProcess::spawn(
        {"/usr/bin/python3", session, name, STRICTSEND_PROGRAM, socket_path()});
  }
  void expect_to_end_well(const std::string& name) const {
    auto playing = story(name);
    ASSERT_TRUE(playing) << playing.error().message();
    const auto result = playing->wait(seconds(200));
    ASSERT_TRUE(result) << "still playing: " << playing->output();
    EXPECT_EQ(result->exit_code, 0) << result->output;
    EXPECT_NE(result->output.find("the story ends well"), std::string::npos) << result->output;
  }

  TempDir sockets_;
};

INSTANTIATE_TEST_SUITE_P(Forms, Statistics, ::testing::Values("fragments"),
                         [](const auto& form) { return form.param; });

/// The value of the entry of which the labels are so.
std::uint64_t value_of(const Json& entries, const Json& labels) {
  for (const Json& entry : entries) {
    Json rest = entry;
    rest.erase("value");
    if (rest == labels) return entry["value"];
  }
  ADD_FAILURE() << labels << " is not in " << entries;
  return 0;
}

TEST_P(Statistics, tell_what_was_done) {
  make_file("file", 1'000'000);
  const Json before = document();
  EXPECT_EQ(before["version"], 1);
  EXPECT_EQ(before["port"]["spec"], "af_xdp:" + network_->near().interface_name);
  EXPECT_EQ(before["queues"].size(), 2U);
  EXPECT_EQ(before["http"]["requests_ok"], 0U);

  EXPECT_EQ(difference("file"), "");
  EXPECT_EQ(difference("file"), "");
  const CommandResult others = at_peer(
      "curl -sS -o /dev/null -I " + url("file") + " && curl -sS -o /dev/null " + url("missing") +
      " && curl -sS -X BREW " + url("file") + " && curl -sSf -T /etc/hostname " + url("stored") +
      " && curl -sSf -T /etc/hostname " + url("stored"));
  EXPECT_EQ(others.exit_code, 0) << others.output;

  const Json now = document_when([](const Json& d) {
    return d["http"]["requests_ok"] == 5U && d["http"]["requests_refused"] == 2U &&
           d["http"]["connections_open"] == 0U;
  });
  const Json& http = now["http"];
  EXPECT_EQ(value_of(http["responses"], {{"method", "GET"}, {"status", "2xx"}}), 2U);
  EXPECT_EQ(value_of(http["responses"], {{"method", "HEAD"}, {"status", "2xx"}}), 1U);
  EXPECT_EQ(value_of(http["responses"], {{"method", "PUT"}, {"status", "2xx"}}), 2U);
  EXPECT_EQ(value_of(http["responses"], {{"method", "GET"}, {"status", "4xx"}}), 1U);
  EXPECT_EQ(value_of(http["responses"], {{"method", "other"}, {"status", "4xx"}}), 1U);
  EXPECT_EQ(value_of(http["refusals"], {{"status", "404"}}), 1U);
  EXPECT_EQ(value_of(http["refusals"], {{"status", "405"}}), 1U);
  EXPECT_EQ(http["requests_cut"], 0U);
  EXPECT_EQ(http["connections_accepted"], 7U);
  EXPECT_EQ(http["responses_open"], 0U);
  EXPECT_GT(http["bytes_sent"], 2'000'000U);
  EXPECT_EQ(http["bytes_sent"], http["bytes_acked"]);
  EXPECT_EQ(now["files"]["files_loaded"], 1U);
  EXPECT_EQ(now["files"]["files_found"], 2U);
  EXPECT_EQ(now["files"]["files_open"], 1U);
  EXPECT_EQ(now["uploads"]["uploads_begun"], 2U);
  EXPECT_EQ(now["uploads"]["uploads_created"], 1U);
  EXPECT_EQ(now["uploads"]["uploads_replaced"], 1U);
  EXPECT_EQ(now["uploads"]["uploads_bytes_received"],
            2 * std::filesystem::file_size("/etc/hostname"));
  EXPECT_EQ(now["connections"]["connections_accepted"], 7U);
  EXPECT_GE(now["engine"]["payload_bytes_sent"], 2'000'000U);
  EXPECT_GE(now["cache"]["frames_cached"], 1'000'000U / 4096);
  EXPECT_EQ(now["queues"][0]["connections_accepted"].get<std::uint64_t>() +
                now["queues"][1]["connections_accepted"].get<std::uint64_t>(),
            7U);
  EXPECT_GT(now["process"]["uptime_ns"], before["process"]["uptime_ns"]);
  stop();
  EXPECT_FALSE(std::filesystem::exists(socket_path()));
}

TEST_P(Statistics, are_what_prometheus_reads) {
  make_file("file", 100'000);
  EXPECT_EQ(difference("file"), "");
  const Json told = document_when([](const Json& d) { return d["http"]["requests_ok"] == 1U; });
  const CommandResult read =
      run_command({"sh", "-c", "curl -sSf " + metrics_url() + " | " + read_by_prometheus});
  ASSERT_EQ(read.exit_code, 0) << read.output;
  const auto has = [&read](const std::string& line) {
    EXPECT_NE(("\n" + read.output).find("\n" + line + "\n"), std::string::npos) << line << " in\n"
                                                                                << read.output;
  };
  has("strictsend_build_info{version=" + told["program"]["version"].get<std::string>() + "} 1");
  has("strictsend_http_responses_total{method=GET,status=2xx} 1");
  has("strictsend_connections_accepted_total{} 1");
  has("strictsend_cache_total_bytes{} " +
      std::to_string(told["cache"]["frames_total"].get<std::uint64_t>() * 4096));
  has("strictsend_queue_connections_accepted_total{queue=1} " +
      std::to_string(told["queues"][1]["connections_accepted"].get<std::uint64_t>()));
}

TEST_P(Statistics, refuse_what_is_no_request_for_metrics) {
  const std::string metrics = metrics_url();
  const auto status = [](const std::string& arguments) {
    return run_command({"sh", "-c", "curl -s -o /dev/null -w '%{http_code}' " + arguments}).output;
  };
  EXPECT_EQ(status(metrics), "200");
  EXPECT_EQ(status(metrics + "/more"), "404");
  EXPECT_EQ(status("-X DELETE " + metrics), "405");
  EXPECT_EQ(status("-I " + metrics), "405");
  EXPECT_EQ(at_peer("curl -sS --max-time 2 http://" + network_->near().address +
                    metrics.substr(metrics.rfind(':')))
                .exit_code,
            7)
      << "the interface's own address answers too";
}

TEST_P(Statistics, are_told_while_clients_hang) {
  make_file("file", 100'000);
  auto hanging = ChildProcess::spawn(
      {"/usr/bin/python3", "-c",
       "import socket, sys, time\n"
       "held = []\n"
       "for i in range(60):\n"
       "    s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); held.append(s)\n"
       "    s = socket.create_connection(('127.0.0.1', int(sys.argv[2])))\n"
       "    s.send(b'GET /'); held.append(s)\n"
       "print('they hang', flush=True)\n"
       "time.sleep(300)\n",
       socket_path(), metrics_url().substr(17, metrics_url().rfind('/') - 17)});
  ASSERT_TRUE(hanging) << hanging.error().message();
  ASSERT_TRUE(hanging->wait_for_output("they hang")) << hanging->output();
  EXPECT_EQ(difference("file"), "") << "files are served";
  EXPECT_EQ(document()["version"], 1);
  EXPECT_EQ(run_command({"curl", "-sSf", "-o", "/dev/null", metrics_url()}).exit_code, 0);
  stop();
}

TEST_P(Statistics, sockets_that_cannot_be_made_are_explained_and_nothing_is_served) {
  const auto refused = [this](const std::vector<std::string>& options) {
    std::vector<std::string> argv{
        STRICTSEND_PROGRAM, "serve",        "--nic", "af_xdp:" + network_->near().interface_name,
        "--root",           root_directory_};
    argv.insert(argv.end(), options.begin(), options.end());
    return run_command(argv);
  };
  const CommandResult in_use = refused({"--stats-socket", socket_path()});
  EXPECT_EQ(in_use.exit_code, 1);
  EXPECT_NE(in_use.output.find("another server tells its statistics there"), std::string::npos)
      << in_use.output;
  const CommandResult foreign = refused({"--stats-socket", "/etc/hostname"});
  EXPECT_NE(foreign.output.find("is no socket and is left alone"), std::string::npos)
      << foreign.output;
  const CommandResult taken =
      refused({"--metrics", metrics_url().substr(7, metrics_url().rfind('/') - 7)});
  EXPECT_NE(taken.output.find("(EADDRINUSE): choose another port"), std::string::npos)
      << taken.output;
  const CommandResult open = refused({"--metrics", "0.0.0.0:9100"});
  EXPECT_EQ(open.exit_code, 2);
  EXPECT_NE(open.output.find("--metrics: 0.0.0.0 is not a loopback address"), std::string::npos)
      << open.output;
  EXPECT_EQ(document()["version"], 1) << "the server that is there goes on";
}

TEST_P(Statistics, a_killed_servers_socket_is_replaced) {
  server_->signal(SIGKILL);
  ASSERT_TRUE(server_->wait());
  ASSERT_TRUE(std::filesystem::exists(socket_path()));
  const CommandResult nobody = top("--once");
  EXPECT_EQ(nobody.exit_code, 1);
  EXPECT_NE(nobody.output.find("the server that made this socket is gone"), std::string::npos)
      << nobody.output;
  start();
  EXPECT_EQ(document()["version"], 1);
}

TEST_P(Statistics, top_prints_plainly_where_there_is_no_terminal) {
  const CommandResult once = top("--once --interval 200ms");
  EXPECT_EQ(once.exit_code, 0) << once.output;
  EXPECT_NE(once.output.find("af_xdp:" + network_->near().interface_name), std::string::npos)
      << once.output;
  EXPECT_NE(once.output.find("\nsending     0 B/s"), std::string::npos) << once.output;
  EXPECT_EQ(once.output.find('\x1b'), std::string::npos);
  // Two queues, and both are there.
  EXPECT_NE(once.output.find("\n1 "), std::string::npos) << once.output;

  const CommandResult some =
      top("--interval 100ms | grep --line-buffered sending | head -n 3 | wc -l");
  EXPECT_EQ(some.output, "3\n");
  const CommandResult missing =
      run_command({STRICTSEND_PROGRAM, "top", "--once", "--socket", sockets_.path("nothing")});
  EXPECT_EQ(missing.exit_code, 1);
  EXPECT_NE(missing.output.find("(ENOENT): start `strictsend serve`"), std::string::npos)
      << missing.output;
}

TEST_P(Statistics, top_gives_the_terminal_back_however_it_ends) {
  expect_to_end_well("endings");
  expect_to_end_well("held");
  expect_to_end_well("hung_up");
}

TEST_P(Statistics, top_follows_the_terminals_size) {
  expect_to_end_well("sizes");
}

TEST_P(Statistics, top_can_be_stopped_and_goes_on) {
  expect_to_end_well("stopped");
}

TEST_P(Statistics, top_waits_for_a_server_that_goes_and_comes) {
  stop();
  auto playing = story("waiting");
  ASSERT_TRUE(playing) << playing.error().message();
  ASSERT_TRUE(playing->wait_for_output("no server yet")) << playing->output();
  start();
  ASSERT_TRUE(playing->wait_for_output("there it is")) << playing->output();
  stop();
  ASSERT_TRUE(playing->wait_for_output("there it goes")) << playing->output();
  start();
  const auto result = playing->wait(seconds(100));
  ASSERT_TRUE(result) << playing->output();
  EXPECT_EQ(result->exit_code, 0) << result->output;
}

}  // namespace
}  // namespace strictsend::test
