// SPDX-License-Identifier: Apache-2.0
#include "apps/serve/transfers.hpp"

#include <chrono>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

namespace strictsend::serve {

void add(SpliceResult& sum, const SpliceResult& one) {
  if (sum.error == 0) sum.error = one.error;
  sum.bytes_sent += one.bytes_sent;
  sum.bytes_acked += one.bytes_acked;
  sum.bytes_copied += one.bytes_copied;
  sum.pages_preserved += one.pages_preserved;
}

void log_transfer(const Transfer& transfer) {
  if (!spdlog::should_log(spdlog::level::info)) return;
  const SpliceResult& result = transfer.result;
  const std::string request =
      transfer.method.empty() ? "-" : fmt::format("\"{} {}\"", transfer.method, transfer.target);
  const std::string ending =
      result.error == 0 ? std::string() : "; " + Error{"it", result.error, {}}.message();
  const auto took = std::chrono::steady_clock::now() - transfer.began;
  spdlog::info("{} {} {} {} bytes in {} ms, {} pages preserved{}", transfer.peer, request,
               transfer.status, result.bytes_acked,
               std::chrono::duration_cast<std::chrono::milliseconds>(took).count(),
               result.pages_preserved, ending);
}

}  // namespace strictsend::serve
