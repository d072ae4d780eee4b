// SPDX-License-Identifier: Apache-2.0
#include "engine/packetdrill/flags.hpp"

#include <cerrno>
#include <charconv>
#include <string>

namespace strictsend::packetdrill {
namespace {

struct Range {
  std::uint32_t least;
  std::uint32_t most;
};

Result<void> read_number(std::string_view name, std::string_view text, Range range,
                         std::uint32_t& value) {
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc{} && stopped == end && value >= range.least && value <= range.most)
    return {};
  return fail("read --so_flags", EINVAL,
              std::string(name) + "= takes a number from " + std::to_string(range.least) + " to " +
                  std::to_string(range.most));
}

Result<void> read_switch(std::string_view name, std::string_view text, bool& value) {
  std::uint32_t number = 0;
  auto read = read_number(name, text, {0, 1}, number);
  if (read) value = number == 1;
  return read;
}

Result<void> read_flag(std::string_view flag, Flags& flags) {
  const std::size_t equals = flag.find('=');
  const std::string_view name = flag.substr(0, equals);
  const std::string_view value =
      equals == std::string_view::npos ? std::string_view{} : flag.substr(equals + 1);
  if (name == "mtu") return read_number(name, value, {576, 9000}, flags.mtu_bytes);
  if (name == "receive_buffer")
    return read_number(name, value, {2048, 15U << 20}, flags.receive_buffer_bytes);
  if (name == "send_buffer")
    return read_number(name, value, {2048, 8U << 20}, flags.send_buffer_bytes);
  if (name == "sack") return read_switch(name, value, flags.sack);
  if (name == "ecn") return read_switch(name, value, flags.ecn);
  if (name == "pacing") return read_switch(name, value, flags.pacing);
  if (name == "congestion") {
    const auto algorithm = congestion_named(value);
    if (!algorithm) return fail("read --so_flags", EINVAL, "congestion= takes cubic, reno or bbr");
    flags.congestion = *algorithm;
    return {};
  }
  return fail("read --so_flags", EINVAL,
              "there are mtu=, receive_buffer=, send_buffer=, congestion=, sack=, ecn= and "
              "pacing=, but not '" +
                  std::string(name) + "'");
}

}  // namespace

std::string_view name_of(tcp::CongestionAlgorithm algorithm) {
  switch (algorithm) {
    case tcp::CongestionAlgorithm::cubic:
      return "cubic";
    case tcp::CongestionAlgorithm::reno:
      return "reno";
    case tcp::CongestionAlgorithm::bbr:
      return "bbr";
  }
  return {};
}

std::optional<tcp::CongestionAlgorithm> congestion_named(std::string_view name) {
  using enum tcp::CongestionAlgorithm;
  for (const tcp::CongestionAlgorithm algorithm : {cubic, reno, bbr}) {
    if (name == name_of(algorithm)) return algorithm;
  }
  return std::nullopt;
}

Result<Flags> parse_flags(std::string_view text) {
  Flags flags;
  while (!text.empty()) {
    const std::size_t comma = text.find(',');
    if (auto read = read_flag(text.substr(0, comma), flags); !read)
      return tl::unexpected(std::move(read.error()));
    text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
  }
  return flags;
}

}  // namespace strictsend::packetdrill
