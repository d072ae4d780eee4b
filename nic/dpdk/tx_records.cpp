// SPDX-License-Identifier: Apache-2.0
#include "nic/dpdk/tx_records.hpp"

#include "base/assert.hpp"

namespace strictsend::nic::dpdk {

TxRecords::TxRecords(std::uint32_t count)
    : count_(count),
      records_(std::make_unique<TxRecord[]>(count)),
      idle_(std::make_unique<std::uint32_t[]>(count)) {
  for (std::uint32_t i = count; i-- > 0;) {
    TxRecord& record = records_[i];
    record.owner = this;
    record.shared.free_cb = &TxRecords::on_free;
    record.shared.fcb_opaque = &record;
    push_idle(record);
  }
}

TxRecords::~TxRecords() {
  STRICTSEND_ASSERT(with_dpdk() == 0);
}

TxRecord* TxRecords::take(std::uint32_t cookie, std::uint16_t segments) {
  if (idle_count_ == 0) return nullptr;
  TxRecord& record = records_[idle_[--idle_count_]];
  record.cookie = cookie;
  record.state = TxRecord::State::out;
  record.status = TxStatus::sent;
  ++record.generation;
  rte_mbuf_ext_refcnt_set(&record.shared, segments);

  record.out_next = nullptr;
  record.out_prev = newest_out_;
  (newest_out_ != nullptr ? newest_out_->out_next : oldest_out_) = &record;
  newest_out_ = &record;
  ++outstanding_;
  return &record;
}

void TxRecords::put_back(TxRecord& record) {
  STRICTSEND_DEBUG_ASSERT(record.state == TxRecord::State::out);
  unlink(record);
  push_idle(record);
}

void TxRecords::push_idle(TxRecord& record) {
  record.state = TxRecord::State::idle;
  idle_[idle_count_++] = static_cast<std::uint32_t>(&record - records_.get());
}

void TxRecords::unlink(TxRecord& record) {
  (record.out_prev != nullptr ? record.out_prev->out_next : oldest_out_) = record.out_next;
  (record.out_next != nullptr ? record.out_next->out_prev : newest_out_) = record.out_prev;
  --outstanding_;
}

void TxRecords::on_free(void*, void* opaque) {
  auto& record = *static_cast<TxRecord*>(opaque);
  TxRecords& owner = *record.owner;
  const std::uint32_t generation = record.generation;
  if (record.freed_generation.exchange(generation, std::memory_order_relaxed) == generation) {
    owner.unexpected_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  TxRecord* head = owner.freed_.load(std::memory_order_relaxed);
  do {
    record.next_freed = head;
  } while (!owner.freed_.compare_exchange_weak(head, &record, std::memory_order_release,
                                               std::memory_order_relaxed));
}

std::size_t TxRecords::collect(std::span<TxCompletion> completions) {
  std::size_t filled = 0;
  while (true) {
    if (taken_ == nullptr) {
      // Looking first costs no locked instruction, and mostly there is nothing.
      if (freed_.load(std::memory_order_relaxed) == nullptr) return filled;
      taken_ = freed_.exchange(nullptr, std::memory_order_acquire);
    }
    TxRecord& record = *taken_;
    if (record.state == TxRecord::State::out) {
      if (filled == completions.size()) return filled;
      completions[filled++] = {record.cookie, record.status};
      unlink(record);
    }
    taken_ = record.next_freed;
    push_idle(record);
  }
}

std::size_t TxRecords::complete_all(std::span<TxCompletion> completions, TxStatus status) {
  std::size_t filled = 0;
  while (filled < completions.size() && oldest_out_ != nullptr) {
    TxRecord& record = *oldest_out_;
    completions[filled++] = {record.cookie, status};
    unlink(record);
    record.state = TxRecord::State::let_go;
  }
  return filled;
}

}  // namespace strictsend::nic::dpdk
