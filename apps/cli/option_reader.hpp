// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <boost/program_options.hpp>
#include <fmt/format.h>

#include "apps/cli/values.hpp"

namespace strictsend::cli {

/// Splits a command line into options and their values. Only exact names count, each once, and
/// there is nothing but options: `for_positional` is the complaint about anything else.
[[nodiscard]] Parsed<boost::program_options::variables_map> split_options(
    std::span<const std::string> words, const boost::program_options::options_description& options,
    const char* for_positional);

/// The long names of what is described, so that a test can hold the manual page against them.
[[nodiscard]] std::vector<std::string> long_names(
    const boost::program_options::options_description& options);

/// An option's name as who gave it knows it: "--port", or with its place in a file
/// ("serve.conf:12: port"), where `places` has that.
[[nodiscard]] std::string place_of(const std::string& name,
                                   const std::map<std::string, std::string>& places);

/// The words that a shell would make of `text`: blanks part them, quotes and backslashes keep
/// blanks in them.
[[nodiscard]] Parsed<std::vector<std::string>> split_words(const std::string& text);
/// A text that `split_words` makes these words of.
[[nodiscard]] std::string join_words(std::span<const std::string> words);

/// What stands behind `--`, which is DPDK's: `arguments` from there on, empty where there is none.
/// Only a port `nic` of DPDK's takes it.
[[nodiscard]] Parsed<std::vector<std::string>> eal_arguments(std::span<const std::string> behind,
                                                             const std::string& nic);

/// Reads options one by one and keeps the first complaint.
class OptionReader {
 public:
  /// `places`: where those stand that are not from the command line ("serve.conf:12: port").
  explicit OptionReader(const boost::program_options::variables_map& values,
                        std::map<std::string, std::string> places = {})
      : values_(values), places_(std::move(places)) {}

  [[nodiscard]] bool given(const char* name) const { return values_.count(name) > 0; }
  [[nodiscard]] std::string place_of(const char* name) const {
    return cli::place_of(name, places_);
  }
  /// Stores what `parse` makes of the option's text, if it is given.
  template <class Parse, class Store>
  void option(const char* name, Parse parse, Store store) {
    if (!complaint_.empty() || !given(name)) return;
    auto parsed = parse(values_[name].template as<std::string>());
    if (parsed)
      store(*parsed);
    else
      complaint_ = fmt::format("{}: {}", place_of(name), parsed.error());
  }
  /// Whether it is given and does not say no.
  [[nodiscard]] bool flag(const char* name) {
    bool value = false;
    option(name, parse_yes_no, [&](bool v) { value = v; });
    return value;
  }
  void require(const char* name, const char* sentence) {
    if (!given(name)) complain(fmt::format("--{} is missing: {}", name, sentence));
  }
  void complain(std::string sentence) {
    if (complaint_.empty()) complaint_ = std::move(sentence);
  }
  [[nodiscard]] const std::string& complaint() const { return complaint_; }

 private:
  const boost::program_options::variables_map& values_;
  const std::map<std::string, std::string> places_;
  std::string complaint_;
};

}  // namespace strictsend::cli
