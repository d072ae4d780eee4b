// SPDX-License-Identifier: Apache-2.0
#include "apps/strictness/checker/check.hpp"

#include <algorithm>
#include <atomic>
#include <numeric>
#include <thread>

#include "apps/strictness/checker/writer_check.hpp"

namespace strictsend::checker {
namespace {

Verdict merge(const Layout& layout, const Download& download,
              std::span<std::vector<WriterFinding>> findings, std::size_t index) {
  Verdict verdict;
  if (download.bytes.size() != layout.file_bytes()) {
    verdict.first =
        Violation{Rule::whole, std::min<std::uint64_t>(download.bytes.size(), layout.file_bytes()),
                  "the download has " + std::to_string(download.bytes.size()) +
                      " bytes, the file " + std::to_string(layout.file_bytes())};
    return verdict;
  }
  std::vector<bool> wrong_pages;
  for (std::vector<WriterFinding>& of_writer : findings) {
    WriterFinding& finding = of_writer[index];
    verdict.cuts.push_back(finding.cut);
    verdict.wrong_words += finding.wrong_words;
    if (finding.first &&
        (!verdict.first || finding.first->offset_bytes < verdict.first->offset_bytes))
      verdict.first = std::move(finding.first);
    wrong_pages.resize(std::max(wrong_pages.size(), finding.wrong_pages.size()));
    for (std::size_t page = 0; page < finding.wrong_pages.size(); ++page)
      if (finding.wrong_pages[page]) wrong_pages[page] = true;
  }
  verdict.wrong_pages =
      static_cast<std::uint64_t>(std::count(wrong_pages.begin(), wrong_pages.end(), true));
  return verdict;
}

}  // namespace

std::vector<Verdict> check(const Layout& layout, std::span<const WriteLog> logs,
                           std::span<const Download> downloads, unsigned threads) {
  std::vector<std::vector<WriterFinding>> findings(layout.writers());
  std::atomic<std::uint32_t> next_writer =
      0;  // each thread takes the next one: fetch_add is enough
  const auto work = [&] {
    for (std::uint32_t writer = next_writer++; writer < layout.writers(); writer = next_writer++)
      findings[writer] = check_writer(layout, writer, logs[writer], downloads);
  };
  {
    std::vector<std::jthread> helpers;
    for (unsigned i = 1; i < std::min<unsigned>(threads, layout.writers()); ++i)
      helpers.emplace_back(work);
    work();
  }
  std::vector<Verdict> verdicts;
  verdicts.reserve(downloads.size());
  for (std::size_t i = 0; i < downloads.size(); ++i)
    verdicts.push_back(merge(layout, downloads[i], findings, i));
  return verdicts;
}

}  // namespace strictsend::checker
