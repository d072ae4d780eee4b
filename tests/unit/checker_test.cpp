// SPDX-License-Identifier: Apache-2.0
#include <atomic>
#include <cstring>
#include <fstream>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "apps/strictness/checker/check.hpp"
#include "apps/strictness/checker/mapped_file.hpp"
#include "apps/strictness/checker/writer.hpp"

namespace strictsend::checker {
namespace {

constexpr std::uint64_t page = Layout::page_bytes;
using Bytes = std::vector<std::byte>;

/// A file and its writers in made-up time: write n of every writer is one instant, 10 n ns, and its
/// batch's stamp is 5 ns before the first of them.
class World {
 public:
  World(const Layout::Parameters& parameters, std::uint64_t writes)
      : layout(Layout::create(parameters).value()), writes_(writes) {
    for (std::uint32_t writer = 0; writer < layout.writers(); ++writer) {
      WriteLog& log = logs.emplace_back(writes);
      for (std::uint64_t n = 1; n <= writes; n += WriteLog::batch_writes)
        log.begin_batch(instant_ns(n) - 5);
      log.finish((writes - 1) % WriteLog::batch_writes + 1, instant_ns(writes) + 5);
    }
  }

  static std::int64_t instant_ns(std::uint64_t n) { return static_cast<std::int64_t>(n) * 10; }

  /// The file after so many writes of each writer.
  [[nodiscard]] Bytes file_after(const std::vector<std::uint64_t>& writes) const {
    Bytes bytes(layout.file_bytes());
    Layout::fill_initial(bytes, 0);
    for (std::uint32_t writer = 0; writer < layout.writers(); ++writer)
      for (std::uint64_t n = 1; n <= writes[writer]; ++n)
        set_word(bytes, layout.word_of(writer, n), Layout::value_of(writer, n));
    return bytes;
  }
  [[nodiscard]] Bytes file_at(std::int64_t instant_ns) const {
    const auto n = std::min(static_cast<std::uint64_t>(instant_ns) / 10, writes_);
    return file_after(std::vector<std::uint64_t>(layout.writers(), n));
  }

  static void set_word(Bytes& bytes, std::uint64_t word, std::uint64_t value) {
    std::memcpy(bytes.data() + word * 8, &value, 8);
  }
  static void copy_page(const Bytes& from, std::size_t page_index, Bytes& to,
                        std::size_t to_index) {
    std::memcpy(to.data() + to_index * page, from.data() + page_index * page, page);
  }

  [[nodiscard]] Verdict judge(const Bytes& bytes, std::int64_t begin_ns,
                              std::int64_t return_ns) const {
    const Download download{"d", bytes, begin_ns, return_ns};
    return check(layout, logs, std::span(&download, 1)).front();
  }

  Layout layout;
  std::vector<WriteLog> logs;

