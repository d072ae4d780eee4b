// SPDX-License-Identifier: Apache-2.0
#include "apps/cli/values.hpp"

#include <net/if.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include <fmt/format.h>

namespace strictsend::cli {
namespace {

template <class T>
struct Unit {
  std::string_view suffix;
  T factor;
};

/// Digits and a unit. Nothing: no digits, an unknown unit, or more than 64 bits.
template <class Units>
bool parse_with_unit(std::string_view text, const Units& units, std::uint64_t& value) {
  std::uint64_t digits = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, digits);
  if (error != std::errc{}) return false;
  const std::string_view suffix(rest, static_cast<std::size_t>(end - rest));
  const auto unit =
      std::find_if(units.begin(), units.end(), [&](const auto& u) { return u.suffix == suffix; });
  if (unit == units.end()) return false;
  if (digits > std::numeric_limits<std::uint64_t>::max() / unit->factor) return false;
  value = digits * unit->factor;
  return true;
}

constexpr std::uint64_t kib = 1024;
constexpr std::array<Unit<std::uint64_t>, 14> size_units{{
    {"", 1},
    {"B", 1},
    {"K", kib},
    {"k", kib},
    {"KiB", kib},
    {"M", kib* kib},
    {"m", kib* kib},
    {"MiB", kib* kib},
    {"G", kib* kib* kib},
    {"g", kib* kib* kib},
    {"GiB", kib* kib* kib},
    {"T", kib* kib* kib* kib},
    {"t", kib* kib* kib* kib},
    {"TiB", kib* kib* kib* kib},
}};

constexpr std::array<Unit<std::uint64_t>, 5> duration_units_ms{{
    {"", 1000},
    {"ms", 1},
    {"s", 1000},
    {"m", 60'000},
    {"h", 3'600'000},
}};

tl::unexpected<std::string> wrong(std::string sentence) {
  return tl::unexpected<std::string>(std::move(sentence));
}

}  // namespace

Parsed<std::uint64_t> parse_size(std::string_view text) {
  std::uint64_t bytes = 0;
  if (!parse_with_unit(text, size_units, bytes))
    return wrong(fmt::format("\"{}\" is not a size; write bytes, or 512K, 64M, 1G", text));
  return bytes;
}

Parsed<std::uint64_t> parse_cache_size(std::string_view text) {
  constexpr std::uint64_t page_bytes = 4096;
  constexpr std::uint64_t least = 4U << 20;
  Parsed<std::uint64_t> bytes = parse_size(text);
  if (bytes && *bytes < least)
    return wrong(fmt::format("{} is too small to work in; the least is {}M", text, least >> 20));
  // Frames are counted in 32 bits.
  if (bytes && *bytes / page_bytes >= std::numeric_limits<std::uint32_t>::max())
    return wrong(fmt::format("{} is more than the 16T that can be addressed", text));
  if (bytes) *bytes -= *bytes % page_bytes;
  return bytes;
}

Parsed<std::uint64_t> parse_preserved_limit(std::string_view text) {
  constexpr std::uint64_t least = 1U << 20;
  const Parsed<std::uint64_t> bytes = parse_size(text);
  if (bytes && *bytes < least)
    return wrong(fmt::format("{} is too little to keep pages in; the least is 1M", text));
  return bytes;
}

Parsed<std::chrono::milliseconds> parse_duration(std::string_view text) {
  std::uint64_t ms = 0;
  constexpr std::uint64_t week_ms = 7ULL * 24 * 3'600'000;
  if (!parse_with_unit(text, duration_units_ms, ms))
    return wrong(fmt::format("\"{}\" is not a duration; write 500ms, 30s, 2m or 1h", text));
  if (ms > week_ms) return wrong(fmt::format("\"{}\" is longer than a week", text));
  return std::chrono::milliseconds(ms);
}

Parsed<std::uint64_t> parse_number(std::string_view text, std::uint64_t least, std::uint64_t most) {
  std::uint64_t number = 0;
  constexpr std::array<Unit<std::uint64_t>, 1> no_unit{{{"", 1}}};
  if (!parse_with_unit(text, no_unit, number) || number < least || number > most)
    return wrong(fmt::format("\"{}\" is not a whole number from {} to {}", text, least, most));
  return number;
}

Parsed<IpAddress> parse_address(std::string_view text) {
  const std::optional<IpAddress> address = parse_ip_address(text);
  if (!address)
    return wrong(
        fmt::format("\"{}\" is not an address; write one like 192.0.2.1 or 2001:db8::1", text));
  const std::uint8_t first = address->bytes()[0];
  const bool is_host = address->is_v4() ? first != 0 && first < 224
                                        : first != 0xff && *address != IpAddress(Ipv6Address{});
  if (!is_host)
    return wrong(fmt::format(
        "{} is no single host's address; write one like 192.0.2.1 or 2001:db8::1", text));
  return *address;
}

namespace {

/// One of the list: an address, and the bits behind its slash where those are allowed.
Parsed<void> take_address(std::string_view text, bool bits_allowed, InterfaceAddresses& into) {
  const std::size_t slash = bits_allowed ? text.find('/') : std::string_view::npos;
  const Parsed<IpAddress> address = parse_address(text.substr(0, slash));
  if (!address) return wrong(address.error());
  if (address->is_v4() ? into.v4.has_value() : into.v6.has_value())
    return wrong(
        fmt::format("{} is a second address of its family; name one of each at most", text));
  std::optional<std::uint8_t> bits;
  if (slash != std::string_view::npos) {
    const unsigned most = address->is_v4() ? 31 : 127;
    const Parsed<std::uint64_t> number = parse_number(text.substr(slash + 1), 1, most);
    if (!number)
      return wrong(fmt::format(
          "\"{}\" says no network behind the slash; write the number of its leading bits, 1 to {}, "
          "as in {}",
          text, most, address->is_v4() ? "192.0.2.1/24" : "2001:db8::1/64"));
    bits = static_cast<std::uint8_t>(*number);
  }
  if (address->is_v4()) {
    into.v4 = address->v4();
    into.prefix_bits = bits;
  } else {
    into.v6 = address->v6();
    into.prefix6_bits = bits;
  }
  return {};
}

Parsed<InterfaceAddresses> parse_addresses(std::string_view text, bool bits_allowed) {
  InterfaceAddresses addresses;
  while (true) {
    const std::size_t comma = text.find(',');
    const Parsed<void> taken = take_address(text.substr(0, comma), bits_allowed, addresses);
    if (!taken) return wrong(taken.error());
    if (comma == std::string_view::npos) return addresses;
    text.remove_prefix(comma + 1);
  }
}

}  // namespace

Parsed<InterfaceAddresses> parse_interface_addresses(std::string_view text) {
  return parse_addresses(text, true);
}

Parsed<InterfaceAddresses> parse_gateways(std::string_view text) {
  return parse_addresses(text, false);
}

Parsed<std::string> parse_nic(std::string_view text) {
  constexpr std::string_view af_xdp = "af_xdp:";
  constexpr std::string_view dpdk = "dpdk:";
  if (text == "discard:") return std::string(text);
  if (text.starts_with(dpdk)) {
    if (text.size() == dpdk.size())
      return wrong(
          "dpdk: wants a device behind it: dpdk:0000:01:00.0 (a PCI address), "
          "dpdk:net_tap0 (a virtual device)");
    return std::string(text);
  }
  if (!text.starts_with(af_xdp))
    return wrong(
        fmt::format("\"{}\" names no kind of port; write af_xdp:IFACE or dpdk:PORT, for "
                    "example af_xdp:eth0",
                    text));
  const std::string_view name = text.substr(af_xdp.size());
  // What the kernel takes: dev_valid_name() in net/core/dev.c.
  const bool valid = !name.empty() && name.size() < IFNAMSIZ && name != "." && name != ".." &&
                     name.find_first_of("/: \t\n\v\f\r") == std::string_view::npos;
  if (!valid)
    return wrong(fmt::format("\"{}\" is no interface name; `ip link` lists those there are", name));
  return std::string(text);
}

Parsed<TxForm> parse_tx_form(std::string_view text) {
  if (text == "auto") return TxForm::automatic;
  if (text == "fragments") return TxForm::fragments;
  if (text == "linear") return TxForm::linear;
  return wrong(fmt::format("\"{}\" is no packet form; write fragments, linear or auto", text));
}

Parsed<Congestion> parse_congestion(std::string_view text) {
  if (text == "cubic") return Congestion::cubic;
  if (text == "reno") return Congestion::reno;
  if (text == "bbr") return Congestion::bbr;
  return wrong(fmt::format("\"{}\" is no congestion control; write cubic, reno or bbr", text));
}

Parsed<bool> parse_on_off(std::string_view text) {
  if (text == "on") return true;
  if (text == "off") return false;
  return wrong(fmt::format("\"{}\" is neither on nor off", text));
}

Parsed<bool> parse_yes_no(std::string_view text) {
  for (const std::string_view yes : {"yes", "true", "on", "1"})
    if (text == yes) return true;
  for (const std::string_view no : {"no", "false", "off", "0"})
    if (text == no) return false;
  return wrong(fmt::format("\"{}\" is neither yes nor no", text));
}

Parsed<std::uint32_t> parse_queues(std::string_view text) {
  constexpr std::uint64_t queues_max = 256;  // EngineConfig::queues
  if (text == "auto") return 0;
  const Parsed<std::uint64_t> queues = parse_number(text, 1, queues_max);
  if (!queues) return wrong(queues.error() + ", nor auto");
  return static_cast<std::uint32_t>(*queues);
}

Parsed<Offloads> parse_offloads(std::string_view text) {
  if (text == "all") return Offloads{true, true};
  if (text == "checksum") return Offloads{true, false};
  if (text == "none") return Offloads{false, false};
  return wrong(
      fmt::format("\"{}\" says nothing about offloads; write all, checksum or none", text));
}

std::string format_size(double bytes) {
  constexpr std::array<std::string_view, 5> units{"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (bytes >= 1000 && unit + 1 < units.size()) {
    bytes /= 1024;
    ++unit;
  }
  const int decimals = unit == 0 || bytes >= 99.95 ? 0 : bytes >= 9.995 ? 1 : 2;
  return fmt::format("{:.{}f} {}", bytes, decimals, units.at(unit));
}

}  // namespace strictsend::cli
