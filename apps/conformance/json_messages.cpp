// SPDX-License-Identifier: Apache-2.0
// The messages that are JSON: the one file that knows the library.
#include <algorithm>
#include <cerrno>
#include <limits>
#include <optional>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "apps/conformance/messages.hpp"

namespace strictsend::conformance {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t protocol = 1;

/// Reads the members of an object and keeps the first complaint; what was complained of is 0.
class Reader {
 public:
  Reader(std::string name, std::string_view text)
      : name_(std::move(name)), object_(Json::parse(text, nullptr, false)) {
    if (!object_.is_object()) complain("it is no JSON object");
  }
  Reader(std::string name, Json object) : name_(std::move(name)), object_(std::move(object)) {
    if (!object_.is_object()) complain("it is no JSON object");
  }

  std::uint64_t number(const char* key, std::uint64_t least, std::uint64_t most) {
    const Json* const value = find(key);
    if (value == nullptr) return 0;
    if (!value->is_number_unsigned() || value->get<std::uint64_t>() < least ||
        value->get<std::uint64_t>() > most) {
      complain(fmt::format("\"{}\" is no whole number from {} to {}", key, least, most));
      return 0;
    }
    return value->get<std::uint64_t>();
  }
  bool boolean(const char* key) {
    const Json* const value = find(key);
    if (value == nullptr) return false;
    if (!value->is_boolean()) complain(fmt::format("\"{}\" is neither true nor false", key));
    return value->is_boolean() && value->get<bool>();
  }
  /// Of letters, digits and hyphens.
  std::string text(const char* key, std::size_t bytes_max) {
    const Json* const value = find(key);
    if (value == nullptr) return {};
    const auto* const text = value->get_ptr<const std::string*>();
    const auto fits = [&](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    };
    if (text == nullptr || text->empty() || text->size() > bytes_max ||
        !std::all_of(text->begin(), text->end(), fits)) {
      complain(fmt::format("\"{}\" is no name of at most {} letters, digits and hyphens", key,
                           bytes_max));
      return {};
    }
    return *text;
  }
  const Json* find(const char* key) {
    if (complaint_) return nullptr;
    const auto found = object_.find(key);
    if (found != object_.end()) return &*found;
    complain(fmt::format("\"{}\" is missing", key));
    return nullptr;
  }
  void complain(std::string what) {
    if (!complaint_) complaint_ = std::move(what);
  }
  [[nodiscard]] bool ok() const { return !complaint_; }
  [[nodiscard]] tl::unexpected<Error> error() const {
    return fail("reading the sender's " + name_, EPROTO,
                *complaint_ + "; both ends must run the same version of strictsend conformance");
  }

 private:
  std::string name_;
  Json object_;
  std::optional<std::string> complaint_;
};

}  // namespace

std::string to_json(const Plan& plan) {
  Json json{{"protocol", protocol}, {"finished", plan.finished}};
  if (!plan.finished) {
    json["name"] = plan.case_name;
    json["file_bytes"] = plan.layout.file_bytes;
    json["writers"] = plan.layout.writers;
    json["seed"] = plan.layout.seed;
    json["downloads"] = plan.downloads;
    json["parallel"] = plan.parallel;
    json["directory"] = plan.directory;
  }
  return json.dump(2) + "\n";
}

Result<Plan> parse_plan(std::string_view json) {
  Reader reader("plan", json);
  reader.number("protocol", protocol, protocol);
  Plan plan;
  plan.finished = reader.boolean("finished");
  if (reader.ok() && plan.finished) return plan;
  plan.case_name = reader.text("name", 32);
  plan.layout.file_bytes = reader.number("file_bytes", checker::Layout::page_bytes, file_bytes_max);
  if (plan.layout.file_bytes % checker::Layout::page_bytes != 0)
    reader.complain("\"file_bytes\" is no whole number of pages");
  plan.layout.writers = static_cast<std::uint32_t>(reader.number("writers", 1, writers_max));
  plan.layout.seed = reader.number("seed", 0, std::numeric_limits<std::uint64_t>::max());
  plan.downloads = static_cast<std::uint32_t>(reader.number("downloads", 1, downloads_max));
  plan.parallel = static_cast<std::uint32_t>(reader.number("parallel", 1, parallel_max));
  // What is put behind the sender's address to be asked for.
  plan.directory = reader.text("directory", 64);
  if (!reader.ok()) return reader.error();
  return plan;
}

std::string to_json(const std::vector<SubmitInterval>& submits) {
  Json list = Json::array();
  for (const SubmitInterval& submit : submits)
    list.push_back({{"begin_ns", submit.begin_ns}, {"return_ns", submit.return_ns}});
  return Json{{"protocol", protocol}, {"submits", std::move(list)}}.dump() + "\n";
}

Result<std::vector<SubmitInterval>> parse_submits(std::string_view json, std::uint32_t downloads) {
  Reader reader("submit times", json);
  reader.number("protocol", protocol, protocol);
  const Json* const list = reader.find("submits");
  if (list != nullptr && (!list->is_array() || list->size() != downloads))
    reader.complain(fmt::format("\"submits\" is no list of {} downloads", downloads));
  if (!reader.ok()) return reader.error();
  constexpr std::uint64_t ns_max = std::numeric_limits<std::int64_t>::max();
  std::vector<SubmitInterval> submits;
  for (const Json& one : *list) {
    Reader item("submit times", one);
    const std::uint64_t begin_ns = item.number("begin_ns", 0, ns_max);
    const std::uint64_t return_ns = item.number("return_ns", begin_ns, ns_max);
    if (!item.ok()) return item.error();
    submits.push_back({static_cast<std::int64_t>(begin_ns), static_cast<std::int64_t>(return_ns)});
  }
  return submits;
}

}  // namespace strictsend::conformance
