// SPDX-License-Identifier: Apache-2.0
// How long a writer's store takes when it meets a protected page: the time of one 8-byte store to a
// mapped file, from before it to after it.
//
//     memcpy       4 KiB from one frame to another, both out of a region larger than the nearer
//                  caches: what a copy alone costs, without a fault
//     bare fault   a write-protect fault answered by a thread that only lifts the protection
//     lift         the page cache's guard; no snapshot needs the old bytes
//     in place     a snapshot needs them: copied to a spare frame, the writer goes on where it is
//     redirect     and a descriptor is on the frame: the writer is moved to a copy
//
// Stores one after another, so that whoever answers may be awake still, and stores with pauses, so
// that he has to be woken; with who answers on the writer's processor and on another: in a virtual
// machine an interrupt between processors may cost several times what the rest does, and left alone
// the scheduler puts the one here and the other there.
//
// Batches of the variants are interleaved. Freezing, pinning, releasing and coming home lie between
// the batches and are not in the times; the guard's ticks are.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
#include <sched.h>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "pagecache/cache_core.hpp"
#include "tests/bench/bare_fault.hpp"
#include "tests/bench/interrupt.hpp"
#include "tests/bench/statistics.hpp"

namespace strictsend::bench {
namespace {

using pagecache::CacheCore;
using pagecache::CachedFile;
using pagecache::SnapshotState;

constexpr std::uint32_t file_pages = 16384;
constexpr std::uint32_t spare_frames = 4096;
constexpr std::uint32_t batch_pages = 32;
constexpr int pause_us = 200;
constexpr std::string_view guard_thread_name = "strictsend-grd";

template <class T>
T value(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message());
  return *std::move(result);
}

class PreserveBench {
 public:
  explicit PreserveBench(Interrupt& interrupt) : interrupt_(interrupt), bare_(file_pages) {
    pagecache::CacheConfig config;
    config.cache_bytes = std::uint64_t{file_pages + spare_frames} * page_bytes;
    config.spare_frames = spare_frames;
    config.snapshots_max = 64;
    core_ = value(CacheCore::create(config));
    file_ = value(core_->create_file(std::uint64_t{file_pages} * page_bytes));
    for (const pagecache::FrameRun& run : file_->extents())
      std::memset(core_->arena().dma(run.first), 7, std::uint64_t{run.count} * page_bytes);
    mapping_ = value(core_->map(file_)).data();
  }
  PreserveBench(const PreserveBench&) = delete;
  PreserveBench& operator=(const PreserveBench&) = delete;
  ~PreserveBench() {
    file_.reset();
    core_->shutdown();
  }

  /// Takes and prints the samples. False: interrupted.
  bool run(std::size_t samples);

 private:
  struct Variant {
    const char* name;
    std::function<void(const std::vector<std::uint32_t>& pages)> batch;
    std::vector<double> us;         ///< one store after another
    std::vector<double> paused_us;  ///< with a pause before each
  };

  /// Times `action`, after the pause.
  template <class Action>
  void sample(Action&& action) {
    if (pause_.count() != 0) std::this_thread::sleep_for(pause_);
    const Time begin = monotonic_now();
    action();
    into_->push_back(static_cast<double>((monotonic_now() - begin).ns) / 1e3);
  }
  void store(std::byte* page) {
    sample([&] { *reinterpret_cast<volatile std::uint64_t*>(page) = ++written_; });
  }
  [[nodiscard]] std::byte* mapped(std::uint32_t page) const {
    return mapping_ + std::uint64_t{page} * page_bytes;
  }
  std::vector<std::uint32_t> some_pages();
  void settle() const {
    if (!core_->settle(seconds(60))) throw std::runtime_error("the page cache does not settle");
  }

  void copy(const std::vector<std::uint32_t>& pages);
  void bare(const std::vector<std::uint32_t>& pages);
  void lift(const std::vector<std::uint32_t>& pages);
  void in_place(const std::vector<std::uint32_t>& pages);
  void redirect(const std::vector<std::uint32_t>& pages);
  void check_counters(std::size_t samples, const pagecache::CacheStats& before) const;

