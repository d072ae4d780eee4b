// SPDX-License-Identifier: Apache-2.0
#include "engine/exchange/notifier.hpp"

#include <sys/eventfd.h>

#include <unistd.h>

namespace strictsend::engine {

void Notifier::publish() {
  if (!signalled_.exchange(true, std::memory_order_seq_cst)) {
    // Cannot fail: the counter is read to zero before signalled_ is cleared.
    ::eventfd_write(event_fd_.get(), 1);
  }
}

void Notifier::take(AnyFlow*& flows, SpliceOp*& splices) {
  if (signalled_.load(std::memory_order_relaxed)) {
    eventfd_t count = 0;
    // Cleared before the lists are taken: what is posted after this signals again. Where there is
    // nothing to read yet, an engine thread is about to write: its wake-up stays announced.
    if (::eventfd_read(event_fd_.get(), &count) == 0) {
      signalled_.exchange(false, std::memory_order_seq_cst);
    }
  }
  flows = flows_.take_all();
  splices = splices_.take_all();
}

}  // namespace strictsend::engine
