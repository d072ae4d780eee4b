// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

#include "apps/serve/statistics/server_status.hpp"
#include <strictsend/result.hpp>

namespace strictsend::statistics {

/// Of the document's shape. What is added to it changes nothing; the number changes when something
/// that was there goes, or means something else.
constexpr unsigned document_version = 1;

/// What the statistics socket tells:
///
///     {"version": 1,
///      "program": {"name": "strictsend", "version": "0.1.0"},
///      "port": {"spec": "af_xdp:eth0", "driver": "veth", "form": "fragments", …},
///      "process": {…}, "connections": {…}, "tcp": {…}, "engine": {…}, "cache": {…}, …,
///      "http": {…, "responses": [{"method": "GET", "status": "2xx", "value": 7}, …],
///               "refusals": [{"status": "404", "value": 1}, …]},
///      "queues": [{…}, …]}
///
/// Sections and names are those of the table (table.hpp).
[[nodiscard]] std::string to_json(const ServerStatus& status);

/// Reads one again, but for `responses` and `refusals`. Numbers that are not there are 0, for an
/// older or newer server's; text is made fit for a terminal. EPROTO: it is no such document, or of
/// another version.
[[nodiscard]] Result<ServerStatus> parse_document(std::string_view bytes);

}  // namespace strictsend::statistics
