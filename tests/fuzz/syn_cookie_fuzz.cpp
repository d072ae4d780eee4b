// SPDX-License-Identifier: Apache-2.0
#include "tests/fuzz/syn_cookie_fuzz.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "base/assert.hpp"
#include "engine/transport/tcp/connection.hpp"
#include "engine/transport/tcp/syn_cookie.hpp"
#include "tests/fuzz/fuzz_input.hpp"

namespace strictsend::test {
namespace {

using namespace tcp;  // NOLINT(google-build-using-namespace): a test of that namespace

constexpr Duration cookie_age_taken = seconds(64);  // at least so old a cookie is good
constexpr Duration cookie_age_refused = seconds(128);

SegmentIn read_syn(FuzzInput& input) {
  SegmentIn syn;
  const std::uint8_t kind = input.byte();
  syn.seq = Seq(input.number());
  syn.flags.syn = true;
  syn.window = input.word();
  if (kind & 1) syn.syn_options.mss = input.word();
  if (kind & 2) syn.syn_options.window_scale = input.byte();
  syn.syn_options.sack_permitted = (kind & 4) != 0;
  if (kind & 8) syn.timestamps = Timestamps{.value = input.number(), .echo = 0};
  return syn;
}

/// No more than the SYN asked for; with timestamps, all of what counts.
void expect_of(const SegmentIn& kept, const SegmentIn& syn) {
  STRICTSEND_ASSERT(kept.seq == syn.seq && kept.flags.syn && !kept.flags.ack);
  const SynOptions& asked = syn.syn_options;
  // Below the smallest that we take from anybody, it is that one.
  constexpr std::uint16_t mss_least = 64;
  STRICTSEND_ASSERT(*kept.syn_options.mss <= std::max(asked.mss.value_or(536), mss_least));
  if (!syn.timestamps) {
    STRICTSEND_ASSERT(!kept.syn_options.window_scale && !kept.syn_options.sack_permitted);
    return;
  }
  STRICTSEND_ASSERT(kept.syn_options.sack_permitted == asked.sack_permitted);
  // RFC 7323 §2.3: a shift above 14 is taken for 14.
  const bool scales = asked.window_scale.has_value();
  STRICTSEND_ASSERT(scales == kept.syn_options.window_scale.has_value());
  STRICTSEND_ASSERT(!scales ||
                    std::min<unsigned>(*asked.window_scale, 14) == *kept.syn_options.window_scale);
}

void go_on(const SegmentIn& kept, Seq cookie, const SegmentIn& ack, Time now) {
  RunPool runs(1, 16);
  Config config;
  config.receive_buffer_bytes = 4096;
  Connection connection = Connection::accept_cookie(config, kept, cookie, 0, runs, now);
  const Outcome outcome = connection.on_segment(ack, now);
  STRICTSEND_ASSERT(outcome.established && connection.state() == State::established);
  connection.enqueue(1000, now);
  STRICTSEND_ASSERT(connection.next_segment(now) || connection.next_deadline() != Time::never());
}

}  // namespace

bool fuzz_syn_cookie(std::span<const std::byte> bytes) {
  FuzzInput input(bytes);
  const SynCookies cookies({input.number(), input.number()});
  std::array<std::byte, 12> ends{};
  for (std::byte& byte : ends)
    byte = std::byte{input.byte()};
  const SegmentIn syn = read_syn(input);
  const Time made_at{std::int64_t{input.number()} * 1'000'000};
  const Seq cookie = cookies.make(ends, syn, made_at);

  SegmentIn ack;
  ack.seq = syn.seq + 1;
  ack.ack = cookie + 1;
  ack.flags.ack = true;
  ack.window = input.word();
  if (syn.timestamps) {
    const std::uint32_t clock = input.number();
    const std::uint32_t said = SynCookies::timestamp_for(syn, clock);
    STRICTSEND_ASSERT(clock - said < 32);
    ack.timestamps = Timestamps{.value = syn.timestamps->value + input.byte(), .echo = said};
  }
  const Duration age = milliseconds(input.byte() & 1 ? input.word() : 0) * 4;
  const Time now = made_at + age;

  // A cookie of 24 bits can be guessed once in so many times; who changes one byte of what it
  // covers has a guess, no more. The minute, the MSS and the hash are all covered.
  const std::uint8_t forged = input.byte() % 8;
  if (forged == 1) ack.ack += 1 + input.byte();
  if (forged == 2) ack.seq += 1 + input.byte();
  if (forged == 3) ends[input.byte() % ends.size()] ^= std::byte{1};
  const std::optional<SegmentIn> kept = cookies.check(ends, ack, now);
  const bool is_good = forged == 0 || forged > 3;
  if (is_good && age <= cookie_age_taken) STRICTSEND_ASSERT(kept.has_value());
  if (age >= cookie_age_refused) STRICTSEND_ASSERT(!kept || !is_good);
  if (!kept) return false;
  if (is_good) expect_of(*kept, syn);
  go_on(*kept, ack.ack - 1, ack, now);
  return true;
}

}  // namespace strictsend::test

#ifdef STRICTSEND_LIBFUZZER
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  strictsend::test::fuzz_syn_cookie(std::as_bytes(std::span(data, size)));
  return 0;
}
#endif
