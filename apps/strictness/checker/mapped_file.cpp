// SPDX-License-Identifier: Apache-2.0
#include "apps/strictness/checker/mapped_file.hpp"

#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <fcntl.h>
#include <unistd.h>

namespace strictsend::checker {

Result<MappedFile> MappedFile::open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return fail("opening the download " + path, errno);
  struct stat status {};
  const bool known = fstat(fd, &status) == 0;
  const auto size_bytes = static_cast<std::size_t>(status.st_size);
  void* address = MAP_FAILED;
  if (known && size_bytes > 0) address = mmap(nullptr, size_bytes, PROT_READ, MAP_SHARED, fd, 0);
  const int error = errno;
  close(fd);
  if (known && size_bytes == 0) return MappedFile(std::span<const std::byte>{});
  if (address == MAP_FAILED) return fail("mapping the download " + path, error);
  return MappedFile({static_cast<const std::byte*>(address), size_bytes});
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

}  // namespace strictsend::checker
