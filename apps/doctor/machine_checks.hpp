// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "apps/doctor/facts.hpp"
#include "apps/doctor/finding.hpp"

namespace strictsend::doctor {

// What every engine needs.
[[nodiscard]] Finding check_kernel(const MachineFacts& facts);
[[nodiscard]] Finding check_memory(const MachineFacts& facts);
[[nodiscard]] Finding check_locked_memory(const MachineFacts& facts);
[[nodiscard]] Finding check_userfaultfd(const MachineFacts& facts);
[[nodiscard]] Finding check_map_count(const MachineFacts& facts);
[[nodiscard]] Finding check_shmem_huge_pages(const MachineFacts& facts);
[[nodiscard]] Finding check_io_uring(const MachineFacts& facts);

// What AF_XDP needs.
[[nodiscard]] Finding check_capabilities(const MachineFacts& facts);
[[nodiscard]] Finding check_bpffs(const MachineFacts& facts);

/// All that bear on the port that facts.nic names; on AF_XDP where it names none.
[[nodiscard]] std::vector<Finding> check_machine(const MachineFacts& facts);

/// The memory that the NIC is to read: the cache, and each queue's buffers.
[[nodiscard]] std::uint64_t nic_memory_bytes(const MachineFacts& facts);

}  // namespace strictsend::doctor
