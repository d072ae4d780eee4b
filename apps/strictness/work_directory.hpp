// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <utility>

#include <strictsend/result.hpp>

namespace strictsend::strictness {

/// A new directory, removed with all in it.
class WorkDirectory {
 public:
  /// `name` says what for: PARENT/strictsend-NAME-XXXXXX. A refusal names --directory.
  static Result<WorkDirectory> create(const std::string& parent, const std::string& name);
  WorkDirectory(WorkDirectory&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  WorkDirectory& operator=(WorkDirectory&&) = delete;
  WorkDirectory(const WorkDirectory&) = delete;
  WorkDirectory& operator=(const WorkDirectory&) = delete;
  ~WorkDirectory();
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  explicit WorkDirectory(std::string path) : path_(std::move(path)) {}
  std::string path_;  // empty: moved from
};

}  // namespace strictsend::strictness
