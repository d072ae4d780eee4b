// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apps/doctor/facts.hpp"

/// What came with which Linux.
namespace strictsend::doctor {

inline constexpr KernelVersion for_af_xdp{5, 6};
inline constexpr KernelVersion for_mappings{6, 4};   ///< UFFDIO_CONTINUE_MODE_WP
inline constexpr KernelVersion for_fragments{6, 6};  ///< AF_XDP's packets of several pieces
inline constexpr KernelVersion for_checksums{6, 8};  ///< AF_XDP's transmit metadata

inline constexpr const char* newer_kernel =
    "apt-get install -t bookworm-backports linux-image-amd64 && reboot";

}  // namespace strictsend::doctor
