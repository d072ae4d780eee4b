// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>

namespace strictsend::test {

/// Reads one input as what `strictsend top` gets from a statistics socket, or as what comes to the
/// metrics' port, as its first byte says. Ends the process if a promise is broken: what reads
/// differently after it was written again, a view that does not fit its terminal or has control
/// characters, a refusal without a sentence, an answer that is none, one that depends on how the
/// bytes came. Returns whether the input was accepted.
bool fuzz_statistics(std::span<const std::byte> input);

}  // namespace strictsend::test
