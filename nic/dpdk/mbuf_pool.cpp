// SPDX-License-Identifier: Apache-2.0
#include "nic/dpdk/mbuf_pool.hpp"

#include <algorithm>
#include <rte_errno.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include "nic/dpdk/eal.hpp"

namespace strictsend::nic::dpdk {

Result<std::unique_ptr<MbufPool>> MbufPool::create(const std::string& name, std::uint32_t mbufs,
                                                   std::uint32_t data_bytes, int socket) {
  const std::uint32_t room = data_bytes + RTE_PKTMBUF_HEADROOM;
  const unsigned cache = std::min<unsigned>(256, mbufs / 4);  // DPDK wants it below two thirds
  rte_mempool* pool = rte_pktmbuf_pool_create(name.c_str(), mbufs, cache, 0,
                                              static_cast<std::uint16_t>(room), socket);
  if (pool == nullptr) {
    const int error = rte_errno;
    const std::string said = take_eal_complaints();
    return fail("making the mbuf pool " + name, error,
                (said.empty() ? "" : said + ": ") +
                    "give EAL more memory (-m MEGABYTES, or more huge pages)");
  }
  return std::unique_ptr<MbufPool>(new MbufPool(pool));
}

MbufPool::~MbufPool() {
  if (rte_mempool_full(pool_) == 1) rte_mempool_free(pool_);
}

std::uint64_t MbufPool::memory_bytes() const {
  return std::uint64_t{pool_->populated_size} *
         (pool_->header_size + pool_->elt_size + pool_->trailer_size);
}

}  // namespace strictsend::nic::dpdk
