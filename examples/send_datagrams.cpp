// SPDX-License-Identifier: Apache-2.0
//
// Sends a file, as it is at that moment, once as UDP datagrams:
//
//     send_datagrams af_xdp:eth0 10.0.0.2 5000 FILE [BYTES_PER_SECOND]
//
// Each datagram begins with its number (4 bytes) and its offset in the file (8 bytes), big endian,
// so that a receiver can put it in its place and see what is missing.
// Built outside the tree: g++ -std=c++20 send_datagrams.cpp $(pkg-config --cflags --libs
// strictsend)
#include <array>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <limits>
#include <poll.h>

#include <strictsend/engine.hpp>

namespace {

using strictsend::Engine;
using strictsend::Event;

int give_up(const strictsend::Error& error) {
  std::fprintf(stderr, "send_datagrams: %s\n", error.message().c_str());
  return 1;
}

// cookbook: send
/// The heart of it: freeze the file now, hand the snapshot over, and say that nothing follows.
strictsend::Result<void> send(Engine& engine, strictsend::DatagramFlowId flow,
                              strictsend::File& file) {
  auto snapshot = engine.freeze(file, 0, std::numeric_limits<std::uint64_t>::max());
  if (!snapshot) return tl::unexpected(snapshot.error());
  const std::array<std::byte, 12> header{};  // both numbers begin at 0
  strictsend::DatagramSplice splice;
  splice.flow = flow;
  splice.snapshot = std::move(*snapshot);
  splice.header = header;
  splice.sequence = {.offset_bytes = 0, .width_bytes = 4};
  splice.byte_offset = {.offset_bytes = 4, .width_bytes = 8};
  if (const auto submitted = engine.submit(std::move(splice)); !submitted)
    return tl::unexpected(submitted.error());
  return engine.close(flow);  // after everything that was submitted
}
// cookbook: end

}  // namespace

int main(int argc, char** argv) {
  const auto peer = argc > 2 ? strictsend::parse_ip_address(argv[2]) : std::nullopt;
  if (argc < 5 || argc > 6 || !peer) {
    std::fprintf(stderr,
                 "usage: send_datagrams NIC ADDRESS PORT FILE [BYTES_PER_SECOND]     (NIC: "
                 "af_xdp:eth0, or discard:)\n");
    return 2;
  }
  strictsend::EngineConfig config;
  config.nic = argv[1];
  auto opened = Engine::open(config);
  if (!opened) return give_up(opened.error());
  Engine& engine = **opened;
  auto file = engine.open_file(argv[4], O_RDONLY);
  if (!file) return give_up(file.error());

  strictsend::DatagramFlowConfig to;
  to.peer_address = *peer;
  to.peer_port = static_cast<std::uint16_t>(std::strtoul(argv[3], nullptr, 10));
  to.rate_bytes_per_s = argc > 5 ? std::strtoull(argv[5], nullptr, 10) : 10'000'000;
  const auto flow = engine.open_datagram_flow(to);
  if (!flow) return give_up(flow.error());
  if (const auto sent = send(engine, *flow, *file); !sent) return give_up(sent.error());

  int error = 0;
  pollfd waiting{engine.event_fd(), POLLIN, 0};
  for (bool closed = false; !closed;) {
    ::poll(&waiting, 1, -1);
    std::array<Event, 64> events;
    while (const std::size_t count = engine.poll(events)) {
      for (std::size_t i = 0; i < count; ++i) {
        const Event& event = events[i];
        if (event.kind == Event::Kind::closed) closed = true;
        if (event.kind != Event::Kind::released) continue;
        error = event.result.error;
        std::printf("sent %llu bytes in %llu datagrams, copied %llu, error %d\n",
                    static_cast<unsigned long long>(event.result.bytes_sent),
                    static_cast<unsigned long long>(event.result.datagrams_sent),
                    static_cast<unsigned long long>(event.result.bytes_copied), error);
      }
    }
  }
  engine.stop(0);
  return error == 0 ? 0 : 1;
}
