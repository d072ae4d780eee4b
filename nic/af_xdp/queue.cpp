// SPDX-License-Identifier: Apache-2.0
#include "nic/af_xdp/queue.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <poll.h>
#include <utility>

#include "base/assert.hpp"
#include "nic/validate.hpp"

namespace strictsend::nic::af_xdp {
namespace {

/// How long `stop` waits for the kernel to let go: a driver that is reset needs some 100 ms. What
/// it still holds then stays outstanding, and each `reap` looks again.
constexpr Duration release_limit = seconds(5);

}  // namespace

AfXdpQueue::AfXdpQueue(Socket socket, QueueProbe probe, RxChecksum received_checksum,
                       const PortCapabilities& capabilities, const DmaMemory& memory)
    : received_checksum_(received_checksum),
      capabilities_(capabilities),
      memory_(memory),
      socket_(std::move(socket)),
      probe_(std::move(probe)),
      ledger_(socket_.tx.size()),
      held_(std::make_unique<std::uint64_t[]>(socket_.rx.size())),
      last_completions_(std::make_unique<TxCompletion[]>(socket_.tx.size())) {}

AfXdpQueue::~AfXdpQueue() {
  stop();
}

std::size_t AfXdpQueue::transmit(std::span<const TxPacket> packets) {
  STRICTSEND_ASSERT(!stopped_);
  std::size_t taken = 0;
  for (const TxPacket& packet : packets) {
    if (packet.fragments.size() > ledger_.free_descriptors()) break;
    assert_sendable(capabilities_, memory_, packet);
    submit(packet);
    ++taken;
  }
  if (taken > 0) socket_.tx.publish();
  return taken;
}

void AfXdpQueue::submit(const TxPacket& packet) {
  std::uint32_t first_options = 0;
  if (packet.checksum) {
    const abi::TxMetadata metadata{abi::metadata_checksum, packet.checksum->start_bytes,
                                   packet.checksum->offset_bytes, 0};
    std::memcpy(memory_.base + packet.fragments.front().offset.value - sizeof metadata, &metadata,
                sizeof metadata);
    first_options = abi::descriptor_has_metadata;
  }
  ledger_.begin_packet(packet.cookie);
  const std::size_t count = packet.fragments.size();
  for (std::size_t i = 0; i < count; ++i) {
    const Fragment& fragment = packet.fragments[i];
    // The metadata length is charged to every descriptor, so none may begin below it.
    STRICTSEND_ASSERT(fragment.offset.value >= capabilities_.header_headroom_bytes);
    const std::uint32_t options =
        (i == 0 ? first_options : 0) | (i + 1 < count ? abi::descriptor_continued : 0);
    ledger_.add_descriptor(fragment.offset.value);
    socket_.tx.put(xdp_desc{fragment.offset.value, fragment.length_bytes, options});
    counters_.tx_bytes += fragment.length_bytes;
  }
  ++counters_.tx_packets;
}

int AfXdpQueue::kick() {
  STRICTSEND_ASSERT(!stopped_);
  return named(socket_.is_zero_copy() ? kick_zero_copy() : kick_copy_mode());
}

/// A socket whose interface went is unbound, and says ENXIO (net/xdp/xsk.c, xsk_notifier); so do
/// drivers in zero-copy mode of a queue that is off for a while.
int AfXdpQueue::named(int error) const {
  return error == ENXIO && probe_.is_interface_gone() ? ENODEV : error;
}

int AfXdpQueue::health() {
  STRICTSEND_ASSERT(!stopped_);
  if (::recvfrom(socket_.fd(), nullptr, 0, MSG_DONTWAIT, nullptr, nullptr) >= 0) return 0;
  return named(errno) == ENODEV ? ENODEV : 0;
}

int AfXdpQueue::kick_zero_copy() {
  int error = 0;
  if (socket_.tx.pending() > 0 && socket_.tx.needs_wakeup()) {
    ++counters_.tx_kicks;
    if (::sendto(socket_.fd(), nullptr, 0, MSG_DONTWAIT, nullptr, 0) < 0) error = errno;
  }
  if (error == 0 && socket_.fill.needs_wakeup() &&
      ::recvfrom(socket_.fd(), nullptr, 0, MSG_DONTWAIT, nullptr, nullptr) < 0)
    error = errno;
  const bool busy = error == EAGAIN || error == EBUSY || error == ENOBUFS;
  return busy ? 0 : error;
}

/// The kernel sends inside the call, at most Socket::tx_budget descriptors per call. EAGAIN says
/// "call again" then, but "no room now" too; and how far it got is not always visible, because it
/// does not store its consumer index on every way out (net/xdp/xsk.c, __xsk_generic_xmit). So it is
/// called as often as the budget alone can need.
int AfXdpQueue::kick_copy_mode() {
  const std::uint32_t pending = socket_.tx.pending();
  if (pending == 0) return 0;
  std::uint32_t calls_for_budget = (pending - 1) / socket_.tx_budget();
  std::uint32_t calls_for_refusals = pending;
  while (true) {
    ++counters_.tx_kicks;
    if (::sendto(socket_.fd(), nullptr, 0, MSG_DONTWAIT, nullptr, 0) >= 0) return 0;
    switch (const int error = errno; error) {
      case EAGAIN:
        if (calls_for_budget-- == 0) return 0;
        break;
      case EBUSY:  // the device refused one packet: consumed and completed, but not sent
        ++counters_.tx_dropped;
        if (calls_for_refusals-- == 0) return 0;
        break;
      case ENOBUFS:
      case ENOMEM:
      case EINTR:
        return 0;
      case EINVAL:
        // A descriptor that the kernel finds wrong although it was checked. It completes it at each
        // kick and never consumes it, so from here on completions prove nothing.
        faulted_ = true;
        return error;
      default:
        return error;
    }
  }
}

std::size_t AfXdpQueue::reap_ring(std::span<TxCompletion> completions) {
  if (faulted_) return 0;
  std::size_t filled = 0;
  std::uint32_t available = socket_.completion.available();
  if (available == 0) return 0;
  for (; available > 0 && filled < completions.size(); --available) {
    const TxLedger::Completed completed = ledger_.complete(socket_.completion.take());
    if (completed.match == TxLedger::Match::packet)
      completions[filled++] = {completed.cookie, TxStatus::sent};
    else if (completed.match == TxLedger::Match::unexpected)
      ++counters_.unexpected_completions;
  }
  socket_.completion.release();
  return filled;
}

std::size_t AfXdpQueue::reap(std::span<TxCompletion> completions) {
  std::size_t filled = 0;
  if (!stopped_) {
    filled = reap_ring(completions);
  } else {
    while (filled < completions.size() && last_reported_ < last_count_)
      completions[filled++] = last_completions_[last_reported_++];
    while (filled < completions.size() && ledger_.outstanding_packets() > 0 && !unproven_ &&
           probe_.is_free()) {
      const std::optional<std::uint32_t> cookie = ledger_.abandon_oldest();
      if (!cookie) break;
      completions[filled++] = {*cookie, TxStatus::dropped};
      ++counters_.tx_dropped;
    }
  }
  counters_.tx_completions += filled;
  return filled;
}

std::size_t AfXdpQueue::receive(std::span<RxPacket> packets) {
  std::uint32_t available = socket_.rx.available();
  if (available == 0) return 0;
  std::size_t filled = 0;
  for (; available > 0 && filled < packets.size() && held_count_ < socket_.rx.size(); --available) {
    const xdp_desc descriptor = socket_.rx.take();
    // Unaligned chunks: where the packet begins in its buffer is in the upper bits
    // (include/uapi/linux/if_xdp.h, XSK_UNALIGNED_BUF_OFFSET_SHIFT).
    const std::uint64_t buffer = descriptor.addr & XSK_UNALIGNED_BUF_ADDR_MASK;
    const std::uint64_t begin = buffer + (descriptor.addr >> XSK_UNALIGNED_BUF_OFFSET_SHIFT);
    held_[held_count_++] = buffer & ~(page_bytes - 1);
    const bool continued = (descriptor.options & abi::descriptor_continued) != 0;
    const bool sane = begin < memory_.size_bytes && descriptor.len <= memory_.size_bytes - begin;
    if (continued || in_chain_ || !sane) {
      // A packet larger than a receive buffer: not asked for (PortCapabilities::max_receive_bytes).
      if (!continued) ++chains_dropped_;
      in_chain_ = continued;
      continue;
    }
    packets[filled++] = {{memory_.base + begin, descriptor.len}, received_checksum_};
    ++counters_.rx_packets;
    counters_.rx_bytes += descriptor.len;
  }
  socket_.rx.release();
  return filled;
}

void AfXdpQueue::release_received() {
  if (held_count_ == 0) return;
  // The fill ring has a place for every receive frame, so there is always room.
  for (std::size_t i = 0; i < held_count_; ++i)
    socket_.fill.put(held_[i]);
  held_count_ = 0;
  socket_.fill.publish();
}

bool AfXdpQueue::arm_wait() {
  return !stopped_ && socket_.rx.available() == 0 && socket_.completion.available() == 0;
}

void AfXdpQueue::stop() {
  if (stopped_) return;
  static_cast<void>(counters());
  stopped_ = true;
  last_count_ = reap_ring({last_completions_.get(), socket_.tx.size()});
  if (!capabilities_.copies_payload && probe_.is_interface_gone()) {
    outlast_device();
    return;
  }
  socket_.close();
  static_cast<void>(probe_.wait(release_limit));
}

/// A device that reads the pages themselves may go on for a while after its interface is gone (its
/// driver resets it after that was unregistered), and no probe can tell. But the kernel completes
/// what it had taken when the driver lets go of it, as long as there is a socket to be told. What
/// is not completed stays as it is for good: the kernel may have taken it or not.
void AfXdpQueue::outlast_device() {
  const Time deadline = monotonic_now() + release_limit;
  while (ledger_.outstanding_packets() > 0 && last_count_ < socket_.tx.size() &&
         monotonic_now() < deadline) {
    last_count_ += reap_ring({last_completions_.get() + last_count_,
                              static_cast<std::size_t>(socket_.tx.size()) - last_count_});
    ::poll(nullptr, 0, 1);
  }
  unproven_ = ledger_.outstanding_packets() > 0;
  socket_.close();
}

const QueueCounters& AfXdpQueue::counters() const {
  xdp_statistics statistics{};
  socklen_t bytes = sizeof statistics;
  if (!stopped_ && ::getsockopt(socket_.fd(), SOL_XDP, XDP_STATISTICS, &statistics, &bytes) == 0) {
    counters_.rx_dropped = chains_dropped_ + statistics.rx_dropped + statistics.rx_invalid_descs +
                           statistics.rx_ring_full;
    counters_.tx_invalid_descriptors = statistics.tx_invalid_descs;
  }
  return counters_;
}

}  // namespace strictsend::nic::af_xdp
