// SPDX-License-Identifier: Apache-2.0
#include "engine/transport/tcp/syn_cookie.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/assert.hpp"

namespace strictsend::tcp {

namespace {

/// What peers really offer: Ethernet by both families, with tunnels, and the defaults; the largest
/// one that does not exceed the SYN's is taken.
constexpr std::array<std::uint16_t, 8> mss_table{64, 536, 1024, 1220, 1360, 1400, 1440, 1460};
constexpr std::uint16_t mss_default = 536;  // RFC 9293 §3.7.1

constexpr Duration tick = seconds(64);
constexpr std::uint32_t tick_mask = 31;
constexpr std::uint32_t hash_mask = 0x00ff'ffff;
constexpr std::uint32_t scale_max = 14;  // RFC 7323 §2.3: what is more means so much
constexpr std::uint32_t no_scale = 15;
constexpr std::uint32_t timestamp_bits = 5;
constexpr std::size_t ends_bytes_max = 40;

std::uint32_t tick_of(Time now) {
  return static_cast<std::uint32_t>(now.ns / tick.ns) & tick_mask;
}

std::uint32_t mss_index(const SegmentIn& syn) {
  const std::uint16_t mss = syn.syn_options.mss.value_or(mss_default);
  std::uint32_t index = 0;
  while (index + 1 < mss_table.size() && mss_table[index + 1] <= mss)
    ++index;
  return index;
}

}  // namespace

std::uint32_t SynCookies::hash(std::span<const std::byte> ends, Seq irs, std::uint32_t kept) const {
  STRICTSEND_ASSERT(ends.size() <= ends_bytes_max);
  std::array<std::byte, ends_bytes_max + 9> bytes{};
  std::memcpy(bytes.data(), ends.data(), ends.size());
  const std::uint32_t seq = irs.raw();
  std::memcpy(bytes.data() + ends_bytes_max, &seq, 4);
  std::memcpy(bytes.data() + ends_bytes_max + 4, &kept, 4);
  bytes[ends_bytes_max + 8] = std::byte{2};  // tells this use of the secret from others
  return static_cast<std::uint32_t>(siphash(secret_, bytes)) & hash_mask;
}

Seq SynCookies::make(std::span<const std::byte> ends, const SegmentIn& syn, Time now) const {
  const std::uint32_t kept = tick_of(now) << 27 | mss_index(syn) << 24;
  return Seq(kept | hash(ends, syn.seq, kept));
}

std::uint32_t SynCookies::timestamp_for(const SegmentIn& syn, std::uint32_t timestamp) {
  const std::optional<std::uint8_t> asked = syn.syn_options.window_scale;
  const std::uint32_t scale = asked ? std::min<std::uint32_t>(*asked, scale_max) : no_scale;
  const std::uint32_t bits = scale | (syn.syn_options.sack_permitted ? 1U << 4 : 0U);
  const std::uint32_t candidate = (timestamp & ~((1U << timestamp_bits) - 1)) | bits;
  return candidate <= timestamp ? candidate : candidate - (1U << timestamp_bits);
}

std::optional<SegmentIn> SynCookies::check(std::span<const std::byte> ends, const SegmentIn& ack,
                                           Time now) const {
  const std::uint32_t cookie = (ack.ack - 1).raw();
  const std::uint32_t kept = cookie & ~hash_mask;
  const Seq irs = ack.seq - 1;
  if (hash(ends, irs, kept) != (cookie & hash_mask)) return std::nullopt;
  const std::uint32_t age = (tick_of(now) - (kept >> 27)) & tick_mask;
  if (age > 1) return std::nullopt;

  SegmentIn syn;
  syn.seq = irs;
  syn.flags.syn = true;
  syn.window = ack.window;
  syn.syn_options.mss = mss_table[kept >> 24 & 7];
  if (!ack.timestamps) return syn;
  syn.timestamps = Timestamps{.value = ack.timestamps->value, .echo = 0};
  const std::uint32_t bits = ack.timestamps->echo & ((1U << timestamp_bits) - 1);
  const std::uint32_t scale = bits & 15;
  if (scale != no_scale) syn.syn_options.window_scale = static_cast<std::uint8_t>(scale);
  syn.syn_options.sack_permitted = (bits & 1U << 4) != 0;
  return syn;
}

SegmentOut cookie_answer(const Config& config, const SegmentIn& syn, Seq cookie,
                         std::uint32_t timestamp_offset, Time now) {
  SegmentIn kept = syn;
  if (!syn.timestamps) kept.syn_options.window_scale.reset();
  SegmentOut answer;
  answer.seq = cookie;
  answer.ack = syn.seq + 1;
  answer.flags = {.syn = true, .ack = true};
  answer.window = Receiver(syn.seq, config.receive_buffer_bytes, config.mss_bytes,
                           kept.syn_options.window_scale.has_value())
                      .syn_window_field();
  answer.mss_bytes = config.mss_bytes;
  answer.syn_options.mss = config.mss_bytes;
  if (!syn.timestamps) return answer;  // nothing could keep more
  if (syn.syn_options.window_scale)
    answer.syn_options.window_scale = Receiver::scale_for(config.receive_buffer_bytes);
  answer.syn_options.sack_permitted = config.sack && syn.syn_options.sack_permitted;
  const auto ticks = static_cast<std::uint32_t>(now.ns / clock_granularity.ns) + timestamp_offset;
  answer.timestamps =
      Timestamps{.value = SynCookies::timestamp_for(syn, ticks), .echo = syn.timestamps->value};
  return answer;
}

}  // namespace strictsend::tcp
