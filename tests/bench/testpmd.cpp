// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/testpmd.hpp"

#include <cerrno>
#include <regex>

#include "tests/support/process.hpp"

namespace strictsend::bench {

Result<TestpmdRun> run_testpmd(const std::string& segment_lengths, int seconds) {
  // It ends when it reads a line. Before that the shell looks at the forwarding thread's processor
  // time (fields 14 and 15 of its stat, in ticks).
  const std::string script =
      "set -e; d=$(mktemp -d); trap 'rm -rf $d' EXIT; mkfifo $d/in\n"
      "dpdk-testpmd --no-huge --no-pci -m 256 --no-telemetry --file-prefix=ss$$ -l 0,1 "
      "--vdev=net_null0,no-rx=1 -- --forward-mode=txonly --txpkts=" +
      segment_lengths +
      " --nb-cores=1 --total-num-mbufs=8192 --no-flush-rx <$d/in >$d/out 2>&1 &\n"
      "p=$!; exec 3>$d/in\n"
      "for i in $(seq 100); do grep -q 'Press enter\\|txonly packet forwarding - ' $d/out && break; sleep 0.1; done\n"
      "t=$(grep -lE 'worker|slave' /proc/$p/task/*/comm | head -n 1); t=${t%/comm}\n"
      "sleep " +
      std::to_string(seconds) +
      "\n"
      "awk -v hz=$(getconf CLK_TCK) '{print \"cpu_s\", ($14+$15)/hz}' $t/stat\n"
      "echo >&3; wait $p || true; cat $d/out\n";
  const test::CommandResult run =
      test::run_command({"sh", "-c", script}, -1, strictsend::seconds(seconds + 60));
  std::smatch cpu;
  std::smatch packets;
  if (!std::regex_search(run.output, cpu, std::regex("cpu_s ([0-9.]+)")) ||
      !std::regex_search(run.output, packets, std::regex("TX-packets: ([0-9]+)"))) {
    return fail("dpdk-testpmd", EIO, run.output.substr(0, 2000));
  }
  TestpmdRun result;
  result.packets = std::stoull(packets[1]);
  result.cpu_ns_per_packet = std::stod(cpu[1]) * 1e9 / static_cast<double>(result.packets);
  return result;
}

}  // namespace strictsend::bench
