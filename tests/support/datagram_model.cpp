// SPDX-License-Identifier: Apache-2.0
#include "tests/support/datagram_model.hpp"

#include <algorithm>
#include <span>

namespace strictsend::testing {
namespace {

std::uint64_t number_at(std::span<const std::byte> header, std::size_t at, std::size_t width) {
  std::uint64_t value = 0;
  for (const std::byte byte : header.subspan(at, width))
    value = value << 8 | std::to_integer<std::uint64_t>(byte);
  return value;
}

}  // namespace

std::uint32_t DatagramModel::add(std::vector<std::byte> content, std::uint32_t payload_bytes) {
  const std::size_t count =
      std::max<std::size_t>((content.size() + payload_bytes - 1) / payload_bytes, 1);
  splices_.push_back({std::move(content), payload_bytes, std::vector<bool>(count), false});
  return static_cast<std::uint32_t>(splices_.size() - 1);
}

std::string DatagramModel::header_of(std::uint32_t splice) {
  std::string header(header_bytes, '\0');
  for (std::size_t i = 0; i < 4; ++i)
    header[i] = static_cast<char>(splice >> (24 - 8 * i));
  header.back() = '.';
  return header;
}

std::optional<std::string> DatagramModel::left_device(const wire::UdpPacketView& datagram) {
  if (datagram.payload.size() < header_bytes) return "a datagram without its header";
  const std::uint64_t splice = number_at(datagram.payload, 0, 4);
  if (splice >= splices_.size()) return "a datagram of no splice";
  Expected& expected = splices_[splice];
  const std::string name = "splice " + std::to_string(splice) + ", ";
  const std::uint64_t number = number_at(datagram.payload, sequence.offset_bytes, 3);
  const std::uint64_t offset = number_at(datagram.payload, byte_offset.offset_bytes, 5);
  if (number >= expected.left.size() || offset != number * expected.payload_bytes)
    return name + "header says datagram " + std::to_string(number) + " at offset " +
           std::to_string(offset);
  if (expected.left[number]) return name + "datagram " + std::to_string(number) + " comes again";
  expected.left[number] = true;
  ++seen_;
  const std::span<const std::byte> payload = datagram.payload.subspan(header_bytes);
  const std::size_t wanted =
      std::min<std::size_t>(expected.payload_bytes, expected.content.size() - offset);
  if (payload.size() != wanted) return name + "a datagram of another size";
  if (std::equal(payload.begin(), payload.end(),
                 expected.content.begin() + static_cast<std::ptrdiff_t>(offset)))
    return std::nullopt;
  return name + "the slice at " + std::to_string(offset) + " is not the snapshot's";
}

std::optional<std::string> DatagramModel::released(std::uint32_t splice,
                                                   const SpliceResult& result) {
  Expected& expected = splices_.at(splice);
  const std::string name = "splice " + std::to_string(splice) + ", ";
  if (expected.released) return name + "released twice";
  expected.released = true;
  ++released_;
  if (result.error != 0) return name + "failed with " + std::to_string(result.error);
  if (result.bytes_sent != expected.content.size() || result.datagrams_sent != expected.left.size())
    return name + "released with another count";
  if (!std::ranges::all_of(expected.left, [](bool left) { return left; }))
    return name + "released before the device has read all of it";
  return std::nullopt;
}

}  // namespace strictsend::testing
