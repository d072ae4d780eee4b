// SPDX-License-Identifier: Apache-2.0
// `strictsend conformance` on an engine with one guard step switched off, which its receiver has to
// find: STRICTSEND_MUTATION names the step. Tests only.
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "apps/conformance/conformance_command.hpp"
#include "base/mutation.hpp"

int main(int argc, char** argv) {
  using strictsend::Mutation;
  using strictsend::MutationControl;
  constexpr std::array<std::pair<std::string_view, Mutation>, 3> mutations{{
      {"no_protect", Mutation::no_protect},
      {"unpin_at_transmit", Mutation::unpin_at_transmit},
      {"pin_after_doorbell", Mutation::pin_after_doorbell},
  }};
  const char* wanted = std::getenv("STRICTSEND_MUTATION");
  const auto* const found = std::find_if(mutations.begin(), mutations.end(), [&](const auto& each) {
    return wanted != nullptr && each.first == wanted;
  });
  if (found == mutations.end()) {
    std::fprintf(stderr, "conformance_mutant: STRICTSEND_MUTATION names no mutation\n");
    return 2;
  }
  MutationControl::active = found->second;
  MutationControl::yield_one_in = 1;
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  return strictsend::conformance::run_conformance(arguments);
}