  Interrupt& interrupt_;
  BareFault bare_;
  std::shared_ptr<CacheCore> core_;
  std::shared_ptr<CachedFile> file_;
  std::byte* mapping_ = nullptr;
  std::minstd_rand random_;
  std::uint64_t written_ = 0;
  std::chrono::microseconds pause_{0};
  std::vector<double>* into_ = nullptr;
};

std::vector<std::uint32_t> PreserveBench::some_pages() {
  std::vector<std::uint32_t> pages;
  while (pages.size() < batch_pages) {
    const auto page = static_cast<std::uint32_t>(random_() % file_pages);
    if (std::find(pages.begin(), pages.end(), page) == pages.end()) pages.push_back(page);
  }
  return pages;
}

void PreserveBench::copy(const std::vector<std::uint32_t>& pages) {
  // Between pages of the bare region: the same amount of memory, and nobody watches its view.
  for (std::size_t i = 0; i < pages.size(); ++i) {
    const std::byte* from = bare_.view(pages[i]);
    std::byte* to = bare_.view(pages[(i + 1) % pages.size()] ^ 1);
    sample([&] {
      std::memcpy(to, from, page_bytes);
      asm volatile("" ::: "memory");
    });
  }
}

void PreserveBench::bare(const std::vector<std::uint32_t>& pages) {
  for (const std::uint32_t page : pages)
    bare_.protect(page);
  for (const std::uint32_t page : pages)
    store(bare_.page(page));
}

void PreserveBench::lift(const std::vector<std::uint32_t>& pages) {
  core_->release(value(core_->freeze(file_, 0, ~std::uint64_t{0})));
  settle();
  for (const std::uint32_t page : pages)
    store(mapped(page));
}

void PreserveBench::in_place(const std::vector<std::uint32_t>& pages) {
  SnapshotState* snapshot = value(core_->freeze(file_, 0, ~std::uint64_t{0}));
  for (const std::uint32_t page : pages)
    store(mapped(page));
  core_->release(snapshot);
  settle();
}

void PreserveBench::redirect(const std::vector<std::uint32_t>& pages) {
  SnapshotState* snapshot = value(core_->freeze(file_, 0, ~std::uint64_t{0}));
  std::vector<FrameIndex> pinned;
  for (const std::uint32_t page : pages) {
    FrameIndex frame;
    while (core_->resolve_and_pin(*snapshot, PageIndex{page}, frame) !=
           pagecache::PinOutcome::pinned) {
    }
    pinned.push_back(frame);
  }
  for (const std::uint32_t page : pages)
    store(mapped(page));
  for (const FrameIndex frame : pinned)
    core_->unpin(frame);
  core_->release(snapshot);
  settle();
}

/// That each store was answered in the way that its line in the table says.
void PreserveBench::check_counters(std::size_t samples, const pagecache::CacheStats& before) const {
  const pagecache::CacheStats after = core_->stats();
  const auto expect = [&](const char* what, std::uint64_t counted, std::uint64_t expected) {
    if (counted == expected) return;
    throw std::runtime_error(std::string(what) + ": " + std::to_string(counted) + " counted, " +
                             std::to_string(expected) + " expected");
  };
  expect("faults", after.write_faults - before.write_faults, 3 * samples);
  expect("pages preserved", after.pages_preserved - before.pages_preserved, samples);
  expect("pages redirected", after.pages_redirected - before.pages_redirected, samples);
  expect("waits for a frame", after.writer_waits - before.writer_waits, 0);
}

bool PreserveBench::run(std::size_t samples) {
  using Pages = const std::vector<std::uint32_t>&;
  std::vector<Variant> variants = {
      {"memcpy of 4 KiB", [this](Pages pages) { copy(pages); }, {}, {}},
      {"bare fault, only lifted", [this](Pages pages) { bare(pages); }, {}, {}},
      {"guard: lift", [this](Pages pages) { lift(pages); }, {}, {}},
      {"guard: preserve in place", [this](Pages pages) { in_place(pages); }, {}, {}},
      {"guard: redirect", [this](Pages pages) { redirect(pages); }, {}, {}},
  };
  constexpr std::size_t bare_variant = 1;
  const std::size_t batches = (samples + batch_pages - 1) / batch_pages;
  pagecache::CacheStats before;
  for (std::size_t batch = 0; batch <= batches; ++batch) {  // batch 0 warms up
    for (const bool paused : {false, true}) {
      pause_ = std::chrono::microseconds(paused ? pause_us : 0);
      for (Variant& variant : variants) {
        if (interrupt_.asked()) return false;
        // All of them start rested: who has just worked gets less of a busy processor.
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
        into_ = paused ? &variant.paused_us : &variant.us;
        variant.batch(some_pages());
      }
    }
    if (batch > 0) continue;
    before = core_->stats();
    for (Variant& variant : variants) {
      variant.us.clear();
      variant.paused_us.clear();
    }
  }
  check_counters(2 * batches * batch_pages, before);

  std::printf("%-26s %8s %8s %6s %6s   %8s %8s %6s %6s\n", "", "p50 us", "p99 us", "ratio", "ratio",
              "p50 us", "p99 us", "ratio", "ratio");
  const Variant& base = variants[bare_variant];
  for (const Variant& variant : variants) {
    std::printf("%-26s", variant.name);
    for (const auto us : {&Variant::us, &Variant::paused_us}) {
      const double p50 = quantile(variant.*us, 0.5);
      const double p99 = quantile(variant.*us, 0.99);
      std::printf(" %8.2f %8.1f %6.2f %6.2f  ", p50, p99, p50 / quantile(base.*us, 0.5),
                  p99 / quantile(base.*us, 0.99));
    }
    std::printf("\n");
  }
  return true;
}

/// The processors that this process may use.
std::vector<std::size_t> processors() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<std::size_t> found;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return found;
  for (std::size_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) found.push_back(cpu);
  }
  return found;
}

