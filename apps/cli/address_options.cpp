// SPDX-License-Identifier: Apache-2.0
#include "apps/cli/address_options.hpp"

#include "apps/cli/values.hpp"

namespace strictsend::cli {

void read_address_options(OptionReader& reader, EngineConfig& config) {
  reader.option("address", parse_interface_addresses, [&](auto& v) {
    config.address = v.v4;
    config.address6 = v.v6;
    config.prefix_bits = v.prefix_bits.value_or(config.prefix_bits);
    config.prefix6_bits = v.prefix6_bits.value_or(config.prefix6_bits);
  });
  reader.option("gateway", parse_gateways, [&](auto& v) {
    config.gateway = v.v4;
    config.gateway6 = v.v6;
  });
  constexpr std::uint64_t vlan_id_max = 4094;
  reader.option(
      "vlan", [](const std::string& text) { return parse_number(text, 1, vlan_id_max); },
      [&](auto v) { config.vlan_id = static_cast<std::uint16_t>(v); });
}

}  // namespace strictsend::cli
