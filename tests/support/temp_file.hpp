// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <stdexcept>
#include <stdlib.h>
#include <string>
#include <unistd.h>
#include <utility>

#include "base/unique_fd.hpp"

namespace strictsend::testing {

/// A file in /tmp that goes away with its owner. Move-only.
class TempFile {
 public:
  TempFile() : path_("/tmp/strictsend-test-XXXXXX"), fd_(::mkstemp(path_.data())) {
    if (!fd_.valid()) throw std::runtime_error("mkstemp failed");
  }
  TempFile(TempFile&& other) noexcept
      : path_(std::exchange(other.path_, {})), fd_(std::move(other.fd_)) {}
  TempFile& operator=(TempFile&&) = delete;
  TempFile(const TempFile&) = delete;
  TempFile& operator=(const TempFile&) = delete;
  ~TempFile() {
    if (!path_.empty()) ::unlink(path_.c_str());
  }

  void write(std::span<const std::byte> bytes) const {
    while (!bytes.empty()) {
      const ssize_t count = ::write(fd_.get(), bytes.data(), bytes.size());
      if (count <= 0) throw std::runtime_error("writing a test file failed");
      bytes = bytes.subspan(static_cast<std::size_t>(count));
    }
  }
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  std::string path_;
  UniqueFd fd_;
};

}  // namespace strictsend::testing
