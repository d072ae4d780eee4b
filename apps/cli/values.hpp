// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <tl/expected.hpp>

#include <strictsend/engine.hpp>

namespace strictsend::cli {

/// A value from the command line, or one sentence that says what would be right. The sentence names
/// the value, not the option.
template <class T>
using Parsed = tl::expected<T, std::string>;

/// "4096", "512K", "64M", "1G", "2T": powers of 1024, also as KiB, MiB, GiB, TiB.
[[nodiscard]] Parsed<std::uint64_t> parse_size(std::string_view text);
/// What an engine's cache can have: 4M to 16T, in whole pages.
[[nodiscard]] Parsed<std::uint64_t> parse_cache_size(std::string_view text);
/// For EngineConfig::preserved_bytes_max and _per_connection_max: 1M or more.
[[nodiscard]] Parsed<std::uint64_t> parse_preserved_limit(std::string_view text);
/// "30s", "500ms", "2m", "1h"; a bare number is seconds.
[[nodiscard]] Parsed<std::chrono::milliseconds> parse_duration(std::string_view text);
/// A whole number within [least, most].
[[nodiscard]] Parsed<std::uint64_t> parse_number(std::string_view text, std::uint64_t least,
                                                 std::uint64_t most);
/// "192.0.2.1", "2001:db8::1": an address that an interface can have, neither unspecified nor
/// multicast nor broadcast.
[[nodiscard]] Parsed<IpAddress> parse_address(std::string_view text);
/// "192.0.2.1/24,2001:db8::1/64": one address of each family at most, and how many of their leading
/// bits name their networks; the bits may be left out.
struct InterfaceAddresses {
  std::optional<Ipv4Address> v4;
  std::optional<std::uint8_t> prefix_bits;  ///< 1 to 31
  std::optional<Ipv6Address> v6;
  std::optional<std::uint8_t> prefix6_bits;  ///< 1 to 127
};
[[nodiscard]] Parsed<InterfaceAddresses> parse_interface_addresses(std::string_view text);
/// "192.0.2.254,fe80::1": the same without bits.
[[nodiscard]] Parsed<InterfaceAddresses> parse_gateways(std::string_view text);
/// "af_xdp:IFACE" with a name that an interface can have, or "discard:".
[[nodiscard]] Parsed<std::string> parse_nic(std::string_view text);
[[nodiscard]] Parsed<TxForm> parse_tx_form(std::string_view text);
[[nodiscard]] Parsed<Congestion> parse_congestion(std::string_view text);
[[nodiscard]] Parsed<bool> parse_on_off(std::string_view text);
/// What an option without a value may be given: "yes", "no"; "true", "on" and "1", and their
/// opposites, are the same.
[[nodiscard]] Parsed<bool> parse_yes_no(std::string_view text);
/// EngineConfig::queues: 1 to 256, or 0 for "auto": all that the NIC has.
[[nodiscard]] Parsed<std::uint32_t> parse_queues(std::string_view text);
/// Which of its offloads a port may use: "all", "checksum", "none".
struct Offloads {
  bool checksum = true;
  bool segmentation = true;
};
[[nodiscard]] Parsed<Offloads> parse_offloads(std::string_view text);

/// "1.5 GiB"; three digits.
[[nodiscard]] std::string format_size(double bytes);

}  // namespace strictsend::cli
