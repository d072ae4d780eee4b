// SPDX-License-Identifier: Apache-2.0
#include "apps/conformance/cases.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace strictsend::conformance {

std::string_view name_of(Case which) {
  switch (which) {
    case Case::fragments:
      return "fragments";
    case Case::checksum:
      return "checksum";
    case Case::plain:
      return "plain";
    case Case::linear:
      return "linear";
    case Case::control:
      return "control";
  }
  return "";
}

cli::Parsed<std::vector<Case>> parse_cases(std::string_view text) {
  if (text == "all") return std::vector<Case>(all_cases.begin(), all_cases.end());
  std::vector<Case> cases;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t comma = std::min(text.find(',', begin), text.size());
    const std::string_view name = text.substr(begin, comma - begin);
    const auto* const found = std::find_if(all_cases.begin(), all_cases.end(),
                                           [&](Case which) { return name_of(which) == name; });
    if (found == all_cases.end())
      return tl::unexpected(
          fmt::format("\"{}\" is no case; write all, or some of fragments, checksum, plain, "
                      "linear, control with commas between them",
                      name));
    cases.push_back(*found);
    begin = comma + 1;
  }
  return cases;
}

std::string why_not(Case which, const PortFacts& port, const std::vector<Case>& asked_for) {
  if (std::find(asked_for.begin(), asked_for.end(), which) == asked_for.end())
    return "not asked for (--cases)";
  const bool wants_fragments =
      which == Case::fragments || which == Case::checksum || which == Case::plain;
  if (wants_fragments && !port.fragments_possible)
    return fmt::format(
        "the port takes packets of {} pieces at most, too few for an MTU of {}{}",
        port.max_fragments, port.mtu_bytes,
        port.spec.starts_with("af_xdp:") ? " (AF_XDP needs Linux 6.6 for more)" : "");
  if (which == Case::checksum && port.segmented_bytes_max == 0)
    return "the port has no segmentation offload, so it would be the first case again";
  if (which == Case::plain && !port.checksum_offload)
    return "the port has no offload at all, so it would be the first case again";
  return {};
}

EngineConfig engine_config(Case which, const PortFacts& port, EngineConfig base) {
  // The control must tear on every port, those that cannot send fragments too: what is copied for
  // the wire without protection is the file of that moment.
  const bool linear = which == Case::linear || (which == Case::control && !port.fragments_possible);
  base.tx_form = linear ? TxForm::linear : TxForm::fragments;
  base.checksum_offload = which != Case::plain;
  base.segmentation_offload = which != Case::checksum && which != Case::plain;
  base.protection = which == Case::control ? Protection::off_unsafe : Protection::on;
  return base;
}

}  // namespace strictsend::conformance
