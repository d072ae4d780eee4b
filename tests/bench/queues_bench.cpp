// SPDX-License-Identifier: Apache-2.0
// What a second NIC queue, with its engine thread, brings.
//
// The engine alone: on a port that discards, with a peer that acknowledges, one thread for each
// queue and one for the application. With one file for both the queues pin the same frames; with a
// file each they share nothing but the cache. Other load takes processors away, so beside the rate
// by the clock stands that which the threads' processor time allows, had each had a core for
// itself.
//
// Over a veth pair: several curls at once fetch a cached file from an interface that is set to one
// queue or to two before each run. Here the receivers and the kernel's network stack work on the
// same processors as the engine, so the rate says what the machine can do as a whole, and the
// processor time per byte what the engine threads take of it.
//
// Variants are interleaved round by round; medians are printed, and ratios to the first variant.
#include <algorithm>
#include <atomic>
#include <barrier>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <pthread.h>
#include <sched.h>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <spdlog/spdlog.h>

#include "tests/bench/cpu_time.hpp"
#include "tests/bench/interrupt.hpp"
#include "tests/bench/sender.hpp"
#include "tests/bench/statistics.hpp"
#include "tests/bench/thread_time.hpp"
#include "tests/support/discard_engine.hpp"
#include "tests/support/netns.hpp"
#include "tests/support/proc.hpp"
#include "tests/support/temp_dir.hpp"

