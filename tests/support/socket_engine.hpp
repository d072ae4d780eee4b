// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include <strictsend/engine.hpp>

/// A stand-in for the engine behind the same installed headers: connections are the kernel's, on
/// loopback, and files are strings. Link it *instead of* libstrictsend, to test what is built on
/// the engine where there is no NIC, under sanitizers, and with faults on demand.
///
/// `listen` ignores its port and takes a free one. The functions below are about the one engine
/// that is open; opening another resets them.
namespace strictsend::test::socket_engine {

[[nodiscard]] std::uint16_t port();

/// The next `count` submits fail with EAGAIN and lose their snapshots.
void refuse_submits(int count);
/// How many have.
[[nodiscard]] int submits_refused();
/// Loads of files whose bytes begin with "slow" wait while this is on.
void hold_slow_loads(bool hold);
/// How many files have been loaded, new versions included.
[[nodiscard]] int loads();
/// How many loads wait because of hold_slow_loads.
[[nodiscard]] int loads_held();
/// The engine's device is gone.
void lose_device();
/// Snapshots that exist; 0 when everything balances.
[[nodiscard]] int snapshots();

}  // namespace strictsend::test::socket_engine
