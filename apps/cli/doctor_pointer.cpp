// SPDX-License-Identifier: Apache-2.0
#include "apps/cli/doctor_pointer.hpp"

#include <string_view>

#include <fmt/format.h>

namespace strictsend::cli {
namespace {

/// As a shell takes it for one word.
std::string quoted(const std::string& word) {
  constexpr std::string_view plain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+,.:/@%";
  if (!word.empty() && word.find_first_not_of(plain) == std::string::npos) return word;
  std::string text = "'";
  for (const char c : word)
    text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

}  // namespace

std::string doctor_pointer(const EngineConfig& config) {
  const EngineConfig usual;
  std::string command = "strictsend doctor";
  if (!config.nic.empty()) command += " --nic " + quoted(config.nic);
  // Without these the answer could be another one.
  if (config.cache_bytes != usual.cache_bytes)
    command += fmt::format(" --cache {}", config.cache_bytes);
  if (config.queues != usual.queues) command += fmt::format(" --queues {}", config.queues);
  if (config.address)
    command += " --address " + to_string(*config.address);
  else if (config.address6)
    command += " --address " + to_string(*config.address6);
  if (config.vlan_id) command += fmt::format(" --vlan {}", *config.vlan_id);
  if (!config.nic_arguments.empty()) command += " --";
  for (const std::string& argument : config.nic_arguments)
    command += " " + quoted(argument);
  return fmt::format("run `{}` to see what this machine lacks", command);
}

}  // namespace strictsend::cli
