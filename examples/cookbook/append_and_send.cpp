// SPDX-License-Identifier: Apache-2.0
//
// A log that is written through File by one thread and sent to whoever connects:
//
//     append_and_send NIC PORT FILE
//
// Each record is 64 bytes with a number, so that none crosses a page: a client always gets whole
// records, without a gap. FILE is emptied first, and has all of them at the end.
#include <atomic>
#include <chrono>
#include <fcntl.h>
#include <thread>

#include "program.hpp"

namespace {

using cookbook::give_up;
using cookbook::say;
using strictsend::Engine;
using strictsend::Event;

// cookbook: append
constexpr std::size_t record_bytes = 64;  // divides a page: each append is one instant

strictsend::Result<void> append_records(strictsend::File file, const std::atomic<bool>& stopping) {
  for (unsigned long number = 0; !stopping && number < 500'000; ++number) {
    std::array<char, record_bytes + 1> record;  // and the terminator of snprintf
    std::snprintf(record.data(), record.size(), "%-63lu\n", number);
    auto offset = file.append(std::as_bytes(std::span(record).first(record_bytes)));
    if (!offset) return tl::unexpected(offset.error());  // ENOBUFS: the cache is full
    if (number % 64 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return file.sync();  // to the disk, as one state
}
// cookbook: end

}  // namespace

int main(int argc, char** argv) {
  const auto port = argc == 4 ? cookbook::parse_port(argv[2]) : std::nullopt;
  if (!port) {
    std::fprintf(stderr, "usage: append_and_send NIC PORT FILE     (NIC: af_xdp:eth0)\n");
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
  if (auto emptied = file->truncate(0); !emptied) return give_up(emptied.error());
  if (auto listening = engine.listen(*port); !listening) return give_up(listening.error());
  say("listening");

  std::atomic<bool> stopping{false};
  strictsend::Result<void> appended;
  std::thread writer([&] { appended = append_records(*file, stopping); });
  // cookbook: stop
  const int status = cookbook::serve(engine, signals, [&](const Event& event) {
    if (event.kind != Event::Kind::accepted) return;
    cookbook::send_file_or_abort(engine, event.connection, *file);
  });
  // The engine is stopped, and not gone: files can be written and synced until it is destroyed.
  stopping = true;
  writer.join();
  if (!appended) return give_up(appended.error());
  // cookbook: end
  say("synced %llu bytes", static_cast<unsigned long long>(file->size_bytes()));
  return status;
}
