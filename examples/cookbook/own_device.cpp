// SPDX-License-Identifier: Apache-2.0
//
// The same program on AF_XDP and on DPDK:
//
//     own_device af_xdp:eth0 PORT FILE
//     own_device dpdk:0000:01:00.0 PORT FILE 10.0.0.1/24 [EAL ARGUMENT…]
//
// On AF_XDP the interface has an address and a kernel that answers for it. A device that DPDK has
// taken has neither: the engine is told an address, and is the host behind it.
#include <fcntl.h>

#include "program.hpp"

namespace {

using cookbook::give_up;
using cookbook::say;
using strictsend::Engine;
using strictsend::Event;

// cookbook: address
/// "10.0.0.1/24" or "2001:db8::1/64".
bool set_address(strictsend::EngineConfig& config, std::string_view text) {
  const std::size_t slash = text.find('/');
  if (slash == std::string_view::npos) return false;
  const auto address = strictsend::parse_ip_address(text.substr(0, slash));
  const auto bits = cookbook::parse_number(text.substr(slash + 1), 128);
  if (!address || !bits || (address->is_v4() && *bits > 32)) return false;
  if (address->is_v4()) {
    config.address = address->v4();
    config.prefix_bits = static_cast<std::uint8_t>(*bits);
  } else {
    config.address6 = address->v6();
    config.prefix6_bits = static_cast<std::uint8_t>(*bits);
  }
  return true;
}
// cookbook: end

}  // namespace

int main(int argc, char** argv) {
  const auto port = argc >= 4 ? cookbook::parse_port(argv[2]) : std::nullopt;
  strictsend::EngineConfig config;
  if (!port || (argc >= 5 && !set_address(config, argv[4]))) {
    std::fprintf(stderr, "usage: own_device NIC PORT FILE [ADDRESS/BITS [EAL ARGUMENT…]]\n");
    return 2;
  }
  const cookbook::StopSignals signals;
  // cookbook: open
  config.nic = argv[1];
  for (int i = 5; i < argc; ++i)
    config.nic_arguments.emplace_back(argv[i]);
  config.cache_bytes = std::uint64_t{64} << 20;
  auto opened = Engine::open(config);
  if (!opened) return give_up(opened.error());
  Engine& engine = **opened;
  if (engine.port().owns_interface) say("no kernel behind the device: ARP and ping are answered");
  // cookbook: end
  auto file = engine.open_file(argv[3], O_RDONLY);
  if (!file) return give_up(file.error());
  if (auto listening = engine.listen(*port); !listening) return give_up(listening.error());
  say("listening: %s", engine.description().c_str());

  return cookbook::serve(engine, signals, [&](const Event& event) {
    if (event.kind == Event::Kind::accepted)
      cookbook::send_file_or_abort(engine, event.connection, *file);
  });
}