/// Puts the writer, the calling thread, on one processor and the threads that answer on another.
void place(std::size_t writer, std::size_t answering) {
  const auto pin = [](pid_t thread, std::size_t cpu) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (::sched_setaffinity(thread, sizeof set, &set) != 0)
      throw std::runtime_error("sched_setaffinity failed");
  };
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::ifstream(task.path() / "comm") >> name;
    if (name == guard_thread_name || name == BareFault::thread_name)
      pin(std::stoi(task.path().filename()), answering);
  }
  pin(0, writer);
}

constexpr const char* help_text = R"(preserve_bench - how long a store to a protected page takes

  --samples N   stores of each kind (default 4000)
  --help        this text
)";

int bench(int argc, char** argv) {
  std::size_t samples = 4000;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--help") {
      std::printf("%s", help_text);
      return EXIT_SUCCESS;
    }
    const std::string_view number = word == "--samples" && i + 1 < argc ? argv[++i] : "";
    const auto parsed = std::from_chars(number.data(), number.data() + number.size(), samples);
    if (number.empty() || parsed.ptr != number.data() + number.size() || samples == 0) {
      std::fprintf(stderr, "preserve_bench: what is '%s'?\n%s", argv[i], help_text);
      return 2;
    }
  }
  Interrupt interrupt;
  PreserveBench bench(interrupt);
  const std::vector<std::size_t> cpus = processors();
  std::printf("a writer's store to a protected page, %zu of each kind; ratios to the bare fault\n",
              samples);
  for (const bool same : {true, false}) {
    const std::size_t answering = same ? cpus.front() : cpus.back();
    if (!same && cpus.size() < 2) break;
    place(cpus.front(), answering);
    std::printf("\n%-26s %-33s  with a pause of %d us before each\n",
                same ? "answered on the same CPU" : "answered on another CPU", "one after another",
                pause_us);
    if (!bench.run(samples)) return Interrupt::exit_code;
  }
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace strictsend::bench

int main(int argc, char** argv) {
  try {
    return strictsend::bench::bench(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "preserve_bench: %s\n", error.what());
    return 1;
  }
}
