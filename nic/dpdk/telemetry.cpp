// SPDX-License-Identifier: Apache-2.0
#include "nic/dpdk/telemetry.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <mutex>
#include <rte_telemetry.h>
#include <string_view>

#include <spdlog/spdlog.h>

namespace strictsend::nic::dpdk {
namespace {

/// DPDK's list of commands only grows, so the commands are there once, and look up who is alive.
struct Registry {
  std::mutex mutex;
  std::vector<const TelemetrySource*> sources;
  bool commands_known = false;
};

Registry& registry() {
  static auto* const registry = new Registry;  // the telemetry thread outlives main
  return *registry;
}

struct Parameters {
  std::string_view name;
  std::string_view rest;
};

Parameters split(const char* text) {
  const std::string_view all = text != nullptr ? text : "";
  const std::size_t comma = all.find(',');
  if (comma == std::string_view::npos) return {all, {}};
  return {all.substr(0, comma), all.substr(comma + 1)};
}

/// The named source, or the only one there is.
const TelemetrySource* find(const Registry& known, std::string_view name) {
  if (name.empty()) return known.sources.size() == 1 ? known.sources.front() : nullptr;
  const auto found = std::find_if(known.sources.begin(), known.sources.end(),
                                  [&](auto* source) { return source->telemetry_name() == name; });
  return found != known.sources.end() ? *found : nullptr;
}

/// Names in a dictionary may have letters, digits, '_' and '/' only.
std::string key_of(std::string name) {
  std::replace_if(
      name.begin(), name.end(),
      [](unsigned char c) { return std::isalnum(c) == 0 && c != '_' && c != '/'; }, '_');
  return name;
}

int fill(rte_tel_data* data, const std::vector<Statistic>& statistics) {
  rte_tel_data_start_dict(data);
  for (const Statistic& statistic : statistics) {
    if (rte_tel_data_add_dict_u64(data, key_of(statistic.name).c_str(), statistic.value) != 0)
      break;
  }
  return 0;
}

int list(const char*, const char*, rte_tel_data* data) {
  Registry& known = registry();
  const std::lock_guard lock(known.mutex);
  rte_tel_data_start_array(data, RTE_TEL_STRING_VAL);
  for (const TelemetrySource* source : known.sources)
    rte_tel_data_add_array_string(data, source->telemetry_name().c_str());
  return 0;
}

template <std::vector<Statistic> (TelemetrySource::*statistics)() const>
int show(const char*, const char* parameters, rte_tel_data* data) {
  Registry& known = registry();
  const std::lock_guard lock(known.mutex);
  const TelemetrySource* source = find(known, split(parameters).name);
  return source == nullptr ? -ENODEV : fill(data, (source->*statistics)());
}

int show_queue(const char*, const char* parameters, rte_tel_data* data) {
  Registry& known = registry();
  const std::lock_guard lock(known.mutex);
  Parameters given = split(parameters);
  if (given.rest.empty() && known.sources.size() == 1) given = {{}, given.name};
  const TelemetrySource* source = find(known, given.name);
  if (source == nullptr) return -ENODEV;
  std::size_t index = 0;
  const char* end = given.rest.data() + given.rest.size();
  const auto [stopped, error] = std::from_chars(given.rest.data(), end, index);
  if (error != std::errc{} || stopped != end || index >= source->telemetry_queues()) return -EINVAL;
  return fill(data, source->telemetry_queue(index));
}

void make_commands_known() {
  struct Command {
    const char* name;
    telemetry_cb function;
    const char* help;
  };
  constexpr Command commands[] = {
      {"/strictsend/list", &list, "Names of strictsend's ports. No parameters."},
      {"/strictsend/port", &show<&TelemetrySource::telemetry_port>,
       "What a port is configured to be. Parameters: name"},
      {"/strictsend/queue", &show_queue, "Counters of one queue. Parameters: name,queue"},
      {"/strictsend/device", &show<&TelemetrySource::telemetry_device>,
       "The device's extended statistics. Parameters: name"},
      {"/strictsend/engine", &show<&TelemetrySource::telemetry_engine>,
       "Counters of the engine on a port. Parameters: name"},
  };
  for (const Command& command : commands) {
    if (rte_telemetry_register_cmd(command.name, command.function, command.help) != 0)
      spdlog::warn("DPDK telemetry has no room for {}", command.name);
  }
}

}  // namespace

void show_telemetry(const TelemetrySource& source) {
  Registry& known = registry();
  bool first = false;
  {
    const std::lock_guard lock(known.mutex);
    known.sources.push_back(&source);
    first = !std::exchange(known.commands_known, true);
  }
  // Not under our lock: DPDK holds its own while it calls.
  if (first) make_commands_known();
}

void hide_telemetry(const TelemetrySource& source) {
  Registry& known = registry();
  const std::lock_guard lock(known.mutex);
  std::erase(known.sources, &source);
}

}  // namespace strictsend::nic::dpdk
