// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.hpp"

struct rte_mempool;

namespace strictsend::nic::dpdk {

/// Owns a pool of mbufs in EAL's memory.
class MbufPool {
 public:
  /// `data_bytes`: room in each mbuf's own buffer.
  static Result<std::unique_ptr<MbufPool>> create(const std::string& name, std::uint32_t mbufs,
                                                  std::uint32_t data_bytes, int socket);
  MbufPool(const MbufPool&) = delete;
  MbufPool& operator=(const MbufPool&) = delete;
  /// Keeps the memory if mbufs are still out: somebody may free them yet.
  ~MbufPool();

  [[nodiscard]] rte_mempool* get() const { return pool_; }
  [[nodiscard]] std::uint64_t memory_bytes() const;

 private:
  explicit MbufPool(rte_mempool* pool) : pool_(pool) {}
  rte_mempool* pool_;
};

}  // namespace strictsend::nic::dpdk