 private:
  std::uint64_t writes_;
};

constexpr Layout::Parameters two_writers_sweeping{
    .file_bytes = 4 * page, .writers = 2, .pattern = Pattern::sweep};

void expect_violation(const Verdict& verdict, Rule rule, std::uint64_t offset_bytes,
                      const std::string& part_of_text) {
  ASSERT_FALSE(verdict.strict());
  EXPECT_EQ(verdict.first->rule, rule) << verdict.first->text;
  EXPECT_EQ(verdict.first->offset_bytes, offset_bytes) << verdict.first->text;
  EXPECT_NE(verdict.first->text.find(part_of_text), std::string::npos) << verdict.first->text;
}

TEST(Checker, accepts_a_file_that_nobody_has_written) {
  const World world(two_writers_sweeping, 100);
  const Verdict verdict = world.judge(world.file_at(0), 0, 0);
  EXPECT_TRUE(verdict.strict());
  EXPECT_EQ(verdict.cuts, (std::vector<std::uint64_t>{0, 0}));
}

TEST(Checker, accepts_every_instant_inside_the_submit) {
  const World world(two_writers_sweeping, 1500);  // each word is written once or twice
  for (std::int64_t instant_ns = 0; instant_ns <= World::instant_ns(1500); instant_ns += 970) {
    const Verdict verdict = world.judge(world.file_at(instant_ns), instant_ns, instant_ns);
    EXPECT_TRUE(verdict.strict()) << instant_ns << ": " << verdict.first->text;
    EXPECT_EQ(verdict.wrong_words, 0U);
  }
}

TEST(Checker, accepts_writers_that_had_come_differently_far_while_submit_ran) {
  const World world(two_writers_sweeping, 1000);
  const Verdict verdict =
      world.judge(world.file_after({200, 700}), World::instant_ns(200), World::instant_ns(700));
  EXPECT_TRUE(verdict.strict());
  EXPECT_EQ(verdict.cuts, (std::vector<std::uint64_t>{200, 700}));
}

TEST(Checker, finds_a_snapshot_older_than_its_submit) {
  const World world(two_writers_sweeping, 1000);
  // 512 writes had ended; write 501 of writer 0 goes to its 501st word, word 1000.
  const Verdict verdict =
      world.judge(world.file_after({500, 520}), World::instant_ns(513) - 4, 6000);
  expect_violation(verdict, Rule::ended_before, 8000, "write 501 of writer 0 ended before submit");
  EXPECT_EQ(verdict.wrong_words, 0U);
}

TEST(Checker, finds_a_write_that_began_after_submit_returned) {
  const World world(two_writers_sweeping, 1000);
  // Stamp of write 513 is 5125, so at 5124 at most 512 had begun. Writer 1's 513th word is word
  // 1025.
  const Verdict verdict = world.judge(world.file_after({512, 513}), 5000, 5124);
  expect_violation(verdict, Rule::begun_after, 8200,
                   "write 513 of writer 1 is in, but it began after");
}

TEST(Checker, gives_a_write_of_unknown_instant_the_benefit_of_the_doubt) {
  const World world(two_writers_sweeping, 1000);
  // Inside the batch of writes 513 … 528 neither bound can tell its writes apart.
  EXPECT_TRUE(world.judge(world.file_after({512, 528}), 5200, 5200).strict());
}

TEST(Checker, finds_a_hole_in_one_writers_order) {
  const World world(two_writers_sweeping, 1000);
  Bytes bytes = world.file_after({600, 600});
  const std::uint64_t word = world.layout.word_of(1, 590);
  World::set_word(bytes, word, Layout::initial_value(word));
  // Submit begins early, so that only the later write proves write 590 missing.
  const Verdict verdict = world.judge(bytes, 1000, 6100);
  expect_violation(verdict, Rule::writer_order, word * 8,
                   "expected write 590 of writer 1, since write 600 of this writer is in");
  EXPECT_EQ(verdict.wrong_words, 1U);
  EXPECT_EQ(verdict.wrong_pages, 1U);
}

TEST(Checker, finds_a_missing_write_that_had_ended) {
  const World world(two_writers_sweeping, 1500);
  Bytes bytes = world.file_after({1200, 1200});
  const std::uint64_t word = world.layout.word_of(0, 1100);  // which write 76 wrote before
  ASSERT_EQ(world.layout.word_of(0, 76), word);
  World::set_word(bytes, word, Layout::value_of(0, 76));
  const Verdict verdict = world.judge(bytes, World::instant_ns(1200), World::instant_ns(1200));
  expect_violation(verdict, Rule::ended_before, word * 8, "found the older write 76 of writer 0");
}

TEST(Checker, finds_a_stale_page) {
  const World world(two_writers_sweeping, 2000);
  Bytes bytes = world.file_after({1700, 1700});
  World::copy_page(world.file_after({900, 900}), 1, bytes, 1);
  const Verdict verdict = world.judge(bytes, World::instant_ns(1700), World::instant_ns(1700));
  ASSERT_FALSE(verdict.strict());
  EXPECT_EQ(verdict.first->rule, Rule::ended_before) << verdict.first->text;
  EXPECT_EQ(verdict.first->offset_bytes, 4096U);
  EXPECT_EQ(verdict.wrong_pages, 1U);
}

TEST(Checker, finds_a_page_from_the_future) {
  const World world(two_writers_sweeping, 2000);
  Bytes bytes = world.file_after({1100, 1100});
  World::copy_page(world.file_after({1900, 1900}), 1, bytes, 1);
  const Verdict verdict = world.judge(bytes, World::instant_ns(1100), World::instant_ns(1100));
  ASSERT_FALSE(verdict.strict());
  EXPECT_GT(verdict.wrong_words, 0U);
}

TEST(Checker, finds_swapped_pages_and_says_where_the_bytes_belong) {
  const World world(two_writers_sweeping, 2000);
  const Bytes right = world.file_after({2000, 2000});
  Bytes bytes = right;
  World::copy_page(right, 0, bytes, 2);
  World::copy_page(right, 2, bytes, 0);
  const Verdict verdict = world.judge(bytes, World::instant_ns(2000), World::instant_ns(2000));
  expect_violation(verdict, Rule::known_value, 0, "(to offset 8192), never stored there");
  EXPECT_EQ(verdict.wrong_pages, 2U);
}

TEST(Checker, finds_swapped_pages_that_were_never_written) {
  const World world(two_writers_sweeping, 16);
  const Bytes right = world.file_at(0);
  Bytes bytes = right;
  World::copy_page(right, 3, bytes, 2);
  expect_violation(world.judge(bytes, 0, 0), Rule::known_value, 8192,
                   "initial value of offset 12288");
}

TEST(Checker, finds_a_torn_word) {
  const World world(two_writers_sweeping, 1000);
  Bytes bytes = world.file_at(5000);
  // Half of the initial value, half of the write: what a store of 4 bytes at a time would leave.
  const std::uint64_t torn = (Layout::initial_value(200) & 0xffffffff00000000U) | 101U;
  World::set_word(bytes, 200, torn);
  expect_violation(world.judge(bytes, 5000, 5000), Rule::known_value, 1600,
                   "expected write 101 of writer 0");
}

TEST(Checker, finds_values_of_no_write) {
  const World world(two_writers_sweeping, 1000);
  for (const std::uint64_t garbage :
       {std::uint64_t{0}, std::uint64_t{0x7fffffffffffffff}, ~std::uint64_t{0},
        Layout::value_of(0, 1001), Layout::value_of(1, 500), Layout::value_of(0, 999)}) {
    Bytes bytes = world.file_at(5000);
    World::set_word(bytes, 300, garbage);
    const Verdict verdict = world.judge(bytes, 5000, 5000);
    ASSERT_FALSE(verdict.strict()) << garbage;
    EXPECT_EQ(verdict.first->rule, Rule::known_value) << verdict.first->text;
    EXPECT_EQ(verdict.first->offset_bytes, 2400U) << verdict.first->text;
    EXPECT_EQ(verdict.wrong_words, 1U);
  }
}

TEST(Checker, finds_a_download_of_the_wrong_size) {
  const World world(two_writers_sweeping, 100);
  Bytes bytes = world.file_at(500);
  bytes.resize(bytes.size() - 1);
  expect_violation(world.judge(bytes, 500, 500), Rule::whole, bytes.size(),
                   "has 16383 bytes, the file 16384");
  expect_violation(world.judge({}, 500, 500), Rule::whole, 0, "has 0 bytes");
}

TEST(Checker, names_the_violation_at_the_lowest_offset_of_all_writers) {
  const World world(two_writers_sweeping, 1000);
  Bytes bytes = world.file_at(5000);
  World::set_word(bytes, 301, 0);
  World::set_word(bytes, 300, 0);
  World::set_word(bytes, 700, 0);
  const Verdict verdict = world.judge(bytes, 5000, 5000);
  EXPECT_EQ(verdict.first->offset_bytes, 2400U);
  EXPECT_EQ(verdict.wrong_words, 3U);
  EXPECT_EQ(verdict.wrong_pages, 2U);
}

TEST(Checker, judges_many_downloads_each_by_itself_and_in_any_order) {
  const World world({.file_bytes = 16 * page, .writers = 3}, 20000);
  std::vector<Bytes> files;
  std::vector<Download> downloads;
  for (const std::int64_t at_ns : {150'000, 10'000, 90'000, 200'000, 50'000})
    files.push_back(world.file_at(at_ns));
  World::set_word(files[2], 17, 0);
  std::size_t i = 0;
  for (const std::int64_t at_ns : {150'000, 10'000, 90'000, 200'000, 50'000})
    downloads.push_back({"d", files[i++], at_ns, at_ns});
  for (const unsigned threads : {1U, 2U, 8U}) {
    const std::vector<Verdict> verdicts = check(world.layout, world.logs, downloads, threads);
    ASSERT_EQ(verdicts.size(), 5U);
    for (std::size_t d = 0; d < 5; ++d)
      EXPECT_EQ(verdicts[d].strict(), d != 2) << d;
    EXPECT_EQ(verdicts[0].cuts, (std::vector<std::uint64_t>{15000, 15000, 15000}));
  }
}

/// Writers at random speeds, snapshots at random instants of random submits; then the same with one
/// page of another instant.
class CheckerProperty : public testing::TestWithParam<Pattern> {};

TEST_P(CheckerProperty, one_instant_passes_and_a_page_of_another_instant_does_not) {
  unsigned torn = 0;
  for (unsigned seed = 1; seed <= 40; ++seed) {
    std::mt19937_64 random(seed);
    const auto below = [&](std::uint64_t bound) { return random() % bound; };
    const std::uint32_t writers = static_cast<std::uint32_t>(1 + below(5));
    const std::uint64_t pages = 1 + below(12);
    const Layout layout = Layout::create({.file_bytes = pages * page,
                                          .writers = writers,
                                          .pattern = GetParam(),
                                          .seed = seed,
                                          .hot_pages = 3})
                              .value();
    // Each write is a point in time; the log's stamps fall anywhere between its batches.
    std::vector<WriteLog> logs;
    std::vector<std::vector<std::int64_t>> instants_ns(writers);
    std::int64_t end_ns = 0;
    for (std::uint32_t writer = 0; writer < writers; ++writer) {
      const std::uint64_t writes = 1 + below(6000);
      WriteLog& log = logs.emplace_back(writes);
      std::int64_t now_ns = static_cast<std::int64_t>(below(1000));
      for (std::uint64_t n = 1; n <= writes; ++n) {
        if ((n - 1) % WriteLog::batch_writes == 0) log.begin_batch(now_ns);
        now_ns += static_cast<std::int64_t>(below(200) == 0 ? below(20'000) : below(20));
        instants_ns[writer].push_back(now_ns);
      }
      log.finish((writes - 1) % WriteLog::batch_writes + 1, now_ns);
      end_ns = std::max(end_ns, now_ns);
    }
    const auto file_at = [&](std::int64_t instant_ns) {
      Bytes bytes(layout.file_bytes());
      Layout::fill_initial(bytes, 0);
      for (std::uint32_t writer = 0; writer < writers; ++writer)
        for (std::uint64_t n = 1; n <= instants_ns[writer].size(); ++n)
          if (instants_ns[writer][n - 1] <= instant_ns)
            World::set_word(bytes, layout.word_of(writer, n), Layout::value_of(writer, n));
      return bytes;
    };
    const auto span_ns = static_cast<std::uint64_t>(end_ns) + 1;
    for (int i = 0; i < 4; ++i) {
      const auto instant_ns = static_cast<std::int64_t>(below(span_ns));
      const Bytes bytes = file_at(instant_ns);
      const Download right{"right", bytes, instant_ns - static_cast<std::int64_t>(below(500)),
                           instant_ns + static_cast<std::int64_t>(below(500))};
      const Verdict verdict = check(layout, logs, std::span(&right, 1)).front();
      ASSERT_TRUE(verdict.strict()) << "seed " << seed << ": " << verdict.first->text;
    }
    // One page from the end, the others from an instant before the half: with so many writes
    // between, whatever differs breaks a rule.
    const std::int64_t early_ns = static_cast<std::int64_t>(below(span_ns / 2 + 1));
    const Bytes late = file_at(end_ns);
    Bytes mixed = file_at(early_ns);
    const std::size_t replaced = below(pages);
    World::copy_page(late, replaced, mixed, replaced);
    if (mixed == file_at(early_ns) || mixed == late) continue;
    const Download wrong{"wrong", mixed, early_ns, early_ns};
    ++torn;
    ASSERT_FALSE(check(layout, logs, std::span(&wrong, 1)).front().strict()) << "seed " << seed;
  }
  EXPECT_GT(torn, 10U);
}

INSTANTIATE_TEST_SUITE_P(Patterns, CheckerProperty,
                         testing::Values(Pattern::uniform, Pattern::sweep, Pattern::hot_pages));

TEST(Layout, keeps_every_writer_on_its_own_words_and_inside_the_file) {
  for (const Pattern pattern : {Pattern::uniform, Pattern::sweep, Pattern::hot_pages})
    for (const std::uint32_t writers : {1U, 2U, 3U, 7U, 512U}) {
      const Layout layout =
          Layout::create({.file_bytes = 5 * page, .writers = writers, .pattern = pattern}).value();
      for (const std::uint32_t writer : {0U, writers / 2, writers - 1})
        for (std::uint64_t n = 1; n < 3000; ++n) {
          const std::uint64_t word = layout.word_of(writer, n);
          ASSERT_LT(word, layout.words());
          ASSERT_EQ(word % writers, writer);
        }
    }
}

TEST(Layout, uniform_and_sweep_reach_every_owned_word) {
  for (const Pattern pattern : {Pattern::uniform, Pattern::sweep}) {
    const Layout layout =
        Layout::create({.file_bytes = 4096, .writers = 3, .pattern = pattern}).value();
    std::set<std::uint64_t> words;
    for (std::uint64_t n = 1; n <= 5000; ++n)
      words.insert(layout.word_of(1, n));
    EXPECT_EQ(words.size(), layout.owned_words(1));
  }
}

TEST(Layout, hot_pages_are_few_and_the_same_for_all_writers) {
  const Layout layout =
      Layout::create(
          {.file_bytes = 1000 * page, .writers = 2, .pattern = Pattern::hot_pages, .hot_pages = 8})
          .value();
  std::set<std::uint64_t> pages[2];
  for (std::uint32_t writer = 0; writer < 2; ++writer)
    for (std::uint64_t n = 1; n <= 5000; ++n)
      pages[writer].insert(layout.word_of(writer, n) / Layout::words_per_page);
  EXPECT_LE(pages[0].size(), 8U);
  EXPECT_EQ(pages[0], pages[1]);
}

TEST(Layout, refuses_what_it_cannot_lay_out) {
  EXPECT_FALSE(Layout::create({.file_bytes = 0}));
  EXPECT_FALSE(Layout::create({.file_bytes = 4095}));
  EXPECT_FALSE(Layout::create({.file_bytes = 4096, .writers = 0}));
  EXPECT_FALSE(Layout::create({.file_bytes = 4096, .writers = 513}));
  EXPECT_FALSE(Layout::create({.file_bytes = 4096, .pattern = Pattern::hot_pages, .hot_pages = 0}));
}

TEST(WriteLog, bounds_hold_at_and_around_every_stamp) {
  WriteLog log(40);
  log.begin_batch(100);
  log.begin_batch(200);
  log.begin_batch(300);
  log.finish(8, 400);
  EXPECT_EQ(log.writes(), 40U);
  EXPECT_EQ(log.certainly_ended_before(100), 0U);
  EXPECT_EQ(log.certainly_ended_before(200), 0U);  // the stamp itself is not before
  EXPECT_EQ(log.certainly_ended_before(201), 16U);
  EXPECT_EQ(log.certainly_ended_before(301), 32U);
  EXPECT_EQ(log.certainly_ended_before(400), 32U);
  EXPECT_EQ(log.certainly_ended_before(401), 40U);
  EXPECT_EQ(log.possibly_begun_by(99), 0U);
  EXPECT_EQ(log.possibly_begun_by(100), 16U);
  EXPECT_EQ(log.possibly_begun_by(299), 32U);
  EXPECT_EQ(log.possibly_begun_by(300), 40U);
  EXPECT_EQ(log.longest_batch_ns(), 100);
}

TEST(WriteLog, of_a_writer_that_never_wrote_is_empty) {
  WriteLog log(40);
  log.finish(0, 400);
  EXPECT_EQ(log.writes(), 0U);
  EXPECT_EQ(log.certainly_ended_before(500), 0U);
  EXPECT_EQ(log.possibly_begun_by(500), 0U);
  EXPECT_EQ(log.longest_batch_ns(), 0);
}

TEST(Writer, leaves_exactly_what_its_log_says) {
  const Layout layout = Layout::create({.file_bytes = 64 * page, .writers = 2}).value();
  Bytes file(layout.file_bytes());
  Layout::fill_initial(file, 0);
  std::vector<WriteLog> logs(2, WriteLog(100'000));
  std::atomic<bool> stop = false;
  {
    std::jthread writers[2];
    for (std::uint32_t w = 0; w < 2; ++w)
      writers[w] =
          std::jthread([&, w] { write_until(stop, layout, w, logs[w], MappedStore(file)); });
  }  // each ends by itself when its log is full
  EXPECT_EQ(logs[0].writes(), 100'000U);
  const std::int64_t now_ns = monotonic_ns();
  const Download download{"the file itself", file, now_ns, now_ns};
  const Verdict verdict = check(layout, logs, std::span(&download, 1), 2).front();
  EXPECT_TRUE(verdict.strict()) << verdict.first->text;
  EXPECT_EQ(verdict.cuts, (std::vector<std::uint64_t>{100'000, 100'000}));
}

TEST(Writer, stops_when_told) {
  const Layout layout = Layout::create({.file_bytes = 4096}).value();
  Bytes file(layout.file_bytes());
  Layout::fill_initial(file, 0);
  std::vector<WriteLog> logs(1, WriteLog(1'000));
  std::atomic<bool> stop = true;
  write_until(stop, layout, 0, logs[0], MappedStore(file));
  EXPECT_EQ(logs[0].writes(), 0U);
  const Download download{"untouched", file, monotonic_ns(), monotonic_ns()};
  EXPECT_TRUE(check(layout, logs, std::span(&download, 1)).front().strict());
}

TEST(MappedFile, shows_the_bytes_of_a_file) {
  const std::string path = testing::TempDir() + "checker_test." + std::to_string(getpid());
  std::ofstream(path) << "hello";
  {
    const Result<MappedFile> file = MappedFile::open(path);
    ASSERT_TRUE(file) << file.error().operation;
    ASSERT_EQ(file->bytes().size(), 5U);
    EXPECT_EQ(std::memcmp(file->bytes().data(), "hello", 5), 0);
  }
  std::ofstream(path, std::ios::trunc).close();
  const Result<MappedFile> empty = MappedFile::open(path);
  ASSERT_TRUE(empty);
  EXPECT_TRUE(empty->bytes().empty());
  unlink(path.c_str());
  const Result<MappedFile> missing = MappedFile::open(path);
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().errno_value, ENOENT);
}

}  // namespace
}  // namespace strictsend::checker
