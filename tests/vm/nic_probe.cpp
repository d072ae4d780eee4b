// SPDX-License-Identifier: Apache-2.0
// What no user can make happen with strictsend itself, tried on a real driver inside a guest:
//   nic_probe dma ADDRESS          sends from memory that the IOMMU maps, then from the same memory
//                                  unmapped, and a packet that lies outside of it
//   nic_probe zero-copy INTERFACE  binds AF_XDP in the driver's own zero-copy mode, and says what
//                                  came of it
// One line for each finding; exit code 1 if something was not as it must be.
#include <sys/wait.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <rte_dev.h>
#include <rte_ethdev.h>
#include <string>
#include <string_view>
#include <thread>
#include <unistd.h>

#include "nic/af_xdp/open.hpp"
#include "nic/dpdk/open.hpp"
#include "nic/dpdk/port.hpp"
#include "tests/support/dma_buffer.hpp"

namespace strictsend::test {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint32_t frames = 1024;
constexpr std::uint32_t packets_each = 48;
constexpr std::uint32_t payload_bytes = 1000;
constexpr std::byte payload_byte{0x5a};
// IEEE 802's local experimental EtherType, to everybody.
constexpr std::array<std::uint8_t, 14> ethernet_header{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02,
                                                       0,    0,    0,    0,    1,    0x88, 0xb5};

struct Tally {
  std::uint32_t handed_over = 0;
  std::uint32_t sent = 0;
  std::uint32_t dropped = 0;
};

void take_completions(nic::Queue& queue, Tally& tally) {
  std::array<nic::TxCompletion, 64> completions;
  while (const std::size_t count = queue.reap(completions)) {
    for (std::size_t i = 0; i < count; ++i)
      ++(completions[i].status == nic::TxStatus::sent ? tally.sent : tally.dropped);
  }
}

/// Hands over packets of a header and a payload from two pages each, and waits for the device to be
/// done with them.
Tally send(nic::Queue& queue, DmaBuffer& buffer, std::uint32_t first_cookie) {
  Tally tally;
  const Clock::time_point limit = Clock::now() + std::chrono::seconds(10);
  std::vector<std::byte> payload(payload_bytes, payload_byte);
  while (Clock::now() < limit && tally.sent + tally.dropped < packets_each) {
    if (tally.handed_over < packets_each) {
      const FrameIndex frame = buffer.first_free().plus(2 * tally.handed_over);
      const std::array<nic::Fragment, 2> fragments{
          buffer.put(frame, 0, std::as_bytes(std::span(ethernet_header))),
          buffer.put(frame.plus(1), 512, payload)};
      const nic::TxPacket packet{.fragments = fragments,
                                 .checksum = std::nullopt,
                                 .cookie = first_cookie + tally.handed_over,
                                 .segmentation = std::nullopt};
      tally.handed_over += static_cast<std::uint32_t>(queue.transmit({&packet, 1}));
    }
    static_cast<void>(queue.kick());
    take_completions(queue, tally);
  }
  return tally;
}

bool report(const char* what, const Tally& tally) {
  std::printf("%s: %u handed over, %u completed as sent, %u as dropped\n", what, tally.handed_over,
              tally.sent, tally.dropped);
  return tally.handed_over == packets_each;
}

/// Whether a child that sends a packet from behind the memory is ended for it.
bool outside_is_refused(nic::Queue& queue, const nic::DmaMemory& memory) {
  const pid_t child = ::fork();
  if (child == 0) {
    const std::array<nic::Fragment, 1> fragments{
        nic::Fragment{.offset = ArenaOffset{memory.size_bytes}, .length_bytes = 64}};
    const nic::TxPacket packet{.fragments = fragments,
                               .checksum = std::nullopt,
                               .cookie = 0,
                               .segmentation = std::nullopt};
    static_cast<void>(queue.transmit({&packet, 1}));
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  const bool refused = WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
  std::printf("outside the memory: %s\n",
              refused ? "refused before it reached the device" : "taken");
  return refused;
}

int try_dma(const std::string& address) {
  DmaBuffer buffer(frames);
  nic::dpdk::DpdkConfig config;
  config.device = address;
  config.queues = 1;
  auto opened = nic::dpdk::open_dpdk_port(config, {"-m", "64", "--no-telemetry"}, buffer.memory());
  if (!opened) {
    std::printf("%s\n", opened.error().message().c_str());
    return 1;
  }
  nic::dpdk::DpdkPort& port = **opened;
  nic::Queue& queue = port.queue(0);
  for (int i = 0; i < 500 && !port.link_up(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));

  bool good = outside_is_refused(queue, buffer.memory());
  const Tally mapped = send(queue, buffer, 0);
  good = report("mapped", mapped) && mapped.sent == packets_each && good;

  rte_eth_dev_info info;
  const nic::DmaMemory& memory = buffer.memory();
  const auto iova = reinterpret_cast<std::uintptr_t>(memory.base);
  if (rte_eth_dev_info_get(port.port_id(), &info) != 0 ||
      rte_dev_dma_unmap(info.device, memory.base, iova, memory.size_bytes) != 0) {
    std::printf("the memory could not be unmapped\n");
    return 1;
  }
  Tally unmapped = send(queue, buffer, packets_each);
  queue.stop();
  take_completions(queue, unmapped);
  good = report("unmapped", unmapped) && good;
  const std::uint32_t left = unmapped.handed_over - unmapped.sent - unmapped.dropped;
  std::printf("left under descriptors: %u\n", left);
  return good && left == 0 ? 0 : 1;
}

int try_zero_copy(const std::string& interface) {
  DmaBuffer buffer(frames, 256);
  nic::af_xdp::AfXdpConfig config;
  config.interface_name = interface;
  config.queues = {0};
  config.copy_mode = nic::af_xdp::CopyMode::zero_copy;
  const auto port = nic::af_xdp::open_port(config, buffer.memory());
  if (port)
    std::printf("zero-copy: bound, %s\n", (*port)->capabilities().description.c_str());
  else
    std::printf("zero-copy: refused, %s\n", port.error().message().c_str());
  return 0;
}

}  // namespace
}  // namespace strictsend::test

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const std::string_view what = argc == 3 ? argv[1] : "";
  if (what == "dma") return strictsend::test::try_dma(argv[2]);
  if (what == "zero-copy") return strictsend::test::try_zero_copy(argv[2]);
  std::fprintf(stderr, "usage: nic_probe dma ADDRESS | zero-copy INTERFACE\n");
  return 2;
}
