// SPDX-License-Identifier: Apache-2.0
#include "engine/transport/tcp/connection.hpp"

#include <algorithm>

#include "base/assert.hpp"

namespace strictsend::tcp {

namespace {

constexpr std::uint16_t peer_mss_bytes_default = 536;  // RFC 9293 §3.7.1
// A smaller one would turn a transfer into a flood of headers; no real link needs it.
constexpr std::uint16_t peer_mss_bytes_min = 64;
constexpr std::uint32_t timestamp_option_bytes = 12;  // padded: RFC 7323 appendix A
constexpr std::uint32_t tcp_header_bytes = 20;
/// What every path is taken to carry: BASE_PLPMTU of RFC 8899 §5.1.2.
constexpr std::uint32_t path_mtu_base_bytes = 1200;
constexpr std::uint8_t peer_scale_max = 14;  // RFC 7323 §2.3
/// Of a peer that closes without ever sending its FIN, when there is no idle time-out for it.
constexpr Duration fin_wait_2_timeout = seconds(60);

/// Eff.snd.MSS of RFC 9293 §3.7.1 with the fixed options taken off, as RFC 6691 says.
std::uint32_t effective_mss_bytes(const Config& config, const SegmentIn& syn) {
  const std::uint16_t peer =
      std::max(syn.syn_options.mss.value_or(peer_mss_bytes_default), peer_mss_bytes_min);
  const std::uint16_t own = config.mss_send_bytes > 0 ? config.mss_send_bytes : config.mss_bytes;
  return std::min(own, peer) - (syn.timestamps ? timestamp_option_bytes : 0);
}

SenderSetup sender_setup(const Config& config, const SegmentIn& syn, Seq initial_send_seq) {
  SenderSetup setup;
  setup.iss = initial_send_seq;
  setup.mss_bytes = effective_mss_bytes(config, syn);
  setup.segment_bytes_max = config.segment_bytes_max;
  setup.peer_window_bytes = syn.window;
  setup.rto_min = config.rto_min;
  setup.rto_max = config.rto_max;
  setup.congestion = config.congestion;
  setup.sack = config.sack && syn.syn_options.sack_permitted;
  setup.pacing = config.pacing;
  setup.mss_base_bytes = path_mtu_base_bytes - config.ip_header_bytes - tcp_header_bytes -
                         (syn.timestamps ? timestamp_option_bytes : 0);
  return setup;
}

}  // namespace

Connection Connection::accept(const Config& config, const SegmentIn& syn, Seq initial_send_seq,
                              std::uint32_t timestamp_offset, RunPool& pool, Time now) {
  STRICTSEND_ASSERT(syn.flags.syn && !syn.flags.ack && !syn.flags.rst);
  STRICTSEND_ASSERT(config.mss_bytes >= peer_mss_bytes_min && config.receive_buffer_bytes > 0);
  return Connection(config, syn, initial_send_seq, timestamp_offset, pool, now);
}

Connection Connection::accept_cookie(const Config& config, const SegmentIn& syn,
                                     Seq initial_send_seq, std::uint32_t timestamp_offset,
                                     RunPool& pool, Time now) {
  Connection connection = accept(config, syn, initial_send_seq, timestamp_offset, pool, now);
  connection.sender_.syn_was_sent(now);
  return connection;
}

Connection::Connection(const Config& config, const SegmentIn& syn, Seq initial_send_seq,
                       std::uint32_t timestamp_offset, RunPool& pool, Time now)
    : config_(config),
      scaled_(syn.syn_options.window_scale.has_value()),
      sack_permitted_(config.sack && syn.syn_options.sack_permitted),
      ecn_(config.ecn && syn.flags.ece && syn.flags.cwr),  // RFC 3168 §6.1.1
      peer_scale_(std::min(syn.syn_options.window_scale.value_or(0), peer_scale_max)),
      window_seq_(syn.seq),
      window_ack_(initial_send_seq),
      progress_at_(now),
      receiver_(syn.seq, config.receive_buffer_bytes, config.mss_bytes, scaled_),
      sender_(sender_setup(config, syn, initial_send_seq), pool) {
  if (syn.timestamps) {
    timestamps_ = {
        .on = true, .offset = timestamp_offset, .recent = syn.timestamps->value, .recent_at = now};
  }
}

// ---- the application's side ---------------------------------------------------------------------

void Connection::enqueue(std::uint64_t bytes, Time now) {
  STRICTSEND_ASSERT(!finish_asked_);
  if (state_ == State::closed) return;
  if (acked_to() == stream_end()) due_since_ = now;
  sender_.enqueue(bytes);
  // The peer's window may already be closed, and there is no event to learn that from.
  sender_.update_timer(now);
}

void Connection::retract(std::uint64_t bytes, Time now) {
  if (state_ == State::closed) return;
  sender_.retract(bytes);
  sender_.update_timer(now);
}

void Connection::finish(Time now) {
  if (finish_asked_ || state_ == State::closed) return;
  finish_asked_ = true;
  sender_.finish();
  // RFC 9293 §3.10.4. During the handshake the state follows when it is done.
  if (state_ == State::established) state_ = State::fin_wait_1;
  if (state_ == State::close_wait) state_ = State::last_ack;
  sender_.update_timer(now);
}

std::uint64_t Connection::acked_to() const {
  return std::min(std::max<Position>(sender_.una(), 1), sender_.end()) - 1;
}

std::uint64_t Connection::sent_to() const {
  return std::min(std::max<Position>(sender_.max(), 1), sender_.end()) - 1;
}

void Connection::consumed(std::uint32_t bytes) {
  receiver_.consumed(bytes);
}

bool Connection::on_path_mtu(std::uint32_t mtu_bytes, Seq quoted, Time now) {
  if (state_ == State::closed || state_ == State::syn_received) return false;
  const Seq una = sender_.seq_of(sender_.una());
  if (!quoted.in_window(una, sender_.seq_of(sender_.nxt()).since(una))) return false;
  const std::uint32_t overhead =
      config_.ip_header_bytes + tcp_header_bytes + (timestamps_.on ? timestamp_option_bytes : 0);
  sender_.on_path_mss(mtu_bytes > overhead ? mtu_bytes - overhead : 0, now);
  return true;
}

bool Connection::may_be_replaced_by(const SegmentIn& syn) const {
  if (state_ != State::time_wait || !syn.flags.syn || syn.flags.ack || syn.flags.rst) return false;
  if (timestamps_.on && syn.timestamps) {
    const std::uint32_t newer_by = syn.timestamps->value - timestamps_.recent;
    if (newer_by != 0) return newer_by < 0x8000'0000U;
  }
  return receiver_.next().before(syn.seq);
}

ConnectionCounters Connection::counters() const {
  return {.sender = sender_.counters(),
          .out_of_order_segments = out_of_order_segments_,
          .unacceptable_segments = unacceptable_segments_,
          .challenge_acks = challenge_acks_};
}

// ---- states and time ----------------------------------------------------------------------------

bool Connection::receives() const {
  return state_ == State::established || state_ == State::fin_wait_1 || state_ == State::fin_wait_2;
}

void Connection::close(CloseReason reason, Outcome* outcome) {
  state_ = State::closed;
  close_reason_ = reason;
  sender_.forget();
  if (outcome != nullptr) outcome->closed = true;
}

void Connection::enter_time_wait(Time now) {
  state_ = State::time_wait;
  time_wait_deadline_ = now + config_.time_wait;
}

Time Connection::idle_deadline() const {
  if (state_ == State::syn_received || state_ == State::time_wait || state_ == State::closed)
    return Time::never();
  if (config_.idle_timeout > Duration{})
    return std::min(progress_at_ + config_.idle_timeout, progress_deadline());
  return state_ == State::fin_wait_2 ? progress_at_ + fin_wait_2_timeout : Time::never();
}

Time Connection::progress_deadline() const {
  if (config_.progress_bytes_min == 0 || acked_to() == stream_end()) return Time::never();
  return due_since_ + config_.idle_timeout;
}

Time Connection::protocol_deadline() const {
  if (state_ == State::closed) return Time::never();
  return std::min(
      {sender_.deadline(), receiver_.ack_deadline(), time_wait_deadline_, idle_deadline()});
}

Outcome Connection::on_timer(Time now) {
  Outcome outcome;
  outcome.acked_to = acked_to();
  if (state_ == State::closed) return outcome;
  if (now >= time_wait_deadline_) {
    close(CloseReason::finished, &outcome);
    return outcome;
  }
  if (now >= idle_deadline()) {
    // A peer that answers nothing is gone; one that answers but does not read is idle.
    const bool moves = acked_to() > due_from_;
    outcome.reply = reset_segment(now);
    close(sender_.timer_fired_unanswered() ? CloseReason::timed_out
          : moves                          ? CloseReason::slow
                                           : CloseReason::idle,
          &outcome);
    return outcome;
  }
  if (now >= receiver_.ack_deadline()) receiver_.on_ack_deadline();
  sender_.released(now);
  if (now >= sender_.deadline()) {
    const std::uint32_t limit =
        state_ == State::syn_received ? config_.syn_retries_max : config_.retries_max;
    if (sender_.on_deadline(now) > limit) {
      outcome.reply = reset_segment(now);
      close(CloseReason::timed_out, &outcome);
    }
  }
  return outcome;
}

}  // namespace strictsend::tcp
