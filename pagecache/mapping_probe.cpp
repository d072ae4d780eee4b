// SPDX-License-Identifier: Apache-2.0
#include "pagecache/mapping_probe.hpp"

#include "pagecache/mapping.hpp"
#include "pagecache/userfaultfd.hpp"

namespace strictsend::pagecache {

std::optional<Error> missing_for_mappings(const Arena& arena, const Userfaultfd& uffd) {
  auto mapping = Mapping::reserve(arena, &uffd, 1);
  if (!mapping) return mapping.error();
  if (const int error = (*mapping)->append(no_frame, 1); error != 0) {
    return Error{"protected mapping", error,
                 "needs UFFDIO_CONTINUE_MODE_WP (Linux 6.4); write through the file API instead"};
  }
  return std::nullopt;
}

Result<bool> try_mapping() {
  const Result<Arena> arena = Arena::create(2);
  if (!arena) return tl::unexpected(arena.error());
  const Result<Userfaultfd> uffd = Userfaultfd::open();
  if (!uffd) return tl::unexpected(uffd.error());
  if (std::optional<Error> missing = missing_for_mappings(*arena, *uffd))
    return tl::unexpected(*std::move(missing));
  return uffd->sees_kernel_faults();
}

}  // namespace strictsend::pagecache
