// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "apps/serve/statistics/table.hpp"

namespace strictsend::statistics {
namespace {

using serve::ServerCounters;

template <class Stats>
Family family_of(const Row<Stats>& row) {
  return {row.section, row.name, row.kind, row.unit, row.help, {}};
}

template <class Stats>
void add(std::vector<Family>& all, std::span<const Row<Stats>> rows, const Stats& stats) {
  for (const Row<Stats>& row : rows) {
    all.push_back(family_of(row));
    all.back().samples = {{{}, stats.*row.value}};
  }
}

Family responses(const ServerCounters& counters) {
  Family family{"http",
                "responses",
                Kind::counter,
                Unit::number,
                "Responses that went out whole, by method and class of status.",
                {}};
  for (std::size_t method = 0; method < serve::counted_methods.size(); ++method) {
    for (std::size_t status = 0; status < serve::counted_classes.size(); ++status)
      family.samples.push_back({{{"method", std::string(serve::counted_methods.at(method))},
                                 {"status", std::string(serve::counted_classes.at(status))}},
                                counters.responses.at(method).at(status)});
  }
  return family;
}

Family refusals(const ServerCounters& counters) {
  Family family{"http",
                "refusals",
                Kind::counter,
                Unit::number,
                "Responses with an error that went out whole, by status.",
                {}};
  for (std::size_t i = 0; i < serve::counted_refusals.size(); ++i) {
    const int status = serve::counted_refusals.at(i);
    family.samples.push_back(
        {{{"status", status == 0 ? "other" : fmt::format("{}", status)}}, counters.refusals.at(i)});
  }
  return family;
}

}  // namespace

std::vector<Family> families(const ServerStatus& status) {
  std::vector<Family> all;
  add(all, process_rows(), status.process);
  add(all, engine_rows(), status.engine);
  add(all, server_rows(), status.server);
  all.push_back(responses(status.server));
  all.push_back(refusals(status.server));
  for (const Row<QueueStats>& row : queue_rows()) {
    Family family = family_of(row);
    for (std::size_t i = 0; i < status.queues.size(); ++i)
      family.samples.push_back({{{"queue", fmt::format("{}", i)}}, status.queues[i].*row.value});
    all.push_back(std::move(family));
  }
  return all;
}

std::vector<std::pair<std::string_view, Fact>> facts(const PortFacts& port) {
  const auto number = [](std::uint32_t value) { return Fact(std::uint64_t{value}); };
  return {{"spec", Fact(port.spec)},
          {"driver", Fact(port.driver)},
          {"form", Fact(std::string(port.form == TxForm::fragments ? "fragments" : "linear"))},
          {"mtu_bytes", number(port.mtu_bytes)},
          {"queues", number(port.queues)},
          {"max_fragments", number(port.max_fragments)},
          {"fragments_possible", Fact(port.fragments_possible)},
          {"checksum_offload", Fact(port.checksum_offload)},
          {"segmented_bytes_max", number(port.segmented_bytes_max)},
          {"copies_payload", Fact(port.copies_payload)},
          {"late_completion", Fact(port.late_completion)},
          {"owns_interface", Fact(port.owns_interface)}};
}

}  // namespace strictsend::statistics
