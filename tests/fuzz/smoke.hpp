// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

namespace strictsend::test {

inline volatile std::sig_atomic_t smoke_seed = 0;

/// Calls run(bytes) for each of so many generated inputs, or for that of STRICTSEND_SEED alone. A
/// broken invariant aborts; then the last line of the output says how to repeat it. Returns whether
/// all of them have run.
template <class Run>
bool run_generated(unsigned inputs, std::size_t bytes_max, Run&& run) {
  unsigned first = 1;
  unsigned last = inputs;
  const char* chosen = std::getenv("STRICTSEND_SEED");  // NOLINT(concurrency-mt-unsafe)
  if (chosen != nullptr) first = last = static_cast<unsigned>(std::strtoul(chosen, nullptr, 10));
  const auto before = std::signal(SIGABRT, [](int) {
    std::fprintf(stderr, "repeat it with STRICTSEND_SEED=%d\n", static_cast<int>(smoke_seed));
  });
  for (unsigned seed = first; seed <= last; ++seed) {
    smoke_seed = static_cast<std::sig_atomic_t>(seed);
    std::mt19937 random(seed);
    std::vector<std::byte> bytes(random() % bytes_max);
    for (std::byte& byte : bytes)
      byte = static_cast<std::byte>(random());
    run(bytes);
  }
  std::signal(SIGABRT, before);
  return chosen == nullptr;
}

/// Calls run(bytes) for each file of the folder, in the order of their names; how many there are.
template <class Run>
std::size_t run_corpus(const std::filesystem::path& folder, Run&& run) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    files.push_back(entry.path());
  std::ranges::sort(files);
  for (const std::filesystem::path& file : files) {
    std::ifstream in(file, std::ios::binary);
    const std::string text((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    std::vector<std::byte> bytes(text.size());
    std::ranges::transform(text, bytes.begin(), [](char c) { return static_cast<std::byte>(c); });
    run(bytes);
  }
  return files.size();
}

}  // namespace strictsend::test
