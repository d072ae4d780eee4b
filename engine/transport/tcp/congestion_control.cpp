// SPDX-License-Identifier: Apache-2.0
#include "engine/transport/tcp/congestion_control.hpp"

#include <type_traits>

#include "base/assert.hpp"

namespace strictsend::tcp {

CongestionControl::Any CongestionControl::made(CongestionAlgorithm algorithm,
                                               std::uint32_t mss_bytes) {
  switch (algorithm) {
    case CongestionAlgorithm::cubic:
      return Cubic(mss_bytes);
    case CongestionAlgorithm::reno:
      return Reno(mss_bytes);
    case CongestionAlgorithm::bbr:
      return Bbr(mss_bytes);
  }
  STRICTSEND_ASSERT(false);
}

CongestionControl::CongestionControl(CongestionAlgorithm algorithm, std::uint32_t mss_bytes)
    : algorithm_(made(algorithm, mss_bytes)) {}

std::uint32_t CongestionControl::cwnd_bytes() const {
  return std::visit([](const auto& it) { return it.cwnd_bytes(); }, algorithm_);
}

std::uint32_t CongestionControl::ssthresh_bytes() const {
  return std::visit([](const auto& it) { return it.ssthresh_bytes(); }, algorithm_);
}

std::uint32_t CongestionControl::restart_window_bytes() const {
  return std::visit([](const auto& it) { return it.restart_window_bytes(); }, algorithm_);
}

std::uint64_t CongestionControl::pacing_rate() const {
  return std::visit([](const auto& it) { return it.pacing_rate(); }, algorithm_);
}

bool CongestionControl::uses_prr() const {
  return std::visit([](const auto& it) { return std::decay_t<decltype(it)>::uses_prr; },
                    algorithm_);
}

void CongestionControl::on_ack(const AckSample& ack) {
  std::visit([&](auto& it) { it.on_ack(ack); }, algorithm_);
}

void CongestionControl::on_congestion(CongestionCause cause, std::uint32_t in_flight_bytes,
                                      Time now) {
  std::visit([&](auto& it) { it.on_congestion(cause, in_flight_bytes, now); }, algorithm_);
}

void CongestionControl::on_recovered(std::uint32_t in_flight_bytes, Time now) {
  std::visit([&](auto& it) { it.on_recovered(in_flight_bytes, now); }, algorithm_);
}

void CongestionControl::on_timeout(std::uint32_t in_flight_bytes, bool repeated, Time now) {
  std::visit([&](auto& it) { it.on_timeout(in_flight_bytes, repeated, now); }, algorithm_);
}

void CongestionControl::undo(Time now) {
  std::visit([&](auto& it) { it.undo(now); }, algorithm_);
}

void CongestionControl::on_idle(Time now) {
  std::visit([&](auto& it) { it.on_idle(now); }, algorithm_);
}

void CongestionControl::start_with_one_segment() {
  std::visit([](auto& it) { it.start_with_one_segment(); }, algorithm_);
}

void CongestionControl::set_mss(std::uint32_t mss_bytes) {
  std::visit([&](auto& it) { it.set_mss(mss_bytes); }, algorithm_);
}

}  // namespace strictsend::tcp
