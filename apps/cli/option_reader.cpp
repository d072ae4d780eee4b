// SPDX-License-Identifier: Apache-2.0
#include "apps/cli/option_reader.hpp"

#include <boost/tokenizer.hpp>

namespace strictsend::cli {

namespace po = boost::program_options;

Parsed<po::variables_map> split_options(std::span<const std::string> words,
                                        const po::options_description& options,
                                        const char* for_positional) {
  namespace style = po::command_line_style;
  // No abbreviations: an option added later would change what they mean.
  constexpr int exact = style::unix_style & ~style::allow_guessing;
  po::variables_map values;
  try {
    const std::vector<std::string> copy(words.begin(), words.end());
    const po::positional_options_description no_positional;
    po::store(
        po::command_line_parser(copy).options(options).positional(no_positional).style(exact).run(),
        values);
  } catch (const po::too_many_positional_options_error&) {
    return tl::unexpected<std::string>(for_positional);
  } catch (const po::error& error) {
    return tl::unexpected<std::string>(error.what());
  }
  return values;
}

std::vector<std::string> long_names(const po::options_description& options) {
  std::vector<std::string> names;
  for (const auto& option : options.options())
    names.push_back(option->long_name());
  return names;
}

std::string place_of(const std::string& name, const std::map<std::string, std::string>& places) {
  const auto place = places.find(name);
  return place == places.end() ? "--" + name : place->second;
}

Parsed<std::vector<std::string>> split_words(const std::string& text) {
  try {
    return po::split_unix(text);
  } catch (const boost::escaped_list_error&) {
    return tl::unexpected(
        fmt::format("\"{}\" has a quote without its other half, or a backslash that quotes neither "
                    "itself nor a quote",
                    text));
  }
}

std::string join_words(std::span<const std::string> words) {
  std::string text;
  for (const std::string& word : words) {
    if (!text.empty()) text += ' ';
    if (!word.empty() && word.find_first_of(" \t\r\n\"'\\") == std::string::npos) {
      text += word;
      continue;
    }
    text += '"';
    for (const char c : word) {
      if (c == '"' || c == '\'' || c == '\\') text += '\\';
      text += c;
    }
    text += '"';
  }
  return text;
}

Parsed<std::vector<std::string>> eal_arguments(std::span<const std::string> behind,
                                               const std::string& nic) {
  if (behind.empty()) return std::vector<std::string>();
  if (!nic.starts_with("dpdk:"))
    return tl::unexpected<std::string>(
        "what stands behind -- are arguments for DPDK, which --nic dpdk:PORT alone takes");
  return std::vector<std::string>(behind.begin() + 1, behind.end());
}

}  // namespace strictsend::cli
