// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/download.hpp"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <fstream>

#include "base/clock.hpp"
#include "base/page.hpp"
#include "tests/bench/page_rewriter.hpp"

namespace strictsend::bench {
namespace {

using test::CommandResult;

std::string url(const Cable& cable) {
  return "http://" + cable.net.near().address + ":" + std::to_string(Sender::port) + "/" +
         Sender::file_name;
}

Result<CommandResult> run_client(const Cable& cable, const std::vector<std::string>& argv,
                                 Interrupt& interrupt) {
  auto client = cable.net.spawn_in_namespace(argv);
  if (!client) return tl::unexpected(std::move(client.error()));
  while (true) {
    auto ended = client->wait(milliseconds(200));
    // Asked first: a Ctrl-C ends the client too.
    if (interrupt.asked()) return fail(argv[0], ECANCELED, "interrupted");
    if (!ended) continue;
    if (ended->exit_code != 0) return fail(argv[0], 0, ended->output);
    return *std::move(ended);
  }
}

double frames_sent(const Cable& cable) {
  double frames = 0;
  std::ifstream("/sys/class/net/" + cable.net.near().interface_name + "/statistics/tx_packets") >>
      frames;
  return frames;
}

double seconds_of(Duration duration) {
  return static_cast<double>(duration.ns) / 1e9;
}

}  // namespace

Result<Cable> Cable::create(bool default_offloads, bool checksum_offload) {
  test::NetNamespacePair::Options options;
  options.near_tx_offload = options.peer_tx_offload = checksum_offload;
  auto net = test::NetNamespacePair::create(options);
  if (!net) return tl::unexpected(std::move(net.error()));
  Cable cable{std::move(*net), default_offloads};
  if (default_offloads) return cable;
  for (const auto& [end, netns_fd] :
       {std::pair{&cable.net.near(), -1}, std::pair{&cable.net.peer(), cable.net.namespace_fd()}}) {
    const CommandResult done = test::run_command(
        {"ethtool", "-K", end->interface_name, "tso", "off", "gso", "off", "gro", "off"}, netns_fd);
    if (done.exit_code != 0) return fail("ethtool -K " + end->interface_name, 0, done.output);
  }
  return cable;
}

Result<Download> download(const Cable& cable, const Sender& sender, double rewritten_share,
                          std::uint64_t seed, Interrupt& interrupt) {
  const std::span<std::byte> mapping = sender.mapping();
  const Sender::Counters counters = sender.counters();
  const double frames = frames_sent(cable);
  const double page_count = static_cast<double>(mapping.size()) / page_bytes;
  const Time begin = monotonic_now();
  const CpuTime cpu = CpuTime::now(sender.processes());
  PageRewriter rewriter(mapping, rewritten_share * page_count, seed);
  const auto client =
      run_client(cable,
                 {"curl", "--silent", "--show-error", "--fail", "--output", "/dev/null",
                  "--write-out", "%{size_download} %{time_total}", url(cable)},
                 interrupt);
  rewriter.stop();
  Download result;
  result.cpu = CpuTime::now(sender.processes()) - cpu;
  result.elapsed_seconds = seconds_of(monotonic_now() - begin);
  if (!client) return tl::unexpected(client.error());

  unsigned long long bytes = 0;
  if (std::sscanf(client->output.c_str(), "%llu %lf", &bytes, &result.seconds) != 2 ||
      bytes != mapping.size()) {
    return fail("a download of " + std::to_string(mapping.size()) + " bytes", 0,
                "curl says: " + client->output);
  }
  result.frames = frames_sent(cable) - frames;
  result.pages_rewritten_second =
      static_cast<double>(rewriter.pages()) / seconds_of(monotonic_now() - begin);
  const Sender::Counters after = sender.counters();
  result.counters = {after.write_faults - counters.write_faults,
                     after.pages_preserved - counters.pages_preserved,
                     after.pages_redirected - counters.pages_redirected,
                     after.segments_retransmitted - counters.segments_retransmitted};
  return result;
}

Result<void> check_content(const Cable& cable, const std::string& path, Interrupt& interrupt) {
  // A download that ends early makes cmp fail too.
  const auto same = run_client(
      cable,
      {"sh", "-c", "curl --silent --show-error --fail '" + url(cable) + "' | cmp - '" + path + "'"},
      interrupt);
  if (!same) return tl::unexpected(same.error());
  return {};
}

}  // namespace strictsend::bench
