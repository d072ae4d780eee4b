// SPDX-License-Identifier: Apache-2.0
#include "apps/doctor/doctor_command.hpp"

#include <iterator>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "apps/cli/command.hpp"
#include "apps/cli/exit_code.hpp"
#include "apps/doctor/dpdk_checks.hpp"
#include "apps/doctor/interface_checks.hpp"
#include "apps/doctor/machine_checks.hpp"
#include "apps/doctor/options.hpp"
#include "apps/doctor/probes.hpp"
#include "apps/doctor/report.hpp"

namespace strictsend::doctor {
namespace {

std::vector<Finding> examine(const Options& options) {
  constexpr std::string_view af_xdp = "af_xdp:";
  constexpr std::string_view dpdk = "dpdk:";
  MachineFacts machine = probe_machine(options);
  std::vector<Finding> of_nic;
  if (options.nic.starts_with(af_xdp)) {
    const InterfaceFacts facts = probe_af_xdp(options, options.nic.substr(af_xdp.size()));
    if (options.queues == 0 && facts.probe.rx_queues > 0) machine.queues = facts.probe.rx_queues;
    of_nic = check_af_xdp(facts, machine);
  } else if (options.nic.starts_with(dpdk)) {
    const DpdkFacts facts = probe_dpdk(options, options.nic.substr(dpdk.size()));
    machine.locks_memory = facts.is_pci;
    of_nic = check_dpdk(facts);
  }
  std::vector<Finding> findings = check_machine(machine);
  findings.insert(findings.end(), std::make_move_iterator(of_nic.begin()),
                  std::make_move_iterator(of_nic.end()));
  return findings;
}

}  // namespace

int run_doctor(std::span<const std::string> arguments) {
  const auto options = parse_options(arguments);
  if (!options) return cli::usage_error("doctor", options.error());
  if (options->help) {
    fmt::print("{}", doctor_help());
    return cli::exit_ok;
  }
  const std::vector<Finding> findings = examine(*options);
  fmt::print("{}", options->json ? to_json(findings) : to_text(findings));
  return stops_serve(findings) ? cli::exit_failed : cli::exit_ok;
}

}  // namespace strictsend::doctor
