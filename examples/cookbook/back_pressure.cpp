// SPDX-License-Identifier: Apache-2.0
//
// Sends a file in pieces, two of each connection under way at a time, with few splices in total:
//
//     back_pressure NIC PORT FILE
//
// What cannot be submitted now is submitted when something was released.
#include <fcntl.h>
#include <limits>
#include <map>

#include "program.hpp"

namespace {

using cookbook::give_up;
using cookbook::say;
using strictsend::Engine;
using strictsend::Event;

constexpr std::uint64_t piece_bytes = std::uint64_t{256} << 10;
constexpr unsigned pieces_out_max = 2;

struct Download {
  strictsend::ConnectionId connection;
  strictsend::Snapshot all;  ///< kept for the length of the download, so that it is of one instant
  std::uint64_t submitted_bytes = 0;
  unsigned pieces_out = 0;
};

class Downloads {
 public:
  Downloads(Engine& engine, strictsend::File& file) : engine_(engine), file_(file) {}

  void begin(strictsend::ConnectionId connection) {
    auto all = engine_.freeze(file_, 0, std::numeric_limits<std::uint64_t>::max());
    if (!all) return end(connection, all.error());
    Download& download = open_[connection.slot];
    download = {connection, std::move(*all)};
    submit_more(download);
  }
  // cookbook: pressure
  void submit_more(Download& download) {
    const std::uint64_t bytes = download.all.length_bytes();
    while (download.submitted_bytes < bytes && download.pieces_out < pieces_out_max) {
      auto piece = download.all.part(download.submitted_bytes, piece_bytes);
      if (!piece) return end(download.connection, piece.error());
      const std::uint64_t length = piece->length_bytes();
      strictsend::Splice splice;
      splice.connection = download.connection;
      splice.snapshot = std::move(*piece);
      if (auto submitted = engine_.submit(std::move(splice)); !submitted) {
        if (submitted.error().errno_value != EAGAIN)
          return end(download.connection, submitted.error());
        ++put_off_;  // all splices are in use: one that is released will have us try again
        return;
      }
      download.submitted_bytes += length;
      ++download.pieces_out;
    }
    if (download.submitted_bytes == bytes) (void)engine_.close(download.connection);
  }

  void released(const Event& event) {
    if (const auto it = open_.find(event.connection.slot);
        it != open_.end() && it->second.connection == event.connection)
      --it->second.pieces_out;
    for (auto& [slot, download] : open_)  // a splice is free: also for others that were put off
      submit_more(download);
  }
  // cookbook: end
  void closed(strictsend::ConnectionId connection) { open_.erase(connection.slot); }
  void drop_all() { open_.clear(); }
  [[nodiscard]] std::uint64_t put_off() const { return put_off_; }

 private:
  void end(strictsend::ConnectionId connection, const strictsend::Error& error) {
    give_up(error);
    (void)engine_.abort(connection);  // `closed` follows
  }

  Engine& engine_;
  strictsend::File& file_;
  std::map<std::uint32_t, Download> open_;  // by the connection's slot
  std::uint64_t put_off_ = 0;
};

}  // namespace

int main(int argc, char** argv) {
  const auto port = argc == 4 ? cookbook::parse_port(argv[2]) : std::nullopt;
  if (!port) {
    std::fprintf(stderr, "usage: back_pressure NIC PORT FILE     (NIC: af_xdp:eth0)\n");
    return 2;
  }
  const cookbook::StopSignals signals;
  strictsend::EngineConfig config;
  config.nic = argv[1];
  config.cache_bytes = std::uint64_t{64} << 20;
  config.max_splices = 4;  // so that it shows; thousands are usual
  auto opened = Engine::open(config);
  if (!opened) return give_up(opened.error());
  Engine& engine = **opened;
  auto file = engine.open_file(argv[3], O_RDONLY);
  if (!file) return give_up(file.error());
  if (auto listening = engine.listen(*port); !listening) return give_up(listening.error());
  say("listening");

  Downloads downloads(engine, *file);
  const int status = cookbook::serve(
      engine, signals,
      [&](const Event& event) {
        if (event.kind == Event::Kind::accepted) downloads.begin(event.connection);
        if (event.kind == Event::Kind::released) downloads.released(event);
        if (event.kind == Event::Kind::closed) downloads.closed(event.connection);
      },
      [&] { downloads.drop_all(); });
  say("put off %llu times", static_cast<unsigned long long>(downloads.put_off()));
  return status;
}
