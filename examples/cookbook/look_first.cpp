// SPDX-License-Identifier: Apache-2.0
//
// What a machine and an interface offer, found out before an engine is opened:
//
//     look_first INTERFACE
#include "program.hpp"
#include <strictsend/probe.hpp>

namespace {

using cookbook::give_up;
using cookbook::say;

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: look_first INTERFACE\n");
    return 2;
  }
  // cookbook: look
  if (auto loading = strictsend::probe_file_loading(); !loading) return give_up(loading.error());
  const auto protection = strictsend::probe_write_protection();
  if (!protection)
    say("no mappings, write through File: %s", protection.error().message().c_str());
  else if (!*protection)
    say("mappings, but read(2) into one fails: run with CAP_SYS_PTRACE");
  else
    say("mappings, and read(2) into them");
  const auto nic = strictsend::probe_interface(argv[1]);
  if (!nic) return give_up(nic.error());
  if (nic->held_by_pid != 0) {
    say("an engine of process %d has it", nic->held_by_pid);
    return 1;
  }
  say("driver %s, MTU %u, %u queues, native XDP: %s, zero copy: %s", nic->driver.c_str(),
      nic->mtu_bytes, nic->rx_queues,
      nic->native_xdp ? (*nic->native_xdp ? "yes" : "no") : "unknown",
      nic->zero_copy ? (*nic->zero_copy ? "yes" : "no") : "unknown");
  // cookbook: end
  return 0;
}
