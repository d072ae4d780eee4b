// SPDX-License-Identifier: Apache-2.0
// `serve --user`: what it still may do, and that it is enough.
#include <sys/stat.h>

#include <cctype>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "tests/integration/serve_fixture.hpp"

namespace strictsend::test {
namespace {

namespace fs = std::filesystem;
using Fields = std::map<std::string, std::string>;

/// /proc/PID/task/TID/status of each thread of a process.
std::vector<Fields> threads_of(const std::string& pid) {
  std::vector<Fields> threads;
  for (const auto& task : fs::directory_iterator("/proc/" + pid + "/task")) {
    std::ifstream status(task.path() / "status");
    Fields& fields = threads.emplace_back();
    for (std::string line; std::getline(status, line);)
      if (const std::size_t colon = line.find(":\t"); colon != std::string::npos)
        fields.emplace(line.substr(0, colon), line.substr(colon + 2));
  }
  return threads;
}

/// Empty if there is none.
std::string only_child_of(pid_t pid) {
  const std::string task = std::to_string(pid);
  std::ifstream children("/proc/" + task + "/task/" + task + "/children");
  std::string child;
  std::string another;
  children >> child >> another;
  EXPECT_EQ(another, "");
  return child;
}

constexpr const char* none = "0000000000000000";

class ServeUser : public Serve {
 protected:
  void prepare_network() override {
    // Anybody may come in, but not read everything.
    ASSERT_EQ(::chmod(root_directory_.c_str(), 0755), 0);
    more_ = {"--user", "nobody", "--allow-put"};
    make_file("open", 3U << 20);
    ASSERT_EQ(::chmod(root_.path("open").c_str(), 0644), 0);
    make_file("closed", 1000);
    ASSERT_EQ(::chmod(root_.path("closed").c_str(), 0600), 0);
    ASSERT_TRUE(fs::create_directory(root_.path("hidden")));
    ASSERT_EQ(::chmod(root_.path("hidden").c_str(), 0700), 0);
    make_file("hidden/file", 1000);
  }
  std::string status_of(const std::string& name, const std::string& curl = {}) const {
    return at_peer("curl -s --max-time 30 -o /dev/null -w '%{http_code}' " + curl + " " + url(name))
        .output;
  }
  std::string xdp_program() const {
    const std::string shown =
        run_command({"ip", "link", "show", network_->near().interface_name}).output;
    return shown.find("prog/xdp") == std::string::npos ? "" : shown;
  }
};

TEST_P(ServeUser, has_no_rights_but_the_users_on_any_thread) {
  const std::vector<Fields> threads = threads_of(std::to_string(server_->pid()));
  EXPECT_GE(threads.size(), 4U) << "the server's, an engine's, the guard's, the loader's";
  for (const Fields& thread : threads) {
    const std::string& name = thread.at("Name");
    EXPECT_EQ(thread.at("Uid"), "65534\t65534\t65534\t65534") << name;
    EXPECT_EQ(thread.at("Gid"), "65534\t65534\t65534\t65534") << name;
    EXPECT_EQ(thread.at("Groups"), "65534 ") << name;
    EXPECT_EQ(thread.at("NoNewPrivs"), "1") << name;
    for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"})
      EXPECT_EQ(thread.at(set), none) << name << ' ' << set;
  }
  EXPECT_EQ(difference("open"), "");
  EXPECT_EQ(threads_of(std::to_string(server_->pid())).front().at("CapPrm"), none);
  stop();
}

TEST_P(ServeUser, reads_and_writes_what_the_user_may) {
  EXPECT_EQ(status_of("open"), "200");
  EXPECT_EQ(status_of("closed"), "403");
  EXPECT_EQ(status_of("hidden/file"), "403");
  EXPECT_EQ(status_of("new", "-T /etc/hostname"), "403") << "the directory is root's";
  ASSERT_TRUE(fs::create_directory(root_.path("inbox")));
  ASSERT_EQ(::chmod(root_.path("inbox").c_str(), 0777), 0);
  EXPECT_EQ(status_of("inbox/new", "-T /etc/hostname"), "201");
  struct stat made {};
  ASSERT_EQ(::stat(root_.path("inbox/new").c_str(), &made), 0);
  EXPECT_EQ(made.st_uid, 65534U);
  // A file that is cached already is not another's to read.
  ASSERT_EQ(::chmod(root_.path("open").c_str(), 0600), 0);
  EXPECT_EQ(status_of("open"), "403");
  stop();
}

std::string name_of(const ::testing::TestParamInfo<const char*>& info) {
  return info.param;
}
INSTANTIATE_TEST_SUITE_P(Over, ServeUser, ::testing::Values(SERVE_USER_PORTS), name_of);

/// The caretaker is AF_XDP's.
class ServeCaretaker : public ServeUser {};

TEST_P(ServeCaretaker, has_four_capabilities_and_clears_the_interface) {
  const std::string caretaker = only_child_of(server_->pid());
  ASSERT_NE(caretaker, "");
  const std::vector<Fields> threads = threads_of(caretaker);
  ASSERT_EQ(threads.size(), 1U);
  // CAP_NET_ADMIN (12), CAP_SYS_ADMIN (21), CAP_PERFMON (38), CAP_BPF (39).
  EXPECT_EQ(threads[0].at("CapPrm"), "000000c000201000");
  EXPECT_EQ(threads[0].at("CapEff"), "000000c000201000");
  EXPECT_EQ(threads[0].at("CapBnd"), none);
  EXPECT_EQ(threads[0].at("NoNewPrivs"), "1");
  EXPECT_NE(xdp_program(), "");
  EXPECT_EQ(difference("open"), "");
  stop();
  EXPECT_EQ(xdp_program(), "");
  EXPECT_FALSE(fs::exists("/proc/" + caretaker));
}

TEST_P(ServeCaretaker, clears_the_interface_of_a_server_that_was_killed) {
  const std::string caretaker = only_child_of(server_->pid());
  ASSERT_NE(caretaker, "");
  server_->signal(SIGKILL);
  // It holds the other end of the output, so this waits for it too.
  ASSERT_TRUE(server_->wait());
  EXPECT_EQ(xdp_program(), "");
}

TEST_P(ServeCaretaker, is_missed_when_it_is_gone) {
  ASSERT_EQ(::kill(std::stoi(only_child_of(server_->pid())), SIGKILL), 0);
  EXPECT_EQ(difference("open"), "");
  server_->signal(SIGTERM);
  const auto ended = server_->wait();
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->exit_code, 1);
  EXPECT_NE(ended->output.find("the caretaker was killed"), std::string::npos) << ended->output;
  // The next one finds what is left, and removes it.
  start();
  EXPECT_EQ(difference("open"), "");
  stop();
  EXPECT_EQ(xdp_program(), "");
}

INSTANTIATE_TEST_SUITE_P(Over, ServeCaretaker, ::testing::Values("fragments"), name_of);

/// With the capabilities alone that the systemd unit leaves it.
class ServeUnit : public ServeUser {
 protected:
  void prepare_network() override {
    ServeUser::prepare_network();
    std::ifstream unit(SERVICE_UNIT);
    std::string set = "-all";
    for (std::string line; std::getline(unit, line);) {
      const std::string name = "CapabilityBoundingSet=";
      if (!line.starts_with(name)) continue;
      std::istringstream words(line.substr(name.size()));
      // "CAP_NET_RAW" is setpriv's "+net_raw".
      for (std::string word; words >> word;) {
        for (char& c : word)
          c = static_cast<char>(std::tolower(c));
        set += ",+" + word.substr(std::string("cap_").size());
      }
    }
    ASSERT_NE(set.find("+net_admin"), std::string::npos) << set;
    ASSERT_EQ(set.find("dac_"), std::string::npos) << set;
    before_ = {"setpriv", "--bounding-set", set};
  }
};

TEST_P(ServeUnit, serves_and_clears_the_interface_with_what_it_may) {
  EXPECT_EQ(difference("open"), "");
  EXPECT_NE(xdp_program(), "");
  stop();
  EXPECT_EQ(xdp_program(), "");
}

INSTANTIATE_TEST_SUITE_P(Over, ServeUnit, ::testing::Values("fragments"), name_of);

/// Of a server on a port that sends nothing.
class ServeUserMistake : public ::testing::Test {
 protected:
  CommandResult serve(const std::vector<std::string>& more,
                      const std::vector<std::string>& before = {}) const {
    std::vector<std::string> argv = before;
    argv.insert(argv.end(), {STRICTSEND_PROGRAM, "serve", "--nic", "discard:", "--address",
                             "192.0.2.1", "--cache", "16M", "--root", root_.path()});
    argv.insert(argv.end(), more.begin(), more.end());
    return run_command(argv);
  }
  void expect(const CommandResult& result, const std::string& text) const {
    EXPECT_EQ(result.exit_code, 1) << result.output;
    EXPECT_NE(result.output.find(text), std::string::npos) << result.output;
  }
  TempDir root_;
};

TEST_F(ServeUserMistake, is_explained) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  expect(serve({"--user", "no-such-user"}),
         "there is no such user; make one with adduser --system --group no-such-user");
  expect(serve({"--user", "nobody", "--group", "no-such-group"}), "there is no such group");
  expect(serve({"--user", "root"}), "that is root, with whom nothing is gained");
  expect(serve({"--user", "nobody"}), "as user nobody failed: Permission denied");
  expect(serve({"--user", "nobody"}), "setfacl -m u:nobody:rx " + root_.path());
  ASSERT_EQ(::chmod(root_.path().c_str(), 0755), 0);
  expect(serve({"--user", "nobody", "--access-log", root_.path("log")}), "Permission denied");
  expect(serve({"--user", "nobody"}, {"setpriv", "--bounding-set", "-setuid"}),
         "--user needs CAP_SETUID and CAP_SETGID");
  expect(serve({"--user", "nobody"}, {"setpriv", "--bounding-set", "-setpcap"}),
         "--user needs CAP_SETPCAP");
  ASSERT_EQ(::chmod(root_.path().c_str(), 0755), 0);
  expect(serve({"--user", "daemon"}, {"setpriv", "--reuid=65534", "--clear-groups"}),
         "only root can; start it as root");
}

}  // namespace
}  // namespace strictsend::test
