// SPDX-License-Identifier: Apache-2.0
#include "apps/strictness/work_directory.hpp"

#include <cerrno>
#include <filesystem>
#include <stdlib.h>

namespace strictsend::strictness {

Result<WorkDirectory> WorkDirectory::create(const std::string& parent, const std::string& name) {
  std::string path = parent + "/strictsend-" + name + "-XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) {
    return fail("making a directory in " + parent, errno, "name another one with --directory");
  }
  return WorkDirectory(std::move(path));
}

WorkDirectory::~WorkDirectory() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

}  // namespace strictsend::strictness
