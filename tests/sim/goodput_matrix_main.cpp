// SPDX-License-Identifier: Apache-2.0
// Prints the matrix, for ./dev snapshot.
#include <cstdio>

#include "tests/sim/goodput_matrix.hpp"

int main() {
  return std::fputs(strictsend::tcp::goodput_matrix().c_str(), stdout) < 0 ? 1 : 0;
}
