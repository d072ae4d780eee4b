// SPDX-License-Identifier: Apache-2.0
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/fuzz/config_fuzz.hpp"
#include "tests/fuzz/smoke.hpp"

namespace strictsend::test {
namespace {

bool play(const std::string& text) {
  return fuzz_config(std::as_bytes(std::span(text)));
}

TEST(ConfigFuzz, pieces_of_files_break_no_promise) {
  const std::vector<std::string> pieces{"nic",
                                        "root",
                                        "port",
                                        "listing",
                                        "eal-arguments",
                                        "config",
                                        " = ",
                                        "=",
                                        "==",
                                        "\n",
                                        "\n",
                                        "\r\n",
                                        "#",
                                        "[",
                                        "]",
                                        "\"",
                                        "'",
                                        "\\",
                                        " ",
                                        "\t",
                                        "yes",
                                        "80",
                                        "/srv",
                                        "-l 0",
                                        "'a b'",
                                        "*",
                                        "--",
                                        "help",
                                        "\0",
                                        "\xEF\xBB\xBF",
                                        "nic=x\n",
                                        "port = 8080 # http\n",
                                        "root=/srv\n",
                                        "eal-arguments = \"a\\\"b\" c\n",
                                        "vlan=\n"};
  std::mt19937 random(1);
  std::size_t good = 0;
  constexpr int rounds = 20'000;
  for (int round = 0; round < rounds; ++round) {
    std::string text;
    for (auto count = random() % 12; count > 0; --count)
      text += pieces[random() % pieces.size()];
    if (play(text)) ++good;
  }
  EXPECT_GT(good, 100U);
  EXPECT_LT(good, rounds / 2U);
}

TEST(ConfigFuzz, noise_breaks_no_promise) {
  run_generated(3'000, 200, [](const auto& bytes) { fuzz_config(bytes); });
}

TEST(ConfigFuzz, a_good_file_says_something) {
  EXPECT_TRUE(play("nic = af_xdp:eth0\nroot = /srv\nlisting = yes # all\n"));
}

}  // namespace
}  // namespace strictsend::test
