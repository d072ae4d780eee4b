// SPDX-License-Identifier: Apache-2.0
// The one file of statistics that knows nlohmann-json.
#include "apps/serve/statistics/json_document.hpp"

#include <algorithm>
#include <cerrno>
#include <limits>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "apps/serve/statistics/table.hpp"

namespace strictsend::statistics {
namespace {

using OutJson = nlohmann::ordered_json;
// Finds members by a tree: an object of many costs no more than it is long.
using InJson = nlohmann::json;

constexpr std::size_t queues_max = 4096;  // that are read of a document
constexpr std::size_t text_bytes_max = 256;

void put(OutJson& document, const Family& family) {
  const std::string name(family.name);
  if (family.section == "queue") {
    for (std::size_t i = 0; i < family.samples.size(); ++i)
      document["queues"][i][name] = family.samples[i].value;
    return;
  }
  OutJson& place = document[std::string(family.section)][name];
  if (family.samples.size() == 1 && family.samples.front().labels.empty()) {
    place = family.samples.front().value;
    return;
  }
  place = OutJson::array();
  for (const Sample& sample : family.samples) {
    OutJson entry;
    for (const auto& [label, value] : sample.labels)
      entry[std::string(label)] = value;
    entry["value"] = sample.value;
    place.push_back(std::move(entry));
  }
}

tl::unexpected<Error> no_document(const char* why) {
  return fail("read the statistics", EPROTO, why);
}

/// The member; null where there is none.
const InJson* member_of(const InJson* object, std::string_view name) {
  if (object == nullptr || !object->is_object()) return nullptr;
  const auto found = object->find(std::string(name));
  return found == object->end() ? nullptr : &*found;
}

std::uint64_t number_in(const InJson* object, std::string_view name) {
  const InJson* found = member_of(object, name);
  return found != nullptr && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

std::string text_in(const InJson* object, std::string_view name) {
  const InJson* found = member_of(object, name);
  if (found == nullptr || !found->is_string()) return {};
  std::string value = found->get<std::string>().substr(0, text_bytes_max);
  std::replace_if(
      value.begin(), value.end(), [](char c) { return c < 0x20 || c > 0x7e; }, '?');
  return value;
}

template <class Stats>
void read_rows(const InJson& document, std::span<const Row<Stats>> rows, Stats& stats) {
  for (const Row<Stats>& row : rows)
    stats.*row.value = number_in(member_of(&document, row.section), row.name);
}

PortFacts read_port(const InJson* object) {
  const auto flag = [object](std::string_view name) {
    const InJson* found = member_of(object, name);
    return found != nullptr && found->is_boolean() && found->get<bool>();
  };
  const auto small = [object](std::string_view name) {
    constexpr std::uint64_t most = std::numeric_limits<std::uint32_t>::max();
    return static_cast<std::uint32_t>(std::min(number_in(object, name), most));
  };
  PortFacts port;
  port.spec = text_in(object, "spec");
  port.driver = text_in(object, "driver");
  port.form = text_in(object, "form") == "fragments" ? TxForm::fragments : TxForm::linear;
  port.mtu_bytes = small("mtu_bytes");
  port.queues = small("queues");
  port.max_fragments = small("max_fragments");
  port.fragments_possible = flag("fragments_possible");
  port.checksum_offload = flag("checksum_offload");
  port.segmented_bytes_max = small("segmented_bytes_max");
  port.copies_payload = flag("copies_payload");
  port.late_completion = flag("late_completion");
  port.owns_interface = flag("owns_interface");
  return port;
}

}  // namespace

std::string to_json(const ServerStatus& status) {
  OutJson document;
  document["version"] = document_version;
  document["program"] = {{"name", "strictsend"}, {"version", status.version}};
  OutJson& port = document["port"];
  for (const auto& [name, fact] : facts(status.port))
    std::visit([&, key = std::string(name)](const auto& value) { port[key] = value; }, fact);
  for (const Family& family : families(status))
    put(document, family);
  // Names of interfaces may be any bytes.
  return document.dump(2, ' ', false, OutJson::error_handler_t::replace) + "\n";
}

Result<ServerStatus> parse_document(std::string_view bytes) {
  const InJson document = InJson::parse(bytes, nullptr, false);
  if (!document.is_object())
    return no_document("what came is no JSON object; is it strictsend's statistics socket?");
  const std::uint64_t version = number_in(&document, "version");
  if (version == 0) return no_document("the document has no version; is it strictsend's?");
  if (version != document_version)
    return no_document("the document is of another version; use the server's own strictsend");
  ServerStatus status;
  status.version = text_in(member_of(&document, "program"), "version");
  status.port = read_port(member_of(&document, "port"));
  read_rows(document, process_rows(), status.process);
  read_rows(document, engine_rows(), status.engine);
  read_rows(document, server_rows(), status.server);
  const InJson* queues = member_of(&document, "queues");
  if (queues != nullptr && queues->is_array()) {
    for (std::size_t i = 0; i < std::min(queues->size(), queues_max); ++i) {
      QueueStats& queue = status.queues.emplace_back();
      for (const Row<QueueStats>& row : queue_rows())
        queue.*row.value = number_in(&(*queues)[i], row.name);
    }
  }
  return status;
}

}  // namespace strictsend::statistics
