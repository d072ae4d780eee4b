// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "apps/demo/private_network.hpp"
#include "apps/strictness/checker/check.hpp"
#include "apps/support/event_sources.hpp"
#include <strictsend/engine.hpp>

namespace strictsend::demo {

struct ExperimentConfig {
  std::string directory;  ///< for the file and the downloads; exists
  std::uint64_t file_bytes = std::uint64_t{256} << 20;
  TxForm form = TxForm::fragments;
  Protection protection = Protection::on;
  std::uint32_t writers = 2;
  unsigned parallel_downloads = 4;
  unsigned rounds = 2;
  /// Called when the downloads of a round, from 1 on, are under way.
  std::function<void(unsigned round)> on_round;
};

/// What one experiment found out.
struct Findings {
  std::string engine;  ///< its description
  EngineStats stats;   ///< closing balance
  double seconds = 0;  ///< of downloading
  std::uint64_t downloaded_bytes = 0;
  std::uint64_t writes = 0;
  std::int64_t longest_stall_ns = 0;  ///< of any writer, over 16 writes
  std::vector<checker::Verdict> verdicts;

  [[nodiscard]] std::size_t torn() const;
};

/// Serves a file over AF_XDP, downloads it with several curls at once while writers rewrite it
/// through its mapping as fast as they can, and has the checker judge every download. The writers
/// share no lock, flag or pause with the engine. Everything it makes in `directory` is removed.
/// Ends early with ECANCELED when a signal comes, which is left for the caller to take.
Result<Findings> run_experiment(const ExperimentConfig& config, const PrivateNetwork& network,
                                const app::StopSignals& signals);

}  // namespace strictsend::demo
