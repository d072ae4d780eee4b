// SPDX-License-Identifier: Apache-2.0
// How fast a file that is four times as large as the cache is sent from the disk: the whole engine
// sends it once, from front to end, on a port that discards, out of a cache that holds nothing of
// it. Beside it fio reads the same file with direct reads of the length, and so many at a time, as
// the cache's loader makes them. The port cuts packets, so that the disk is what limits.
//
// The two are interleaved, round by round; medians are printed.
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <fcntl.h>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <unistd.h>
#include <vector>

#include <boost/program_options.hpp>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>

#include "apps/cli/values.hpp"
#include "pagecache/io_ring.hpp"
#include "tests/bench/interrupt.hpp"
#include "tests/bench/statistics.hpp"
#include "tests/bench/thread_time.hpp"
#include "tests/support/discard_engine.hpp"
#include "tests/support/process.hpp"
#include "tests/support/temp_dir.hpp"

namespace strictsend::bench {
namespace {

namespace po = boost::program_options;

constexpr const char* help_text =
    R"(disk_bench - a cold file of four times the cache, sent by the engine, beside fio reading it

  --cache SIZE              of the engine (default 256M); the file is four times as large
  --rounds N                of each (default 5)
  --directory DIR           where the file is made; its file system must take direct reads
                            (default /var/tmp)
  --help                    this text

Needs fio. Everything it makes is removed, on Ctrl-C too.
)";

constexpr double mib = 1 << 20;
constexpr std::uint64_t file_caches = 4;
/// Most of the way the loader reads ahead so far at once (pagecache/cache_core.cpp).
constexpr std::uint64_t read_ahead_bytes_max = 4 << 20;

struct Options {
  std::uint64_t cache_bytes = 256 << 20;
  unsigned rounds = 5;
  std::string directory = "/var/tmp";
  bool help = false;
};

tl::expected<Options, std::string> parse(int argc, char** argv) {
  po::options_description description;
  description.add_options()("cache", po::value<std::string>())("rounds", po::value<std::string>())(
      "directory", po::value<std::string>())("help", "");
  po::variables_map given;
  try {
    po::store(po::command_line_parser(argc, argv).options(description).positional({}).run(), given);
  } catch (const po::error& error) {
    return tl::unexpected(std::string(error.what()));
  }
  Options options;
  options.help = given.count("help") > 0;
  if (given.count("cache") > 0) {
    const auto size = cli::parse_size(given["cache"].as<std::string>());
    if (!size) return tl::unexpected("--cache: " + size.error());
    if (*size < (16 << 20) || *size % (1 << 20) != 0)
      return tl::unexpected(std::string("--cache: give whole MiB, 16M at least"));
    options.cache_bytes = *size;
  }
  if (given.count("rounds") > 0) {
    const auto rounds = cli::parse_number(given["rounds"].as<std::string>(), 1, 1000);
    if (!rounds) return tl::unexpected("--rounds: " + rounds.error());
    options.rounds = static_cast<unsigned>(*rounds);
  }
  if (given.count("directory") > 0) options.directory = given["directory"].as<std::string>();
  return options;
}

/// Of the loader.
struct Reads {
  std::uint64_t bytes = pagecache::IoRing::request_bytes_max;
  std::uint64_t depth = std::min<std::uint64_t>(
      pagecache::IoRing::depth, read_ahead_bytes_max / pagecache::IoRing::request_bytes_max);
};

Result<void> make_file(const std::string& path, std::uint64_t bytes, Interrupt& interrupt) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd.valid()) return fail("making " + path, errno, "name another directory: --directory");
  // Not zeros, which storage may keep as nothing.
  std::vector<std::byte> piece = test::random_bytes(1 << 20, 1);
  for (std::uint64_t at = 0; at < bytes; at += piece.size()) {
    std::rotate(piece.begin(), piece.begin() + 4097, piece.end());
    if (::write(fd.get(), piece.data(), piece.size()) != static_cast<ssize_t>(piece.size()))
      return fail("writing " + path, errno, "name a directory with room: --directory");
    if (interrupt.asked()) return fail("writing " + path, ECANCELED);
  }
  if (::fsync(fd.get()) != 0) return fail("fsync " + path, errno);
  // Neither reads through the kernel's page cache, and nothing of the file stays in it.
  ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED);
  return {};
}

/// Wakes the one thread that makes the engine's turns when pages have come, as the engine does.
class PagesCame {
 public:
  explicit PagesCame(pagecache::PageCache& cache) : cache_(cache) {
    cache_.on_pages_came([this] {
      {
        const std::scoped_lock lock(mutex_);
        came_ = true;
      }
      condition_.notify_one();
    });
  }
  PagesCame(const PagesCame&) = delete;
  PagesCame& operator=(const PagesCame&) = delete;
  ~PagesCame() { cache_.on_pages_came(nullptr); }

  void wait(std::chrono::microseconds limit) {
    std::unique_lock lock(mutex_);
    condition_.wait_for(lock, limit, [this] { return came_; });
    came_ = false;
  }

 private:
  pagecache::PageCache& cache_;
  std::mutex mutex_;
  std::condition_variable condition_;
  bool came_ = false;
};

struct Sent {
  double mib_second = 0;
  double engine_cpu_share = 0;  ///< of the time, that the engine thread computed
  double loaded_share = 0;      ///< pages that came from the disk, of the file's
};