namespace strictsend::bench {
namespace {

constexpr int rounds = 5;

// The engine alone.

constexpr std::uint64_t segments_per_queue = 400'000;
constexpr std::size_t file_bytes = 16 << 20;

struct EngineVariant {
  const char* name;
  std::uint32_t queues;
  bool file_each;
  bool linear;
  std::unique_ptr<testing::DiscardEngine> engine;
  std::vector<double> segments_second;      ///< by the clock
  std::vector<double> segments_cpu_second;  ///< had each thread had a core for itself
  std::vector<double> ns_per_segment;
};

/// So that the scheduler does not put two of so short-lived threads on one core.
void pin_to_core(std::uint32_t number) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(number % std::thread::hardware_concurrency(), &cores);
  ::pthread_setaffinity_np(::pthread_self(), sizeof cores, &cores);
}

/// Has every queue send so many segments, all at the same time.
void measure(EngineVariant& variant, std::uint64_t segments) {
  testing::DiscardEngine& engine = *variant.engine;
  std::vector<double> cpu_ns(variant.queues);
  std::atomic<std::uint32_t> running = variant.queues;
  std::barrier begin(static_cast<std::ptrdiff_t>(variant.queues) + 1);
  std::vector<std::jthread> threads;
  for (std::uint32_t queue = 0; queue < variant.queues; ++queue) {
    threads.emplace_back([&, queue] {
      pin_to_core(queue);
      begin.arrive_and_wait();
      const std::uint64_t end = engine.peer(queue).data_segments() + segments;
      const double cpu_begin = thread_cpu_ns();
      while (engine.peer(queue).data_segments() < end)
        engine.poll(monotonic_now(), queue);
      cpu_ns[queue] = thread_cpu_ns() - cpu_begin;
      --running;
    });
  }
  begin.arrive_and_wait();
  const Time began = monotonic_now();
  while (running > 0) {
    engine.serve();
    std::this_thread::sleep_for(std::chrono::microseconds(500));
  }
  const double seconds = static_cast<double>((monotonic_now() - began).ns) / 1e9;
  threads.clear();
  double ns = 0;
  for (const double each : cpu_ns)
    ns += each;
  const double all = static_cast<double>(segments) * variant.queues;
  variant.segments_second.push_back(all / seconds);
  variant.segments_cpu_second.push_back(all / (*std::ranges::max_element(cpu_ns) / 1e9));
  variant.ns_per_segment.push_back(ns / all);
}

bool bench_engine(const std::string& directory, Interrupt& interrupt) {
  std::vector<std::string> paths = {directory + "/a", directory + "/b"};
  for (const std::string& path : paths)
    test::put_file(path, std::vector<std::byte>(file_bytes, std::byte{7}));
  std::vector<EngineVariant> variants;
  for (const bool linear : {false, true}) {
    variants.push_back(
        {linear ? "1 queue, linear" : "1 queue, fragments", 1, false, linear, nullptr, {}, {}, {}});
    variants.push_back(
        {linear ? "2 queues, linear, a file each" : "2 queues, fragments, a file each",
         2,
         true,
         linear,
         nullptr,
         {},
         {}});
    variants.push_back(
        {linear ? "2 queues, linear, the same file" : "2 queues, fragments, the same file",
         2,
         false,
         linear,
         nullptr,
         {},
         {}});
  }
  for (EngineVariant& variant : variants) {
    testing::DiscardEngine::Options options;
    options.path = paths[0];
    if (variant.file_each) options.paths = paths;
    options.connections = 4;
    options.queues = variant.queues;
    options.linear = variant.linear;
    options.splices_submitted = 4;
    variant.engine = std::make_unique<testing::DiscardEngine>(options);
    measure(variant, segments_per_queue / 10);
    for (auto* values :
         {&variant.segments_second, &variant.segments_cpu_second, &variant.ns_per_segment})
      values->clear();
  }
  for (int round = 0; round < rounds; ++round) {
    for (EngineVariant& variant : variants) {
      if (interrupt.asked()) return false;
      measure(variant, segments_per_queue);
    }
  }
  std::printf(
      "the engine alone, on a port that discards, MTU 1500; %u cores, median of %d rounds\n",
      std::thread::hardware_concurrency(), rounds);
  std::printf("%-36s %8s %6s %14s %6s %11s %6s\n", "", "Mseg/s", "ratio", "on own cores", "ratio",
              "CPU ns/seg", "ratio");
  for (const EngineVariant& variant : variants) {
    const EngineVariant& base = variants[variant.linear ? 3 : 0];
    const auto ratio = [&](std::vector<double> EngineVariant::*values) {
      return median(variant.*values) / median(base.*values);
    };
    std::printf("%-36s %8.2f %6.2f %14.2f %6.2f %11.0f %6.2f\n", variant.name,
                median(variant.segments_second) / 1e6, ratio(&EngineVariant::segments_second),
                median(variant.segments_cpu_second) / 1e6,
                ratio(&EngineVariant::segments_cpu_second), median(variant.ns_per_segment),
                ratio(&EngineVariant::ns_per_segment));
  }
  return true;
}

// Over a veth pair.

constexpr std::size_t served_bytes = 128 << 20;
constexpr int clients = 8;

struct CableVariant {
  const char* name;
  unsigned queues;
  TxForm form;
  std::vector<double> mib_second;
  std::vector<double> cpu_s_gib;         ///< of both ends
  std::vector<double> engine_cpu_s_gib;  ///< of the engine threads
  std::vector<double> busy_share;        ///< of the machine
};

Result<void> set_queues(const test::NetNamespacePair& net, unsigned queues) {
  const std::string count = std::to_string(queues);
  // Each end's transmit queues may not be more than the other end's receive queues while an XDP
  // program is attached; none is now.
  for (const auto& [end, netns_fd] :
       {std::pair{&net.near(), -1}, std::pair{&net.peer(), net.namespace_fd()}}) {
    const std::vector<std::string> argv = {"ethtool", "-L", end->interface_name, "rx", count,
                                           "tx",      count};
    const test::CommandResult done = test::run_command(argv, netns_fd);
    // Nothing to change is an error to ethtool before version 6.
    const bool unmodified = done.output.find("unmodified") != std::string::npos;
    if (done.exit_code != 0 && !unmodified)
      return fail("ethtool -L " + end->interface_name, 0, done.output);
  }
  return {};
}

Result<void> run_downloads(CableVariant& variant, const test::NetNamespacePair& net,
                           const std::string& directory, Interrupt& interrupt) {
  if (auto set = set_queues(net, variant.queues); !set) return set;
  auto sender = start_strictsend(
      {net.near().interface_name, net.near().address, directory, served_bytes}, variant.form);
  if (!sender) return tl::unexpected(std::move(sender.error()));
  const std::string count = std::to_string(clients);
  const std::string url =
      "http://" + net.near().address + ":" + std::to_string(Sender::port) + "/" + Sender::file_name;
  const CpuTime cpu = CpuTime::now({});
  const double engine_cpu = test::engine_threads_seconds();
  const Time began = monotonic_now();
  auto peers = net.spawn_in_namespace({"sh", "-c",
                                       "seq " + count + " | xargs -P " + count +
                                           " -I{} curl --silent --show-error --fail --output "
                                           "/dev/null --write-out '%{size_download}\\n' " +
                                           url});
  if (!peers) return tl::unexpected(std::move(peers.error()));
  std::optional<test::CommandResult> result;
  while (!(result = peers->wait(milliseconds(200)))) {
    if (interrupt.asked()) return fail("downloads", ECANCELED, "interrupted");
  }
  const double seconds = static_cast<double>((monotonic_now() - began).ns) / 1e9;
  const CpuTime took = CpuTime::now({}) - cpu;
  const double engine_took = test::engine_threads_seconds() - engine_cpu;
  std::string wanted;
  for (int i = 0; i < clients; ++i)
    wanted += std::to_string(served_bytes) + "\n";
  if (result->exit_code != 0 || result->output != wanted)
    return fail("downloads", 0, "curl says: " + result->output);
  const double gib = static_cast<double>(served_bytes) * clients / (1 << 30);
  variant.mib_second.push_back(gib * 1024 / seconds);
  variant.cpu_s_gib.push_back(took.own_seconds / gib);
  variant.engine_cpu_s_gib.push_back(engine_took / gib);
  variant.busy_share.push_back(took.busy_seconds / seconds / std::thread::hardware_concurrency());
  return {};
}

Result<void> bench_cable(const std::string& directory, Interrupt& interrupt) {
  auto net = test::NetNamespacePair::create({.queues = 2});
  if (!net) return tl::unexpected(std::move(net.error()));
  test::put_file(directory + "/" + Sender::file_name, test::random_bytes(served_bytes, 1));
  std::vector<CableVariant> variants = {
      {"1 queue, linear", 1, TxForm::linear, {}, {}, {}, {}},
      {"2 queues, linear", 2, TxForm::linear, {}, {}, {}, {}},
      {"1 queue, fragments", 1, TxForm::fragments, {}, {}, {}, {}},
      {"2 queues, fragments", 2, TxForm::fragments, {}, {}, {}, {}},
  };
  for (int round = 0; round <= rounds; ++round) {
    for (CableVariant& variant : variants) {
      if (auto done = run_downloads(variant, *net, directory, interrupt); !done) return done;
      if (round == 0) variant = {variant.name, variant.queues, variant.form, {}, {}, {}, {}};
    }
  }
  std::printf(
      "\n%d curls at once fetch %zu MiB each over a veth pair, MTU 1500; engine, kernel and\n"
      "receivers on the same %u cores, median of %d rounds\n",
      clients, served_bytes >> 20, std::thread::hardware_concurrency(), rounds);
  std::printf("%-22s %8s %7s %10s %7s %13s %7s %6s\n", "", "MiB/s", "ratio", "CPU s/GiB", "ratio",
              "engine thrds", "ratio", "busy");
  for (const CableVariant& variant : variants) {
    const CableVariant& base = variants[variant.form == TxForm::linear ? 0 : 2];
    const auto ratio = [&](std::vector<double> CableVariant::*values) {
      return median(variant.*values) / median(base.*values);
    };
    std::printf("%-22s %8.0f %7.2f %10.2f %7.2f %13.2f %7.2f %4.0f %%\n", variant.name,
                median(variant.mib_second), ratio(&CableVariant::mib_second),
                median(variant.cpu_s_gib), ratio(&CableVariant::cpu_s_gib),
                median(variant.engine_cpu_s_gib), ratio(&CableVariant::engine_cpu_s_gib),
                100 * median(variant.busy_share));
  }
  return {};
}

int run_bench() {
  Interrupt interrupt;
  spdlog::set_level(spdlog::level::critical);
  const test::TempDir engine_directory;
  if (!bench_engine(engine_directory.path(), interrupt)) return Interrupt::exit_code;
  if (const auto reason = test::NetNamespacePair::unavailable()) {
    std::printf("skipped: %s\n", reason->c_str());
    return 77;
  }
  const test::TempDir served_directory;
  if (auto done = bench_cable(served_directory.path(), interrupt); !done) {
    std::fprintf(stderr, "queues_bench: %s\n", done.error().message().c_str());
    return interrupt.asked() ? Interrupt::exit_code : EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace strictsend::bench

int main() {
  try {
    return strictsend::bench::run_bench();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "queues_bench: %s\n", error.what());
    return 1;
  }
}
