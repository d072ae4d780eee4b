// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "nic/port.hpp"

namespace strictsend::nic::dpdk {

/// What a port shows under /strictsend/ of DPDK's telemetry. Called on the telemetry thread.
class TelemetrySource {
 public:
  [[nodiscard]] virtual const std::string& telemetry_name() const = 0;
  [[nodiscard]] virtual std::vector<Statistic> telemetry_port() const = 0;
  [[nodiscard]] virtual std::vector<Statistic> telemetry_device() const = 0;
  [[nodiscard]] virtual std::size_t telemetry_queues() const = 0;
  [[nodiscard]] virtual std::vector<Statistic> telemetry_queue(std::size_t index) const = 0;
  [[nodiscard]] virtual std::vector<Statistic> telemetry_engine() const = 0;

 protected:
  ~TelemetrySource() = default;
};

/// The commands, with the port's name as parameter (and without one, of the only port):
///
///     /strictsend/list              the names of the ports
///     /strictsend/port,NAME         what it was configured to be
///     /strictsend/queue,NAME,N      counters of one queue
///     /strictsend/device,NAME       the device's extended statistics
///     /strictsend/engine,NAME       counters of the engine behind it
///
/// Usable with dpdk-telemetry.py. Once `hide_telemetry` has returned, no call is in the source.
void show_telemetry(const TelemetrySource& source);
void hide_telemetry(const TelemetrySource& source);

}  // namespace strictsend::nic::dpdk
