// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace strictsend::statistics {

enum class Kind : std::uint8_t {
  counter,  ///< only grows, from 0 at the start
  gauge,    ///< how it is now
};

/// What a value counts. JSON has it as it is, with the unit in the name as in the public API;
/// Prometheus wants base units (seconds, bytes) and has them last in the name.
enum class Unit : std::uint8_t { number, bytes, nanoseconds, frames };

/// One value, of what the labels say.
struct Sample {
  std::vector<std::pair<std::string_view, std::string>> labels;
  std::uint64_t value = 0;
};

/// A metric with its values: what both ways of writing statistics are made from. `section` and
/// `name` are of the table, which lives as long as the program.
struct Family {
  std::string_view section;  ///< "cache": where JSON has it
  std::string_view name;     ///< "frames_free"
  Kind kind = Kind::counter;
  Unit unit = Unit::number;
  std::string_view help;  ///< one sentence
  std::vector<Sample> samples;
};

/// Prometheus's name for it, from section, name, unit and kind: "payload_bytes_sent" of "engine"
/// becomes "strictsend_engine_payload_sent_bytes_total". A name that begins with its section does
/// not say it twice.
[[nodiscard]] std::string prometheus_name(const Family& family);

constexpr std::uint64_t frame_bytes = 4096;

}  // namespace strictsend::statistics
