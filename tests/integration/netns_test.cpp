// SPDX-License-Identifier: Apache-2.0
#include "tests/support/netns.hpp"

#include <net/if.h>
#include <sys/wait.h>

#include <csignal>
#include <unistd.h>

#include <gtest/gtest.h>

namespace strictsend::test {
namespace {

class NetNamespaces : public testing::Test {
 protected:
  void SetUp() override {
    if (auto reason = NetNamespacePair::unavailable()) GTEST_SKIP() << *reason;
  }
};

TEST_F(NetNamespaces, both_ends_reach_each_other_and_nothing_stays_behind) {
  std::string near_name;
  std::string namespace_name;
  {
    Result<NetNamespacePair> pair = NetNamespacePair::create();
    ASSERT_TRUE(pair) << pair.error().message();
    near_name = pair->near().interface_name;
    namespace_name = pair->namespace_name();
    const CommandResult ping =
        pair->run_in_namespace({"ping", "-c", "1", "-W", "5", pair->near().address});
    EXPECT_EQ(ping.exit_code, 0) << ping.output;
    EXPECT_NE(ping.output.find("1 received"), std::string::npos) << ping.output;
  }
  EXPECT_EQ(::if_nametoindex(near_name.c_str()), 0U);
  EXPECT_NE(::access(("/run/netns/" + namespace_name).c_str(), F_OK), 0);
}

TEST_F(NetNamespaces, two_pairs_at_a_time_have_nothing_in_common) {
  Result<NetNamespacePair> one = NetNamespacePair::create();
  Result<NetNamespacePair> two = NetNamespacePair::create();
  ASSERT_TRUE(one) << one.error().message();
  ASSERT_TRUE(two) << two.error().message();
  EXPECT_NE(one->near().interface_name, two->near().interface_name);
  EXPECT_NE(one->near().address, two->near().address);
  EXPECT_NE(one->namespace_name(), two->namespace_name());
}

TEST_F(NetNamespaces, what_a_killed_test_left_is_removed_by_the_next) {
  // A child makes a pair and is killed with it.
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    Result<NetNamespacePair> pair = NetNamespacePair::create();
    const char answer = pair ? '+' : '-';
    static_cast<void>(::write(ends[1], &answer, 1));
    ::pause();
    ::_exit(0);
  }
  char answer = 0;
  ASSERT_EQ(::read(ends[0], &answer, 1), 1);
  EXPECT_EQ(answer, '+');
  ::kill(child, SIGKILL);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ::close(ends[0]);
  ::close(ends[1]);

  Result<NetNamespacePair> pair = NetNamespacePair::create();
  ASSERT_TRUE(pair) << pair.error().message();
  EXPECT_EQ(pair->run_in_namespace({"ping", "-c", "1", "-W", "5", pair->near().address}).exit_code,
            0);
}

TEST_F(NetNamespaces, a_spawned_program_runs_at_the_far_end_and_ends_with_its_owner) {
  Result<NetNamespacePair> pair = NetNamespacePair::create();
  ASSERT_TRUE(pair) << pair.error().message();
  pid_t pid = -1;
  {
    Result<ChildProcess> child = pair->spawn_in_namespace(
        {"sh", "-c", "ip -o link show " + pair->peer().interface_name + "; exec sleep 600"});
    ASSERT_TRUE(child) << child.error().message();
    EXPECT_TRUE(child->wait_for_output(pair->peer().interface_name)) << child->output();
    pid = child->pid();
    EXPECT_EQ(::kill(pid, 0), 0);
  }
  EXPECT_NE(::kill(pid, 0), 0);
  EXPECT_EQ(pair->run_in_namespace({"sh", "-c", "exit 3"}).exit_code, 3);
  EXPECT_EQ(pair->run_in_namespace({"no-such-program"}).exit_code, 127);
}

}  // namespace
}  // namespace strictsend::test
