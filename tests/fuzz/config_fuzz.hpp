// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>

namespace strictsend::test {

/// Reads the bytes as a configuration file of `serve`. Ends the process if a complaint does not
/// name the file and the line, or is longer than one line, or if what a file says is not what is
/// left when it is written again. Returns whether it was a good one that says something.
bool fuzz_config(std::span<const std::byte> bytes);

}  // namespace strictsend::test
