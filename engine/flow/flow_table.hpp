// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/siphash.hpp"
#include "engine/flow/flow.hpp"

namespace strictsend::engine {

/// All connection slots of one engine thread: a fixed pool, and a hash table from the peer's end to
/// the slot. Chained, with at least one bucket per slot and a keyed hash, because peers choose
/// their ports. Allocates at creation only.
class FlowTable {
 public:
  /// `receive_buffer_bytes` is a power of two. `first_slot` numbers the slots across engine
  /// threads.
  FlowTable(std::uint32_t first_slot, std::uint32_t flows_max, std::uint32_t receive_buffer_bytes,
            const SipKey& key);

  // Engine thread.
  [[nodiscard]] Flow* find(const FlowKey& key) const;
  [[nodiscard]] bool has_free() const { return free_ != nullptr; }
  /// A fresh slot entered under the key, or nullptr when all are taken.
  [[nodiscard]] Flow* insert(const FlowKey& key);
  /// Takes the key out; the slot stays the caller's. Idempotent.
  void remove(Flow& flow);
  /// Gives the slot back for another connection.
  void recycle(Flow& flow);

  [[nodiscard]] std::uint32_t in_use() const { return in_use_; }

  // Any thread.
  [[nodiscard]] std::span<Flow> slots() { return {flows_.get(), flows_max_}; }
  [[nodiscard]] std::uint64_t memory_bytes() const;

 private:
  [[nodiscard]] std::size_t bucket_of(const FlowKey& key) const;

  std::uint32_t flows_max_;
  std::uint32_t receive_buffer_bytes_;
  SipKey key_;
  std::unique_ptr<Flow[]> flows_;
  std::unique_ptr<std::byte[]> receive_memory_;
  std::vector<Flow*> buckets_;
  Flow* free_ = nullptr;
  std::uint32_t in_use_ = 0;
};

}  // namespace strictsend::engine
