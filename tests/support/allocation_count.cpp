// SPDX-License-Identifier: Apache-2.0
#include "tests/support/allocation_count.hpp"

#include <cstdlib>
#include <new>

namespace {
thread_local std::uint64_t allocations = 0;
}  // namespace

namespace strictsend::test {
std::uint64_t allocation_count() {
  return allocations;
}
}  // namespace strictsend::test

// The array and nothrow forms of the standard library end in these two.
void* operator new(std::size_t bytes) {
  ++allocations;
  if (void* memory = std::malloc(bytes)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t /*bytes*/) noexcept {
  std::free(memory);
}
