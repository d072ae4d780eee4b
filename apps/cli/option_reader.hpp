// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
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

/// What stands behind `--`, which is DPDK's: `arguments` from there on, empty where there is none.
/// Only a port `nic` of DPDK's takes it.
[[nodiscard]] Parsed<std::vector<std::string>> eal_arguments(std::span<const std::string> behind,
                                                             const std::string& nic);

/// Reads options one by one and keeps the first complaint.
class OptionReader {
 public:
  explicit OptionReader(const boost::program_options::variables_map& values) : values_(values) {}

  [[nodiscard]] bool given(const char* name) const { return values_.count(name) > 0; }
  /// Stores what `parse` makes of the option's text, if it is given.
  template <class Parse, class Store>
  void option(const char* name, Parse parse, Store store) {
    if (!complaint_.empty() || !given(name)) return;
    auto parsed = parse(values_[name].template as<std::string>());
    if (parsed)
      store(*parsed);
    else
      complaint_ = fmt::format("--{}: {}", name, parsed.error());
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
  std::string complaint_;
};

}  // namespace strictsend::cli
