// SPDX-License-Identifier: Apache-2.0
//
// Serves several queues of a NIC, an engine thread each, and tells at the end what each has done:
//
//     queues NIC PORT FILE QUEUES
#include <cinttypes>
#include <fcntl.h>

#include "program.hpp"

namespace {

using cookbook::give_up;
using cookbook::say;
using strictsend::Engine;
using strictsend::Event;

// cookbook: statistics
void report(const Engine& engine) {
  const strictsend::EngineStats all = engine.stats();  // any thread, at any time
  say("in all: %" PRIu64 " connections, %" PRIu64 " payload bytes, %" PRIu64
      " of them copied, %" PRIu64 " segments again",
      all.connections_accepted, all.payload_bytes_sent, all.payload_bytes_copied,
      all.segments_retransmitted);
  for (std::uint32_t queue = 0; queue < engine.queue_count(); ++queue) {
    const strictsend::QueueStats one = engine.queue_stats(queue);
    say("queue %u: %" PRIu64 " connections, %" PRIu64 " segments, %" PRIu64 " packets in %" PRIu64
        " kicks",
        queue, one.connections_accepted, one.segments_sent, one.nic_packets_sent, one.nic_kicks);
  }
}
// cookbook: end

}  // namespace

int main(int argc, char** argv) {
  const auto port = argc == 5 ? cookbook::parse_port(argv[2]) : std::nullopt;
  const auto queues = argc == 5 ? cookbook::parse_number(argv[4], 256) : std::nullopt;
  if (!port || !queues) {
    std::fprintf(stderr, "usage: queues NIC PORT FILE QUEUES     (0: all that the NIC has)\n");
    return 2;
  }
  const cookbook::StopSignals signals;
  // cookbook: open
  strictsend::EngineConfig config;
  config.nic = argv[1];
  config.queues = static_cast<std::uint32_t>(*queues);
  config.cache_bytes = std::uint64_t{64} << 20;
  auto opened = Engine::open(config);
  if (!opened) return give_up(opened.error());
  Engine& engine = **opened;
  const strictsend::PortFacts facts = engine.port();
  say("%s, MTU %u, %u queues, %s, %" PRIu64 " bytes of memory", facts.driver.c_str(),
      facts.mtu_bytes, facts.queues,
      facts.form == strictsend::TxForm::linear ? "copying payload" : "sending the pages",
      engine.memory_bytes());
  // cookbook: end
  auto file = engine.open_file(argv[3], O_RDONLY);
  if (!file) return give_up(file.error());
  if (auto listening = engine.listen(*port); !listening) return give_up(listening.error());
  say("listening");

  const int status = cookbook::serve(engine, signals, [&](const Event& event) {
    if (event.kind == Event::Kind::accepted)
      cookbook::send_file_or_abort(engine, event.connection, *file);
  });
  report(engine);
  return status;
}
