// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>

namespace strictsend::engine {

/// Hands objects from any number of threads to one: an intrusive list that producers push onto and
/// the consumer takes whole. It cannot be full, allocates nothing and locks nothing; because nodes
/// are only ever taken all at once there is no ABA problem.
///
/// `head_` is written by producers (release) and by the consumer's exchange (acquire): what a
/// producer wrote to its node before `push` is visible to whoever takes it. A node may be in one
/// intake at a time; its link belongs to the intake until it is taken.
template <class Node, Node* Node::*link>
class Intake {
 public:
  void push(Node* node) {
    Node* head = head_.load(std::memory_order_relaxed);
    do {
      node->*link = head;
    } while (!head_.compare_exchange_weak(head, node, std::memory_order_seq_cst,
                                          std::memory_order_relaxed));
  }

  /// Everything pushed so far as a list in the order of pushing (through `link`), or nullptr.
  [[nodiscard]] Node* take_all() {
    if (head_.load(std::memory_order_relaxed) == nullptr) return nullptr;
    Node* newest_first = head_.exchange(nullptr, std::memory_order_acquire);
    Node* oldest_first = nullptr;
    while (newest_first != nullptr) {
      Node* next = newest_first->*link;
      newest_first->*link = oldest_first;
      oldest_first = newest_first;
      newest_first = next;
    }
    return oldest_first;
  }

  /// Whether nothing waits. Sequentially consistent with `push`, for the consumer's last look
  /// before it sleeps.
  [[nodiscard]] bool empty() const { return head_.load(std::memory_order_seq_cst) == nullptr; }

 private:
  std::atomic<Node*> head_ = nullptr;
};

}  // namespace strictsend::engine
