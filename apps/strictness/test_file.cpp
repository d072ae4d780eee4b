// SPDX-License-Identifier: Apache-2.0
#include "apps/strictness/test_file.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <fstream>
#include <vector>

#include "apps/strictness/checker/layout.hpp"
#include "apps/strictness/interruption.hpp"

namespace strictsend::strictness {

Result<void> write_test_file(const std::string& path, std::uint64_t bytes,
                             const app::StopSignals& signals) {
  std::vector<std::byte> piece(1 << 20);
  errno = 0;
  std::ofstream out(path, std::ios::binary);
  for (std::uint64_t at = 0; at < bytes && out; at += piece.size()) {
    if (Result<void> go_on = unless_stopped(signals); !go_on) return go_on;
    checker::Layout::fill_initial(piece, at / 8);
    out.write(reinterpret_cast<const char*>(piece.data()),
              static_cast<std::streamsize>(std::min<std::uint64_t>(piece.size(), bytes - at)));
  }
  if (!out.flush()) {
    return fail("writing " + path, errno, "name a directory with room: --directory");
  }
  return {};
}

}  // namespace strictsend::strictness
