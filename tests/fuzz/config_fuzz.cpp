// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/config_fuzz.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <boost/program_options.hpp>

#include "apps/cli/config_file.hpp"
#include "apps/cli/option_reader.hpp"
#include "apps/serve/option_table.hpp"
#include "base/assert.hpp"

namespace strictsend::test {
namespace {

namespace po = boost::program_options;

const std::vector<std::string> command_line_only{"config", "print-config", "help"};

/// What a file's words for EAL are, they are after they have been put together again too.
void expect_same_words(const std::string& text) {
  const auto words = cli::split_words(text);
  if (!words) return;
  const auto again = cli::split_words(cli::join_words(*words));
  STRICTSEND_ASSERT(again && *again == *words);
}

}  // namespace

bool fuzz_config(std::span<const std::byte> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const po::options_description options = serve::described_options();
  const auto file = cli::parse_config(text, "f", options, command_line_only);
  if (!file) {
    STRICTSEND_ASSERT(file.error().starts_with("f:"));
    STRICTSEND_ASSERT(file.error().find('\n') == std::string::npos);
    return false;
  }
  po::variables_map values;
  po::store(file->options, values);
  STRICTSEND_ASSERT(values.size() == file->places.size());
  const auto written = serve::written_configuration(values);
  STRICTSEND_ASSERT(written.has_value());
  const auto again = cli::parse_config(*written, "f", options, command_line_only);
  STRICTSEND_ASSERT(again && again->places.size() == file->places.size());
  po::variables_map same;
  po::store(again->options, same);
  for (const auto& [name, value] : values) {
    STRICTSEND_ASSERT(same.at(name).as<std::string>() == value.as<std::string>());
    expect_same_words(value.as<std::string>());
  }
  return !values.empty();
}

}  // namespace strictsend::test

#ifdef STRICTSEND_LIBFUZZER
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  strictsend::test::fuzz_config(std::as_bytes(std::span(data, size)));
  return 0;
}
#endif
