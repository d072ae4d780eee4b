// SPDX-License-Identifier: Apache-2.0
//
// Several ranges of one instant, each behind a header of a small protocol of its own:
//
//     framed_ranges NIC PORT FILE
//
// A request is a line of pairs, "OFFSET LENGTH OFFSET LENGTH …". The answer to each pair is
// | length 8 | offset 8 | bytes |, big endian. Meanwhile a thread counts up two numbers: the first
// 8 bytes of the file, and after them its last 8. So in one state of the file the first is the
// last, or one more.
#include <atomic>
#include <cstring>
#include <fcntl.h>
#include <limits>
#include <map>
#include <sstream>
#include <thread>
#include <vector>

#include "program.hpp"

namespace {

using cookbook::give_up;
using cookbook::say;
using strictsend::Engine;
using strictsend::Event;

struct Range {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;
};

std::vector<Range> parse(const std::string& request) {
  std::vector<Range> ranges;
  std::istringstream in(request);
  for (Range range; ranges.size() < 16 && in >> range.offset >> range.length;)
    ranges.push_back(range);
  return ranges;
}

void put_big_endian(std::byte* at, std::uint64_t value) {
  for (int i = 0; i < 8; ++i)
    at[i] = static_cast<std::byte>(value >> (56 - 8 * i));
}

// cookbook: ranges
strictsend::Result<void> answer(Engine& engine, strictsend::ConnectionId connection,
                                strictsend::File& file, const std::vector<Range>& ranges) {
  auto all = engine.freeze(file, 0, std::numeric_limits<std::uint64_t>::max());
  if (!all) return tl::unexpected(all.error());
  for (const Range& range : ranges) {
    auto part = all->part(range.offset, range.length);  // of the same instant; cut at the end
    if (!part) return tl::unexpected(part.error());
    std::array<std::byte, 16> header;  // copied by submit
    put_big_endian(header.data(), part->length_bytes());
    put_big_endian(header.data() + 8, part->offset());
    strictsend::Splice splice;
    splice.connection = connection;
    splice.header = header;
    splice.snapshot = std::move(*part);
    if (auto submitted = engine.submit(std::move(splice)); !submitted)
      return tl::unexpected(submitted.error());
  }
  return {};  // `all` goes here: the parts do not need it
}
// cookbook: end

void count_up(std::span<std::byte> mapping, const std::atomic<bool>& stopping) {
  auto* const first = reinterpret_cast<std::uint64_t*>(mapping.data());
  auto* const last = reinterpret_cast<std::uint64_t*>(mapping.data() + mapping.size() - 8);
  for (std::uint64_t number = 1; !stopping; ++number) {
    std::atomic_ref(*first).store(number, std::memory_order_release);
    std::atomic_ref(*last).store(number, std::memory_order_release);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const auto port = argc == 4 ? cookbook::parse_port(argv[2]) : std::nullopt;
  if (!port) {
    std::fprintf(stderr, "usage: framed_ranges NIC PORT FILE     (NIC: af_xdp:eth0)\n");
    return 2;
  }
  const cookbook::StopSignals signals;
  strictsend::EngineConfig config;
  config.nic = argv[1];
  config.cache_bytes = std::uint64_t{64} << 20;
  auto opened = Engine::open(config);
  if (!opened) return give_up(opened.error());
  Engine& engine = **opened;
  auto file = engine.open_file(argv[3], O_RDWR);
  if (!file) return give_up(file.error());
  auto mapping = file->map();
  if (!mapping) return give_up(mapping.error());
  if (mapping->size() < 16 || mapping->size() % 8 != 0) {
    std::fprintf(stderr, "error: FILE must have a multiple of 8 bytes, and 16 at least\n");
    return 1;
  }
  if (auto listening = engine.listen(*port); !listening) return give_up(listening.error());
  say("listening");

  std::atomic<bool> stopping{false};
  std::thread writer([&] { count_up(*mapping, stopping); });
  std::map<std::uint32_t, std::string> pending;
  const int status = cookbook::serve(engine, signals, [&](const Event& event) {
    if (event.kind == Event::Kind::readable) {
      auto& text = pending[event.connection.slot];
      while (const auto line = cookbook::take_line(engine, event.connection, text)) {
        if (auto sent = answer(engine, event.connection, *file, parse(*line)); sent) continue;
        (void)engine.abort(event.connection);  // the client cannot tell what would be missing
        return;
      }
    } else if (event.kind == Event::Kind::peer_closed) {
      (void)engine.close(event.connection);
    } else if (event.kind == Event::Kind::closed) {
      pending.erase(event.connection.slot);
    }
  });
  stopping = true;
  writer.join();
  return status;
}
