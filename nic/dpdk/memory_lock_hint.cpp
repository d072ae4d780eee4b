// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <exception>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>

#include "nic/dpdk/pci_hint.hpp"

namespace strictsend::nic::dpdk {
namespace {

/// What stands behind `name` in a file of lines such as /proc/self/status and /proc/self/limits.
std::optional<std::string> word_after(const std::filesystem::path& file, const std::string& name) {
  std::ifstream lines(file);
  std::string line;
  while (std::getline(lines, line)) {
    if (!line.starts_with(name)) continue;
    std::istringstream words(line.substr(name.size()));
    std::string word;
    if (words >> word) return word;
  }
  return std::nullopt;
}

std::uint64_t number(const std::optional<std::string>& word, int base) {
  if (!word) return 0;
  try {
    return std::stoull(*word, nullptr, base);
  } catch (const std::exception&) {
    return 0;
  }
}

/// vfio charges what it maps to the process, and asks for the capability, not for root
/// (vfio_lock_acct).
bool may_lock_all(const std::filesystem::path& status) {
  constexpr unsigned cap_ipc_lock = 14;
  return (number(word_after(status, "CapEff:"), 16) >> cap_ipc_lock & 1) != 0;
}

std::string in_mebibytes(std::uint64_t bytes) {
  return std::to_string((bytes + (1 << 20) - 1) >> 20) + " MiB";
}

}  // namespace

std::string memory_lock_hint(const HostView& host, std::uint64_t bytes, bool refused) {
  const std::filesystem::path self = host.root / "proc/self";
  const std::optional<std::string> limit_word = word_after(self / "limits", "Max locked memory");
  if (!limit_word || *limit_word == "unlimited" || may_lock_all(self / "status")) return {};
  const std::uint64_t limit = number(limit_word, 10);
  const std::uint64_t locked = number(word_after(self / "status", "VmLck:"), 10) << 10;
  if (!refused && locked + bytes <= limit) return {};
  const std::string has =
      locked > 0 ? " besides " + in_mebibytes(locked) + " locked already (DPDK's own counts too)"
                 : " besides DPDK's own";
  return "RLIMIT_MEMLOCK is " + in_mebibytes(limit) + ", and the NIC needs " + in_mebibytes(bytes) +
         " locked" + has +
         ": ulimit -l unlimited (in a systemd unit LimitMEMLOCK=infinity), or give the process "
         "CAP_IPC_LOCK";
}

}  // namespace strictsend::nic::dpdk
