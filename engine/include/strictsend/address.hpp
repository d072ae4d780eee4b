// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include <strictsend/result.hpp>

namespace strictsend {

using Ipv4Address = std::array<std::uint8_t, 4>;   ///< network order: {10, 0, 0, 1}
using Ipv6Address = std::array<std::uint8_t, 16>;  ///< network order

enum class AddressFamily : std::uint8_t { ipv4, ipv6 };

/// An address of either family: a small value. Made from both kinds without a word, because nothing
/// is lost by it. An IPv4 address and its form in IPv6 (::ffff:a.b.c.d) are two different ones.
class IpAddress {
 public:
  constexpr IpAddress() = default;  ///< 0.0.0.0
  // NOLINTNEXTLINE(google-explicit-constructor)
  constexpr IpAddress(const Ipv4Address& address)
      : bytes_{address[0], address[1], address[2], address[3]} {}
  // NOLINTNEXTLINE(google-explicit-constructor)
  constexpr IpAddress(const Ipv6Address& address) : bytes_(address), family_(AddressFamily::ipv6) {}
  constexpr IpAddress(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d)
      : bytes_{a, b, c, d} {}

  [[nodiscard]] constexpr AddressFamily family() const { return family_; }
  [[nodiscard]] constexpr bool is_v4() const { return family_ == AddressFamily::ipv4; }
  [[nodiscard]] constexpr bool is_v6() const { return family_ == AddressFamily::ipv6; }
  /// Of an IPv4 address only.
  [[nodiscard]] constexpr Ipv4Address v4() const {
    return {bytes_[0], bytes_[1], bytes_[2], bytes_[3]};
  }
  /// Of an IPv6 address only.
  [[nodiscard]] constexpr const Ipv6Address& v6() const { return bytes_; }
  /// Its 4 or 16 bytes, in network order.
  [[nodiscard]] constexpr std::span<const std::uint8_t> bytes() const {
    return std::span(bytes_).first(is_v4() ? 4 : 16);
  }

  constexpr bool operator==(const IpAddress&) const = default;
  /// Some order, for sets and maps.
  constexpr auto operator<=>(const IpAddress&) const = default;

 private:
  Ipv6Address bytes_{};  ///< an IPv4 address in the first four, zeros behind it
  AddressFamily family_ = AddressFamily::ipv4;
};

/// "192.0.2.1", "2001:db8::1": IPv6 as RFC 5952 §4 wants it.
[[nodiscard]] STRICTSEND_API std::string to_string(const IpAddress& address);
/// The same as a URL or a port behind it needs it: IPv6 in brackets (RFC 3986 §3.2.2).
[[nodiscard]] STRICTSEND_API std::string to_url_host(const IpAddress& address);
/// Of either family, without brackets, zone or prefix. nullopt: it is none.
[[nodiscard]] STRICTSEND_API std::optional<IpAddress> parse_ip_address(std::string_view text);

}  // namespace strictsend
