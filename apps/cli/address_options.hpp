// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "apps/cli/option_reader.hpp"
#include <strictsend/engine.hpp>

namespace strictsend::cli {

/// Reads what every command that opens an engine has: --address, --gateway and --vlan.
void read_address_options(OptionReader& reader, EngineConfig& config);

}  // namespace strictsend::cli
