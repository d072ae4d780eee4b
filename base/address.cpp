// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <strictsend/address.hpp>

namespace strictsend {

std::string to_string(const IpAddress& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  // glibc compresses the first of the longest runs of two zero fields or more, in lower case:
  // RFC 5952 §4.2 and §4.3.
  ::inet_ntop(address.is_v4() ? AF_INET : AF_INET6, address.bytes().data(), text.data(),
              static_cast<socklen_t>(text.size()));
  return text.data();
}

std::string to_url_host(const IpAddress& address) {
  return address.is_v4() ? to_string(address) : '[' + to_string(address) + ']';
}

std::optional<IpAddress> parse_ip_address(std::string_view text) {
  const std::string terminated(text);
  if (terminated.find('\0') != std::string::npos) return std::nullopt;
  Ipv4Address v4{};
  if (::inet_pton(AF_INET, terminated.c_str(), v4.data()) == 1) return v4;
  Ipv6Address v6{};
  if (::inet_pton(AF_INET6, terminated.c_str(), v6.data()) == 1) return v6;
  return std::nullopt;
}

}  // namespace strictsend
