// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "apps/cli/command.hpp"
#include "apps/cli/exit_code.hpp"
#include "apps/conformance/conformance_command.hpp"
#include "apps/demo/demo_command.hpp"
#include "apps/doctor/doctor_command.hpp"
#include "apps/serve/serve_command.hpp"
#include "apps/top/top_command.hpp"

int main(int argc, char** argv) {
  constexpr strictsend::cli::Command commands[] = {
      {"serve", "serve a directory over HTTP/1.1", strictsend::serve::run_serve},
      {"top", "watch a running server", strictsend::top::run_top},
      {"conformance", "prove on a NIC, between two machines, that downloads are strict",
       strictsend::conformance::run_conformance},
      {"doctor", "say what this machine offers, what it lacks, and what mends it",
       strictsend::doctor::run_doctor},
      {"demo", "show on this machine that downloads are strict", strictsend::demo::run_demo},
  };
  try {
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    return strictsend::cli::dispatch(commands, arguments);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "strictsend: %s\n", error.what());
    return strictsend::cli::exit_failed;
  }
}
