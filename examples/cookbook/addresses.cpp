// SPDX-License-Identifier: Apache-2.0
//
// Answers on the addresses that are named, IPv4 or IPv6 or one of each; on the interface's own if
// none is:
//
//     addresses NIC PORT FILE [ADDRESS…]
#include <fcntl.h>

#include "program.hpp"

namespace {

using cookbook::give_up;
using cookbook::say;
using strictsend::Engine;
using strictsend::Event;

// cookbook: addresses
/// False: it is no address, or the second one of its family.
bool add_address(strictsend::EngineConfig& config, const char* text) {
  const auto address = strictsend::parse_ip_address(text);
  if (!address) return false;
  if (address->is_v4() && !config.address)
    config.address = address->v4();
  else if (address->is_v6() && !config.address6)
    config.address6 = address->v6();
  else
    return false;
  return true;
}
// cookbook: end

}  // namespace

int main(int argc, char** argv) {
  const auto port = argc >= 4 ? cookbook::parse_port(argv[2]) : std::nullopt;
  strictsend::EngineConfig config;
  bool sound = port.has_value();
  for (int i = 4; sound && i < argc; ++i)
    sound = add_address(config, argv[i]);
  if (!sound) {
    std::fprintf(stderr, "usage: addresses NIC PORT FILE [IPV4] [IPV6]     (NIC: af_xdp:eth0)\n");
    return 2;
  }
  const cookbook::StopSignals signals;
  config.nic = argv[1];
  config.cache_bytes = std::uint64_t{64} << 20;
  auto opened = Engine::open(config);
  if (!opened) return give_up(opened.error());
  Engine& engine = **opened;
  auto file = engine.open_file(argv[3], O_RDONLY);
  if (!file) return give_up(file.error());
  if (auto listening = engine.listen(*port); !listening) return give_up(listening.error());
  // cookbook: told
  for (const strictsend::IpAddress& address : engine.addresses())
    say("listening on %s:%u", strictsend::to_url_host(address).c_str(), unsigned{*port});
  // cookbook: end

  return cookbook::serve(engine, signals, [&](const Event& event) {
    if (event.kind != Event::Kind::accepted) return;
    say("from %s", strictsend::to_string(event.peer_address).c_str());
    cookbook::send_file_or_abort(engine, event.connection, *file);
  });
}
