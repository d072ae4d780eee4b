// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace strictsend::test {

// Frames that a Linux 6.18 kernel sent over a veth pair from 10.77.0.2 (02:00:00:00:00:02) to
// 10.77.0.1 (02:00:00:00:00:01), captured at the receiver; tx checksum offload off, so that the
// kernel computed the checksums itself …
inline constexpr std::string_view captured_syn =
    "02000000000102000000000208004500003cdce140004006493e0a4d00020a4d0001"
    "d9901f903e5f5e7000000000a002faf0e1f30000020405b40402080a6c645427000000000103030a";
inline constexpr std::string_view captured_request =
    "020000000001020000000002080045000042dce34000400649360a4d00020a4d0001"
    "d9901f903e5f5e716d48a51d8018003f951700000101080a6c645427c873d6d0"
    "474554202f20485454502f312e31";
inline constexpr std::string_view captured_fin =
    "020000000001020000000002080045000034dce54000400649420a4d00020a4d0001"
    "d9901f903e5f5e7f6d48a5208011003f59a600000101080a6c645428c873d6d1";
inline constexpr std::string_view captured_datagram =
    "0200000000010200000000020800450000241ff340004011063a0a4d00020a4d0001"
    "d822000900107163646174616772616d";

// … and with offload on, so that they hold the pseudo-header's sum (CHECKSUM_PARTIAL).
inline constexpr std::string_view captured_partial_syn =
    "02000000000102000000000208004500003c23a140004006027f0a4d00020a4d0001"
    "d9941f908140b0fc00000000a002faf014cb0000020405b40402080a5d32aff7000000000103030a";
inline constexpr std::string_view captured_partial_request =
    "02000000000102000000000208004500004223a34000400602770a4d00020a4d0001"
    "d9941f908140b0fdda5907518018003f14d100000101080a5d32affca4fc5bb8"
    "474554202f20485454502f312e31";
inline constexpr std::string_view captured_partial_datagram =
    "020000000001020000000002080045000024d01b4000401156110a4d00020a4d0001"
    "d2380009001014be646174616772616d";

}  // namespace strictsend::test
