// SPDX-License-Identifier: Apache-2.0
#include "apps/conformance/resources.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <unistd.h>

#include <fmt/format.h>

#include "apps/cli/values.hpp"

namespace strictsend::conformance {
namespace {

std::string size(std::uint64_t bytes) {
  return cli::format_size(static_cast<double>(bytes));
}

}  // namespace

Result<void> check_resources(const Plan& plan, const std::string& directory) {
  // Within the messages' limits neither product overflows.
  const std::uint64_t downloads_bytes = plan.layout.file_bytes * plan.downloads;
  std::error_code error;
  const std::filesystem::space_info room = std::filesystem::space(directory, error);
  if (error) return fail("looking for room in " + directory, error.value());
  if (room.available < downloads_bytes)
    return fail("making room for the downloads", ENOSPC,
                fmt::format("the sender plans {} downloads of {}, and there is room for {} here: "
                            "name another directory with --directory, or take a smaller --size or "
                            "fewer --downloads there",
                            plan.downloads, size(plan.layout.file_bytes), size(room.available)));
  // Two threads replay a writer each, into as much memory as that writer's words take.
  const std::uint64_t replay_bytes = plan.layout.file_bytes / plan.layout.writers *
                                     std::min<std::uint64_t>(plan.layout.writers, 2);
  const auto memory_bytes = static_cast<std::uint64_t>(std::max(::sysconf(_SC_PHYS_PAGES), 0L)) *
                            static_cast<std::uint64_t>(std::max(::sysconf(_SC_PAGESIZE), 0L));
  if (replay_bytes > memory_bytes / 2)
    return fail("making room for the check", ENOMEM,
                fmt::format("it takes {}, and this host has {} in all: take a smaller --size or "
                            "more --writers at the sender",
                            size(replay_bytes), size(memory_bytes)));
  return {};
}

}  // namespace strictsend::conformance
