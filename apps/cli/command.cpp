// SPDX-License-Identifier: Apache-2.0
#include "apps/cli/command.hpp"

#include <algorithm>
#include <cstdio>

#include <fmt/format.h>

#include "apps/cli/exit_code.hpp"

namespace strictsend::cli {
namespace {

void print_help(std::span<const Command> commands) {
  fmt::print(
      "NAME\n"
      "    strictsend - send files that are being written, without copying or locking them\n"
      "\n"
      "SYNOPSIS\n"
      "    strictsend COMMAND [OPTION]...\n"
      "    strictsend COMMAND --help\n"
      "    strictsend --help | --version\n"
      "\n"
      "DESCRIPTION\n"
      "    Files are kept in a page cache of strictsend's own, whose pages go to a NIC queue as\n"
      "    they are. A page that is written while it is on its way is copied on that write, so\n"
      "    what arrives is the file as it was when its sending was submitted: first transmission\n"
      "    or tenth retransmission.\n"
      "\n"
      "COMMANDS\n");
  for (const Command& command : commands)
    fmt::print("    {:<13}{}\n", command.name, command.summary);
  fmt::print(
      "\n"
      "EXIT STATUS\n"
      "    0  it worked\n"
      "    1  it was understood and failed; standard error says why and what helps\n"
      "    2  the command line was wrong; nothing was done\n");
}

}  // namespace

std::string_view version() {
  return STRICTSEND_VERSION;
}

int dispatch(std::span<const Command> commands, std::span<const std::string> arguments) {
  if (arguments.empty()) {
    fmt::print(stderr, "strictsend: no command given; strictsend --help lists them\n");
    return exit_usage;
  }
  const std::string& name = arguments.front();
  if (name == "--help" || name == "-h" || name == "help") {
    print_help(commands);
    return exit_ok;
  }
  if (name == "--version") {
    fmt::print("strictsend {}\n", version());
    return exit_ok;
  }
  const auto command = std::find_if(commands.begin(), commands.end(),
                                    [&](const Command& c) { return c.name == name; });
  if (command == commands.end()) {
    fmt::print(stderr, "strictsend: \"{}\" is not a command; strictsend --help lists them\n", name);
    return exit_usage;
  }
  return command->run(arguments.subspan(1));
}

int usage_error(std::string_view command, std::string_view sentence) {
  fmt::print(stderr, "strictsend {}: {} (strictsend {} --help explains the options)\n", command,
             sentence, command);
  return exit_usage;
}

}  // namespace strictsend::cli
