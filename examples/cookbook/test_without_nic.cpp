// SPDX-License-Identifier: Apache-2.0
//
// A test of a program's own sending code that needs neither rights nor a NIC: the discarding port
// takes every packet, and the recording shows what was in it.
//
//     test_without_nic FILE RECORDING
//
// FILE is sent as datagrams while it is overwritten; each packet must hold what FILE was before.
#include <cinttypes>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <vector>

#include "program.hpp"

namespace {

using cookbook::give_up;
using cookbook::say;
using strictsend::Engine;
using strictsend::Event;

constexpr std::uint32_t slice_bytes = 1000;

/// What is under test: sends the file now, and overwrites it at once.
strictsend::Result<void> send_and_overwrite(Engine& engine, strictsend::DatagramFlowId flow,
                                            strictsend::File& file) {
  auto snapshot = engine.freeze(file, 0, std::numeric_limits<std::uint64_t>::max());
  if (!snapshot) return tl::unexpected(snapshot.error());
  strictsend::DatagramSplice splice;
  splice.flow = flow;
  splice.snapshot = std::move(*snapshot);
  if (auto submitted = engine.submit(std::move(splice)); !submitted)
    return tl::unexpected(submitted.error());
  const std::vector<std::byte> other(file.size_bytes(), std::byte{'#'});
  if (auto written = file.write(other, 0); !written) return tl::unexpected(written.error());
  return engine.close(flow);
}

// cookbook: wait
/// Until the flow is closed, which comes behind the last event of what it sent.
int wait_until_closed(Engine& engine) {
  pollfd waiting{engine.event_fd(), POLLIN, 0};
  int error = 0;
  while (true) {
    std::array<Event, 16> events;
    while (const std::size_t count = engine.poll(events)) {
      for (std::size_t i = 0; i < count; ++i) {
        if (events[i].kind == Event::Kind::released) error = events[i].result.error;
        if (events[i].kind == Event::Kind::closed) return error;
      }
    }
    ::poll(&waiting, 1, -1);
  }
}
// cookbook: end

// cookbook: recording
/// The payloads of a recording's UDP packets: 24 bytes of file header (pcap, little endian), then
/// for each packet 16 of record header, whose third word is the length, and the frame.
std::string payloads_of(const std::string& recording, std::size_t header_bytes) {
  std::ifstream in(recording, std::ios::binary);
  const std::string all((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  std::string payloads;
  for (std::size_t at = 24; at + 16 <= all.size();) {
    std::uint32_t length = 0;
    std::memcpy(&length, all.data() + at + 8, sizeof length);
    at += 16;
    if (length > header_bytes && length <= all.size() - at)
      payloads += all.substr(at + header_bytes, length - header_bytes);
    at += length;
  }
  return payloads;
}
// cookbook: end

strictsend::Result<void> run(const char* path, const char* recording) {
  // cookbook: open
  strictsend::EngineConfig config;
  config.nic = "discard:";  // no NIC, no rights; nothing is ever received
  config.pcap_path = recording;
  config.cache_bytes = std::uint64_t{8} << 20;
  auto opened = Engine::open(config);
  // cookbook: end
  if (!opened) return tl::unexpected(opened.error());
  Engine& engine = **opened;
  auto file = engine.open_file(path, O_RDONLY);
  if (!file) return tl::unexpected(file.error());
  strictsend::DatagramFlowConfig to;
  to.peer_address = strictsend::IpAddress(192, 0, 2, 2);  // for documentation, RFC 5737
  to.peer_port = 5000;
  to.payload_bytes = slice_bytes;
  const auto flow = engine.open_datagram_flow(to);
  if (!flow) return tl::unexpected(flow.error());
  if (auto sent = send_and_overwrite(engine, *flow, *file); !sent) return sent;
  if (const int error = wait_until_closed(engine); error != 0)
    return strictsend::fail("sending datagrams", error);
  engine.stop(0);  // the recording is whole behind this
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: test_without_nic FILE RECORDING\n");
    return 2;
  }
  std::ifstream in(argv[1], std::ios::binary);
  const std::string before((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (auto done = run(argv[1], argv[2]); !done) return give_up(done.error());
  const std::string sent = payloads_of(argv[2], 14 + 20 + 8);  // Ethernet, IPv4, UDP
  say("%zu bytes sent, %s", sent.size(), sent == before ? "all as they were" : "NOT as they were");
  return sent == before ? 0 : 1;
}
