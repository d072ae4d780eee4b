// SPDX-License-Identifier: Apache-2.0
// Goodput over loss, delay, reordering and shared bottlenecks, held against the snapshot of the
// last change that was meant to change it.
#include "tests/sim/goodput_matrix.hpp"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <vector>

#include <gtest/gtest.h>

namespace strictsend::tcp {
namespace {

std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);)
    lines.push_back(line);
  return lines;
}

/// Line by line: the matrix has a fixed number of them.
std::string difference(const std::string& before, const std::string& now) {
  const std::vector<std::string> old_lines = lines_of(before);
  const std::vector<std::string> new_lines = lines_of(now);
  std::string text;
  for (std::size_t i = 0; i < std::max(old_lines.size(), new_lines.size()); ++i) {
    const std::string* old_line = i < old_lines.size() ? &old_lines[i] : nullptr;
    const std::string* new_line = i < new_lines.size() ? &new_lines[i] : nullptr;
    if (old_line != nullptr && new_line != nullptr && *old_line == *new_line) continue;
    if (old_line != nullptr) text += "- " + *old_line + "\n";
    if (new_line != nullptr) text += "+ " + *new_line + "\n";
  }
  return text;
}

TEST(GoodputMatrix, is_as_in_the_snapshot) {
  std::ifstream file(GOODPUT_SNAPSHOT);
  ASSERT_TRUE(file) << "no " GOODPUT_SNAPSHOT "; make it: ./dev snapshot";
  std::stringstream snapshot;
  snapshot << file.rdbuf();
  const std::string changed = difference(snapshot.str(), goodput_matrix());
  EXPECT_TRUE(changed.empty()) << changed
                               << "if that is meant, make the snapshot anew: ./dev snapshot";
}

TEST(GoodputMatrix, the_same_cell_gives_the_same_again) {
  const GoodputCell cell{
      .loss_ppm = 10'000, .rtt = milliseconds(10), .reordering = true, .flows = 3};
  const GoodputResult first = measure_goodput(cell);
  EXPECT_EQ(first.failure, "");
  EXPECT_GT(first.retransmitted_bytes, 0U);
  EXPECT_EQ(measure_goodput(cell), first);
}

}  // namespace
}  // namespace strictsend::tcp
