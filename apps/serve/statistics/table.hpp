// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "apps/serve/statistics/metric.hpp"
#include "apps/serve/statistics/server_status.hpp"

namespace strictsend::statistics {

/// A member of a struct of statistics as a metric. To add one is to add its line in rows.cpp; a
/// member without one does not compile.
template <class Stats>
struct Row {
  std::string_view section;
  std::string_view name;  ///< the member's
  Kind kind;
  Unit unit;
  std::uint64_t Stats::*value;
  std::string_view help;
};

[[nodiscard]] std::span<const Row<ProcessFacts>> process_rows();
[[nodiscard]] std::span<const Row<EngineStats>> engine_rows();
[[nodiscard]] std::span<const Row<QueueStats>> queue_rows();  ///< all in the section "queue"
[[nodiscard]] std::span<const Row<serve::ServerCounters>> server_rows();

/// Every metric with its values, in the order in which they are written.
[[nodiscard]] std::vector<Family> families(const ServerStatus& status);

/// What a port is, in words and numbers, each with its name in PortFacts.
using Fact = std::variant<std::string, std::uint64_t, bool>;
[[nodiscard]] std::vector<std::pair<std::string_view, Fact>> facts(const PortFacts& port);

}  // namespace strictsend::statistics
