// SPDX-License-Identifier: Apache-2.0
#include "engine/flow/flow_table.hpp"

#include <bit>

namespace strictsend::engine {

FlowTable::FlowTable(std::uint32_t first_slot, std::uint32_t flows_max,
                     std::uint32_t receive_buffer_bytes, const SipKey& key)
    : flows_max_(flows_max),
      receive_buffer_bytes_(receive_buffer_bytes),
      key_(key),
      flows_(std::make_unique<Flow[]>(flows_max)),
      receive_memory_(std::make_unique_for_overwrite<std::byte[]>(std::size_t{flows_max} *
                                                                  receive_buffer_bytes)),
      buckets_(std::bit_ceil(std::size_t{flows_max}), nullptr) {
  STRICTSEND_ASSERT(std::has_single_bit(receive_buffer_bytes));
  for (std::uint32_t i = flows_max; i-- > 0;) {
    Flow& flow = flows_[i];
    flow.slot = first_slot + i;
    flow.received.attach(
        {receive_memory_.get() + std::size_t{i} * receive_buffer_bytes, receive_buffer_bytes});
    flow.free_next = free_;
    free_ = &flow;
  }
}

Flow* FlowTable::find(const FlowKey& key) const {
  for (Flow* flow = buckets_[bucket_of(key)]; flow != nullptr; flow = flow->hash_next) {
    if (flow->key == key) return flow;
  }
  return nullptr;
}

Flow* FlowTable::insert(const FlowKey& key) {
  Flow* flow = free_;
  if (flow == nullptr) return nullptr;
  free_ = flow->free_next;
  flow->free_next = nullptr;
  flow->key = key;
  flow->received.reset();
  flow->consumed_bytes = 0;
  Flow*& bucket = buckets_[bucket_of(key)];
  flow->hash_next = bucket;
  bucket = flow;
  ++in_use_;
  return flow;
}

void FlowTable::remove(Flow& flow) {
  for (Flow** at = &buckets_[bucket_of(flow.key)]; *at != nullptr; at = &(*at)->hash_next) {
    if (*at == &flow) {
      *at = flow.hash_next;
      flow.hash_next = nullptr;
      return;
    }
  }
}

void FlowTable::recycle(Flow& flow) {
  flow.free_next = free_;
  free_ = &flow;
  --in_use_;
}

std::uint64_t FlowTable::memory_bytes() const {
  return std::uint64_t{flows_max_} * (sizeof(Flow) + receive_buffer_bytes_) +
         buckets_.size() * sizeof(Flow*);
}

std::size_t FlowTable::bucket_of(const FlowKey& key) const {
  // Our own address is the same for all keys of a family.
  return hash_of(key, key.peer_address, FlowHashUse::table, key_) & (buckets_.size() - 1);
}

}  // namespace strictsend::engine
