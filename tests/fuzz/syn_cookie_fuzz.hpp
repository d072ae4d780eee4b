// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>

namespace strictsend::test {

/// Answers the SYN that the input describes with a cookie, and takes an acknowledgement of it that
/// the input may have forged, aged or sent from elsewhere. Ends the process if more comes back than
/// was asked for, if a good one is refused or a bad one taken, or if a connection cannot go on from
/// it. Returns whether the acknowledgement was taken.
bool fuzz_syn_cookie(std::span<const std::byte> bytes);

}  // namespace strictsend::test
