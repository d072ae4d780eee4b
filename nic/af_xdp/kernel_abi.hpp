// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/if_xdp.h>

#include <cstdint>

/// What newer kernels' include/uapi/linux/if_xdp.h and netdev.h define and Debian 12's headers
/// (Linux 6.1) do not. Kernel interfaces are stable, so the values are facts; each says since when.
/// Named apart from the kernel's macros, so that newer headers do not collide.
namespace strictsend::nic::af_xdp::abi {

/// sxdp_flags: packets of several descriptors (Linux 6.6, XDP_USE_SG).
inline constexpr std::uint16_t bind_multi_buffer = 1U << 4;
/// xdp_desc.options: the packet goes on in the next descriptor (6.6, XDP_PKT_CONTD).
inline constexpr std::uint32_t descriptor_continued = 1U << 0;
/// xdp_desc.options: a TxMetadata lies directly before addr (6.8, XDP_TX_METADATA).
inline constexpr std::uint32_t descriptor_has_metadata = 1U << 1;
/// xdp_umem_reg.flags: tx_metadata_len is meant (6.8, XDP_UMEM_TX_METADATA_LEN). Before, an unknown
/// flag: EINVAL.
inline constexpr std::uint32_t umem_tx_metadata = 1U << 2;
/// setsockopt: descriptors that one sendto may send in copy mode, 32 unless set (6.17,
/// XDP_MAX_TX_SKB_BUDGET). Before: ENOPROTOOPT.
inline constexpr int option_max_tx_budget = 9;

/// xsk_tx_metadata.flags: fill in the checksum (6.8, XDP_TXMD_FLAGS_CHECKSUM).
inline constexpr std::uint64_t metadata_checksum = 1U << 1;

/// struct xdp_umem_reg with the member that 6.8 put into its padding.
struct UmemRegistration {
  std::uint64_t addr = 0;
  std::uint64_t len = 0;
  std::uint32_t chunk_size = 0;
  std::uint32_t headroom = 0;
  std::uint32_t flags = 0;
  std::uint32_t tx_metadata_len = 0;
};
static_assert(sizeof(UmemRegistration) == sizeof(xdp_umem_reg));

/// struct xsk_tx_metadata as 6.8 has it. Later kernels append a launch time, read only when asked.
struct TxMetadata {
  std::uint64_t flags = 0;
  std::uint16_t checksum_start = 0;   ///< from the descriptor's addr
  std::uint16_t checksum_offset = 0;  ///< from checksum_start
  std::uint32_t padding = 0;
};
static_assert(sizeof(TxMetadata) == 16);

/// The generic netlink family "netdev" (6.3), Documentation/netlink/specs/netdev.yaml.
inline constexpr char netdev_family[] = "netdev";
inline constexpr std::uint8_t netdev_cmd_dev_get = 1;
inline constexpr std::uint16_t netdev_attr_ifindex = 1;
inline constexpr std::uint16_t netdev_attr_xdp_features = 3;
inline constexpr std::uint16_t netdev_attr_zero_copy_max_segments = 4;  // 6.6
inline constexpr std::uint16_t netdev_attr_xsk_features = 6;            // 6.8
inline constexpr std::uint64_t xdp_feature_basic = 1U << 0 | 1U << 1;   // and redirect
inline constexpr std::uint64_t xdp_feature_zero_copy = 1U << 3;
inline constexpr std::uint64_t xsk_feature_tx_checksum = 1U << 1;

}  // namespace strictsend::nic::af_xdp::abi
