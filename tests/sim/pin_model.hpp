// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace strictsend::pagecache {

/// How the modelled senders and allocator err.
enum class ModelError : std::uint8_t {
  none,
  pin_after_check,
  no_revalidation,
  frame_reused_while_pinned,
  mark_omitted,
};

struct ModelResult {
  std::string violation;  ///< the first found, with the way there; empty: none in any interleaving
  std::uint64_t states = 0;
  std::uint64_t finished_states = 0;  ///< where everybody came to the end
};

/// Every interleaving of two senders (each pins one page of its snapshot twice, and lets its
/// acknowledgement overtake the second descriptor) with one writer-and-guard that freezes, writes,
/// brings home and collects, over sequentially consistent single steps. The preserve decision is
/// the real one (preserve_step.hpp).
ModelResult explore_pin_model(ModelError error);

}  // namespace strictsend::pagecache
