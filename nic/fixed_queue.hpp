// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <vector>

#include "base/assert.hpp"

namespace strictsend::nic {

/// A first-in first-out queue whose memory is taken at the start. Not synchronised.
template <class T>
class FixedQueue {
 public:
  explicit FixedQueue(std::size_t capacity) : slots_(capacity) {}

  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] bool full() const { return size_ == slots_.size(); }
  [[nodiscard]] std::size_t size() const { return size_; }

  void push(const T& value) {
    STRICTSEND_ASSERT(!full());
    slots_[(begin_ + size_) % slots_.size()] = value;
    ++size_;
  }
  T pop() {
    STRICTSEND_ASSERT(!empty());
    const T value = slots_[begin_];
    begin_ = (begin_ + 1) % slots_.size();
    --size_;
    return value;
  }

 private:
  std::vector<T> slots_;
  std::size_t begin_ = 0;
  std::size_t size_ = 0;
};

}  // namespace strictsend::nic
