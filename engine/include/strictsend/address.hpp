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

/// Of an address.
enum class AddressFamily : std::uint8_t {
  ipv4,  ///< RFC 791
  ipv6,  ///< RFC 8200
};

/// An address of either family: a small value. Made from both kinds without a word, because nothing
/// is lost by it. An IPv4 address and the IPv6 one that maps it (RFC 4291
/// §2.5.5.2) are two different ones.
class IpAddress {
 public:
  constexpr IpAddress() = default;  ///< 0.0.0.0
  /// \param address in network order
  // NOLINTNEXTLINE(google-explicit-constructor)
  constexpr IpAddress(const Ipv4Address& address)
      : bytes_{address[0], address[1], address[2], address[3]} {}
  /// \param address in network order
  // NOLINTNEXTLINE(google-explicit-constructor)
  constexpr IpAddress(const Ipv6Address& address) : bytes_(address), family_(AddressFamily::ipv6) {}
  /// IPv4, as it is written: `IpAddress(192, 0, 2, 1)`.
  /// \param a the first byte
  /// \param b the second
  /// \param c the third
  /// \param d the last
  constexpr IpAddress(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d)
      : bytes_{a, b, c, d} {}

  /// \return which of the two it is
  [[nodiscard]] constexpr AddressFamily family() const { return family_; }
  /// \return whether `v4` may be called
  [[nodiscard]] constexpr bool is_v4() const { return family_ == AddressFamily::ipv4; }
  /// \return whether `v6` may be called
  [[nodiscard]] constexpr bool is_v6() const { return family_ == AddressFamily::ipv6; }
  /// Of an IPv4 address only.
  /// \return its bytes in network order
  [[nodiscard]] constexpr Ipv4Address v4() const {
    return {bytes_[0], bytes_[1], bytes_[2], bytes_[3]};
  }
  /// Of an IPv6 address only.
  /// \return its bytes in network order
  [[nodiscard]] constexpr const Ipv6Address& v6() const { return bytes_; }
  /// Of either family.
  /// \return its 4 or 16 bytes in network order, as long as the address is there
  [[nodiscard]] constexpr std::span<const std::uint8_t> bytes() const {
    return std::span(bytes_).first(is_v4() ? 4 : 16);
  }

  /// \return whether family and bytes are the same
  constexpr bool operator==(const IpAddress&) const = default;
  /// Some order, for sets and maps.
  /// \return less, equal or greater, without further meaning
  constexpr auto operator<=>(const IpAddress&) const = default;

 private:
  Ipv6Address bytes_{};  ///< an IPv4 address in the first four, zeros behind it
  AddressFamily family_ = AddressFamily::ipv4;
};

/// As people write it: IPv6 by RFC 5952 §4.
/// \param address of either family
/// \return "192.0.2.1", "2001:db8::1"
[[nodiscard]] STRICTSEND_API std::string to_string(const IpAddress& address);
/// The same as a URL or a port behind it needs it: IPv6 in brackets (RFC 3986 §3.2.2).
/// \param address of either family
/// \return "192.0.2.1", "[2001:db8::1]"
[[nodiscard]] STRICTSEND_API std::string to_url_host(const IpAddress& address);
/// What inet_pton(3) takes, of either family.
/// \param text without brackets, zone or prefix
/// \return the address; nullopt: it is none
[[nodiscard]] STRICTSEND_API std::optional<IpAddress> parse_ip_address(std::string_view text);

}  // namespace strictsend