Result<Sent> send_cold(const std::string& path, const Options& options, Interrupt& interrupt) {
  testing::DiscardEngine engine(
      {.path = path, .cache_bytes = options.cache_bytes, .segmentation = true});
  PagesCame came(engine.cache());
  const std::uint64_t bytes = options.cache_bytes * file_caches;
  const Time begin = monotonic_now();
  const double cpu_begin = thread_cpu_ns();
  while (engine.peer().payload_bytes() < bytes) {
    if (interrupt.asked()) return fail("sending", ECANCELED);
    bool worked = false;
    for (int i = 0; i < 16; ++i)
      worked = engine.poll(monotonic_now()) || worked;
    engine.serve();
    // The time limit is for the sender's timers.
    if (!worked && engine.loop().waits_for_pages() && !engine.loop().pages_have_come())
      came.wait(std::chrono::microseconds(500));
  }
  const double seconds = static_cast<double>((monotonic_now() - begin).ns) / 1e9;
  const pagecache::CacheStats stats = engine.cache().stats();
  return Sent{static_cast<double>(bytes) / mib / seconds,
              (thread_cpu_ns() - cpu_begin) / 1e9 / seconds,
              static_cast<double>(stats.pages_loaded * page_bytes) / static_cast<double>(bytes)};
}

Result<double> read_with_fio(const std::string& path, const Reads& reads) {
  const test::CommandResult done =
      test::run_command({"fio", "--name=cold", "--filename=" + path, "--readonly", "--rw=read",
                         "--direct=1", "--ioengine=io_uring", fmt::format("--bs={}", reads.bytes),
                         fmt::format("--iodepth={}", reads.depth), "--output-format=json"},
                        -1, seconds(600));
  // What it warns of stands in front.
  const std::size_t begin = done.output.find('{');
  const auto report = nlohmann::json::parse(
      begin == std::string::npos ? std::string() : done.output.substr(begin), nullptr, false);
  if (done.exit_code != 0 || report.is_discarded() || !report.contains("jobs"))
    return fail("fio", 0, done.output);
  return report["jobs"][0]["read"]["bw_bytes"].get<double>() / mib;
}

Result<void> run(const Options& options, Interrupt& interrupt) {
  const test::TempDir directory(options.directory);
  const std::string path = directory.path("file");
  if (auto made = make_file(path, options.cache_bytes * file_caches, interrupt); !made) return made;
  const Reads reads;
  std::vector<double> fio;
  std::vector<double> engine;
  std::vector<double> ratios;
  std::vector<double> cpu_shares;
  std::vector<double> loaded_shares;
  for (unsigned round = 0; round <= options.rounds; ++round) {
    auto sent = send_cold(path, options, interrupt);
    if (!sent) return tl::unexpected(std::move(sent.error()));
    auto read = read_with_fio(path, reads);
    if (!read) return tl::unexpected(std::move(read.error()));
    if (interrupt.asked()) return fail("reading", ECANCELED);
    if (round == 0) continue;  // whoever is below may have had to fetch the file
    fio.push_back(*read);
    engine.push_back(sent->mib_second);
    ratios.push_back(sent->mib_second / *read);
    cpu_shares.push_back(sent->engine_cpu_share);
    loaded_shares.push_back(sent->loaded_share);
  }
  std::printf("a file of %s sent once out of a cache of %s that holds none of it; %u rounds\n",
              cli::format_size(static_cast<double>(options.cache_bytes * file_caches)).c_str(),
              cli::format_size(static_cast<double>(options.cache_bytes)).c_str(), options.rounds);
  std::printf("%-44s %8s %7s %7s %6s\n", "", "MiB/s", "min", "max", "ratio");
  const auto row = [](const std::string& name, const std::vector<double>& values, double ratio) {
    std::printf("%-44s %8.0f %7.0f %7.0f %6.2f\n", name.c_str(), median(values),
                *std::ranges::min_element(values), *std::ranges::max_element(values), ratio);
  };
  row(fmt::format("fio, direct reads of {} KiB, {} at a time", reads.bytes >> 10, reads.depth), fio,
      1);
  row("engine, on a port that discards and cuts", engine, median(ratios));
  std::printf(
      "the ratio is the median of the rounds' own ratios. The engine thread computed %.0f %% of the "
      "time;\nof the file's pages %.0f %% came from the disk, those that came twice included\n",
      100 * median(cpu_shares), 100 * median(loaded_shares));
  return {};
}

int bench(int argc, char** argv) {
  const auto options = parse(argc, argv);
  if (!options) {
    std::fprintf(stderr, "disk_bench: %s\n%s", options.error().c_str(), help_text);
    return 2;
  }
  if (options->help) {
    std::printf("%s", help_text);
    return 0;
  }
  Interrupt interrupt;
  spdlog::set_level(spdlog::level::warn);
  if (auto done = run(*options, interrupt); !done) {
    std::fprintf(stderr, "disk_bench: %s\n", done.error().message().c_str());
    return interrupt.asked() ? Interrupt::exit_code : 1;
  }
  return 0;
}

}  // namespace
}  // namespace strictsend::bench

int main(int argc, char** argv) {
  try {
    return strictsend::bench::bench(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "disk_bench: %s\n", error.what());
    return 1;
  }
}
