// SPDX-License-Identifier: Apache-2.0
// What the packet forms cost on AF_XDP: a sender with a fixed header sends 1448-byte payloads over
// a veth pair into an XDP program that drops everything.
//
//     linear       one descriptor, the payload copied behind the header by us
//     1 fragment   [header | payload in one page]
//     2 fragments  [header | half of it | half of it in the next page]
//
// each with and without a checksum request. Variants are interleaved, round by round; the median of
// the rounds is printed: packets a second by the clock, and the sending thread's CPU time per
// packet, which other load on the machine disturbs less; the ratio to linear without a request is
// of the latter. The far end's work runs on the same CPU, inside the kick or right after it, so it
// is part of every number.
#include <linux/bpf.h>
#include <linux/if_link.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <time.h>
#include <vector>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "tests/bench/interrupt.hpp"
#include "tests/bench/statistics.hpp"
#include "tests/support/af_xdp_rig.hpp"

namespace strictsend::test {
namespace {

using bench::median;

constexpr std::uint32_t payload_bytes = 1448;
constexpr std::uint32_t packets_per_run = 200'000;
constexpr std::uint32_t burst = 64;
constexpr int rounds = 7;
constexpr std::uint32_t slots = 128;

struct Variant {
  const char* name;
  std::uint32_t fragments;  ///< of payload; 0: linear
  bool checksum;
  std::vector<double> mpps;
  std::vector<double> cpu_ns;  ///< per packet
  std::uint64_t kicks = 0;
  std::uint64_t dropped = 0;
};

/// `return XDP_DROP`, in the far end's driver.
bool drop_everything(const AfXdpRig& rig) {
  bool done = false;
  rig.net.in_namespace([&] {
    const std::array<bpf_insn, 2> program = {
        bpf_insn{BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, XDP_DROP},
        bpf_insn{BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
    const int fd = bpf_prog_load(BPF_PROG_TYPE_XDP, "drop_all", "Apache-2.0", program.data(),
                                 program.size(), nullptr);
    done = fd >= 0 && bpf_xdp_attach(static_cast<int>(rig.net.peer().interface_index), fd,
                                     XDP_FLAGS_DRV_MODE, nullptr) == 0;
  });
  return done;
}

/// One header per slot, written once; with room for metadata before and the payload behind.
class FixedHeaders {
 public:
  FixedHeaders(AfXdpRig& rig, bool checksum) : rig_(rig) {
    for (std::uint32_t slot = 0; slot < slots; ++slot) {
      const std::span<std::byte> into = rig.dma.all().subspan(offset(slot), 128);
      const wire::OffloadedHeader header = rig.headers.emit_for_offload(into, payload_bytes);
      bytes_ = header.header_bytes;
      if (checksum)
        request_ = header.checksum;
      else  // no checksum (RFC 768): what a finished one would cost is not the port's business
        std::memset(into.data() + header.checksum.start_bytes + header.checksum.offset_bytes, 0, 2);
    }
  }

  [[nodiscard]] std::uint64_t offset(std::uint32_t slot) const {
    return offset_of(rig_.dma.first_free()).value + std::uint64_t{slot} * 2048 + 64;
  }
  [[nodiscard]] std::uint32_t bytes() const { return bytes_; }
  [[nodiscard]] std::optional<nic::ChecksumRequest> request() const { return request_; }

 private:
  AfXdpRig& rig_;
  std::uint32_t bytes_ = 0;
  std::optional<nic::ChecksumRequest> request_;
};

Time thread_cpu_now() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return Time{std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec};
}

struct Measured {
  double mpps = 0;
  double cpu_ns = 0;
};

/// All zero when the port failed.
Measured run(AfXdpRig& rig, const Variant& variant) {
  const FixedHeaders headers(rig, variant.checksum);
  nic::Queue& queue = rig.queue();
  std::array<std::array<nic::Fragment, 3>, burst> fragments;
  std::array<nic::TxPacket, burst> packets;
  std::array<nic::TxCompletion, burst> completions;
  constexpr std::uint32_t pages = 256;

  std::uint32_t sent = 0;
  std::uint32_t completed = 0;
  const Time cpu_begin = thread_cpu_now();
  const Time begin = monotonic_now();
  while (completed < packets_per_run) {
    // At most `slots` packets are out, so that no header is rewritten under a descriptor.
    const std::uint32_t count =
        std::min({burst, packets_per_run - sent, slots - (sent - completed)});
    for (std::uint32_t i = 0; i < count; ++i) {
      const std::uint32_t n = sent + i;
      const std::uint64_t at = headers.offset(n % slots);
      const nic::Fragment whole = rig.payload(n % pages, 0, payload_bytes);
      std::size_t used = 1;
      fragments[i][0] = {ArenaOffset{at}, headers.bytes()};
      if (variant.fragments == 0) {
        std::memcpy(rig.dma.all().data() + at + headers.bytes(), rig.dma.at(whole).data(),
                    payload_bytes);
        fragments[i][0].length_bytes += payload_bytes;
      } else if (variant.fragments == 1) {
        fragments[i][used++] = whole;
      } else {
        fragments[i][used++] = rig.payload(n % pages, 3372, 724);
        fragments[i][used++] = rig.payload((n + 1) % pages, 0, 724);
      }
      packets[i] = {std::span(fragments[i]).first(used), headers.request(), n};
    }
    sent += static_cast<std::uint32_t>(queue.transmit(std::span(packets).first(count)));
    if (queue.kick() != 0) return {};
    completed += static_cast<std::uint32_t>(queue.reap(completions));
  }
  const double elapsed_ns = static_cast<double>((monotonic_now() - begin).ns);
  const double cpu_ns = static_cast<double>((thread_cpu_now() - cpu_begin).ns);
  return {packets_per_run * 1e3 / elapsed_ns, cpu_ns / packets_per_run};
}

int run_bench() {
  bench::Interrupt interrupt;
  if (const auto reason = NetNamespacePair::unavailable()) {
    std::printf("skipped: %s\n", reason->c_str());
    return 77;
  }
  auto made = AfXdpRig::make();
  if (!made) {
    std::printf("%s\n", made.error().message().c_str());
    return EXIT_FAILURE;
  }
  AfXdpRig& rig = **made;
  const nic::PortCapabilities& can = rig.port->capabilities();
  std::printf("%s\n", can.description.c_str());
  if (!drop_everything(rig)) {
    std::printf("the far end's XDP_DROP program could not be attached\n");
    return EXIT_FAILURE;
  }

  std::vector<Variant> variants;
  for (const bool checksum : {false, true}) {
    if (checksum && !can.checksum_offload) continue;
    variants.push_back({"linear", 0, checksum, {}, {}, 0, 0});
    if (can.max_fragments < 3) continue;
    variants.push_back({"1 fragment", 1, checksum, {}, {}, 0, 0});
    variants.push_back({"2 fragments", 2, checksum, {}, {}, 0, 0});
  }
  for (int round = -1; round < rounds; ++round) {  // round -1 warms up
    for (Variant& variant : variants) {
      if (interrupt.asked()) return bench::Interrupt::exit_code;
      const nic::QueueCounters before = rig.queue().counters();
      const Measured measured = run(rig, variant);
      const nic::QueueCounters& after = rig.queue().counters();
      if (measured.mpps == 0 || after.unexpected_completions != 0) {
        std::printf("the port failed while sending %s\n", variant.name);
        return EXIT_FAILURE;
      }
      if (round < 0) continue;
      variant.mpps.push_back(measured.mpps);
      variant.cpu_ns.push_back(measured.cpu_ns);
      variant.kicks += after.tx_kicks - before.tx_kicks;
      variant.dropped += after.tx_dropped - before.tx_dropped;
    }
  }

  const double base_ns = median(variants.front().cpu_ns);
  std::printf("%-12s %-9s %6s %6s %6s %8s %8s %6s %10s %8s\n", "form", "checksum", "Mpps", "min",
              "max", "cpu ns", "min ns", "ratio", "pkts/kick", "refused");
  for (const Variant& variant : variants) {
    const auto [low, high] = std::minmax_element(variant.mpps.begin(), variant.mpps.end());
    const double cpu_ns = median(variant.cpu_ns);
    const double sent = double{packets_per_run} * rounds;
    std::printf("%-12s %-9s %6.3f %6.3f %6.3f %8.0f %8.0f %6.2f %10.1f %8.4f\n", variant.name,
                variant.checksum ? "metadata" : "none", median(variant.mpps), *low, *high, cpu_ns,
                *std::min_element(variant.cpu_ns.begin(), variant.cpu_ns.end()), base_ns / cpu_ns,
                sent / static_cast<double>(variant.kicks),
                static_cast<double>(variant.dropped) / sent);
  }
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace strictsend::test

int main() {
  return strictsend::test::run_bench();
}
