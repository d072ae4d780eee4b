// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>

namespace strictsend::test {

/// Reads one input as what one end of `strictsend conformance` gets from the other: a plan, submit
/// times, a write log or a verdict, as its first byte says. Ends the process if the parser breaks a
/// promise: something outside the limits that is accepted, what reads differently after it was
/// written again, a refusal without a sentence, text that a terminal must not be shown. An accepted
/// log is asked about instants. Returns whether the input was accepted.
bool fuzz_conformance(std::span<const std::byte> input);

}  // namespace strictsend::test
