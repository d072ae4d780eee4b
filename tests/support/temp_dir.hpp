// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <random>
#include <span>
#include <stdexcept>
#include <stdlib.h>
#include <string>
#include <unistd.h>
#include <vector>

#include "base/unique_fd.hpp"

namespace strictsend::test {

/// A directory of the test's own, gone with it. `parent` chooses the file system.
class TempDir {
 public:
  explicit TempDir(const std::string& parent = std::filesystem::temp_directory_path().string()) {
    std::string name = parent + "/strictsend-test-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp " + name);
    path_ = name;
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] std::string path(const std::string& name = {}) const {
    return name.empty() ? path_ : path_ + "/" + name;
  }

 private:
  std::string path_;
};

inline std::vector<std::byte> random_bytes(std::size_t count, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::byte> bytes(count);
  for (std::size_t at = 0; at < count; at += sizeof(std::uint64_t)) {
    const std::uint64_t number = random();
    std::memcpy(bytes.data() + at, &number, std::min(sizeof number, count - at));
  }
  return bytes;
}

/// Writes in place (same inode), from offset 0, and cuts the file there.
inline void put_file(const std::string& path, std::span<const std::byte> bytes) {
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid()) throw std::runtime_error("open " + path);
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t moved =
        ::pwrite(fd.get(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
    if (moved <= 0) throw std::runtime_error("write " + path);
    done += static_cast<std::size_t>(moved);
  }
  if (::ftruncate(fd.get(), static_cast<off_t>(bytes.size())) != 0)
    throw std::runtime_error("truncate " + path);
}

inline std::vector<std::byte> get_file(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) throw std::runtime_error("open " + path);
  std::vector<std::byte> bytes;
  std::byte buffer[65536];
  for (;;) {
    const ssize_t moved = ::read(fd.get(), buffer, sizeof buffer);
    if (moved < 0) throw std::runtime_error("read " + path);
    if (moved == 0) return bytes;
    bytes.insert(bytes.end(), buffer, buffer + moved);
  }
}

}  // namespace strictsend::test
