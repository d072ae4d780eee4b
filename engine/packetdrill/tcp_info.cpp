// SPDX-License-Identifier: Apache-2.0
#include "engine/packetdrill/tcp_info.hpp"

namespace strictsend::packetdrill {
namespace {

// The values of tcpi_state: enum of netinet/tcp.h, which cannot be included with linux/tcp.h.
constexpr std::uint8_t state_close = 7;
constexpr std::uint8_t state_listen = 10;
constexpr std::uint32_t timestamp_option_bytes = 12;  // RFC 7323, appendix A
constexpr std::uint32_t ssthresh_unset = 0x7fffffff;  // TCP_INFINITE_SSTHRESH of Linux

std::uint8_t state_of(tcp::State state) {
  switch (state) {
    case tcp::State::syn_received:
      return 3;
    case tcp::State::established:
      return 1;
    case tcp::State::fin_wait_1:
      return 4;
    case tcp::State::fin_wait_2:
      return 5;
    case tcp::State::close_wait:
      return 8;
    case tcp::State::closing:
      return 11;
    case tcp::State::last_ack:
      return 9;
    case tcp::State::time_wait:
      return 6;
    case tcp::State::closed:
      return state_close;
  }
  return state_close;
}

std::uint8_t ca_state_of(const tcp::Sender& sender) {
  switch (sender.phase()) {
    case tcp::Sender::Phase::open:
      // Something overtook something, which may be a loss yet.
      return sender.scoreboard().sacked_bytes() > 0 ? TCP_CA_Disorder : TCP_CA_Open;
    case tcp::Sender::Phase::cwr:
      return TCP_CA_CWR;
    case tcp::Sender::Phase::recovery:
      return TCP_CA_Recovery;
    case tcp::Sender::Phase::loss:
      return TCP_CA_Loss;
  }
  return TCP_CA_Open;
}

std::uint32_t microseconds_of(Duration duration) {
  return static_cast<std::uint32_t>(duration.ns / 1000);
}

}  // namespace

tcp_info tcp_info_of(const tcp::Connection& connection, const LinkFacts& link) {
  tcp_info info{};
  const std::uint32_t mss_bytes = connection.mss_bytes();
  const auto segments = [mss_bytes](std::uint64_t bytes) {
    return static_cast<std::uint32_t>((bytes + mss_bytes - 1) / mss_bytes);
  };
  const tcp::SenderCounters counters = connection.counters().sender;
  info.tcpi_state = state_of(connection.state());
  info.tcpi_ca_state = ca_state_of(connection.sender());
  if (connection.timestamps_on()) info.tcpi_options |= TCPI_OPT_TIMESTAMPS;
  if (connection.ecn_on()) info.tcpi_options |= TCPI_OPT_ECN;
  info.tcpi_rto = microseconds_of(connection.rto());
  info.tcpi_snd_mss = mss_bytes;
  info.tcpi_pmtu = link.mtu_bytes;
  if (counters.mss_reductions > 0) {
    const std::uint32_t options_bytes = connection.timestamps_on() ? timestamp_option_bytes : 0;
    info.tcpi_pmtu = mss_bytes + options_bytes + link.headers_bytes;
  }
  info.tcpi_advmss = link.advertised_mss_bytes;
  info.tcpi_rtt = microseconds_of(connection.srtt());
  info.tcpi_rttvar = microseconds_of(connection.sender().rtt().rttvar());
  info.tcpi_snd_cwnd = connection.cwnd_bytes() / mss_bytes;
  // "Arbitrarily high" until something is lost: RFC 5681 §3.1.
  info.tcpi_snd_ssthresh = connection.ssthresh_bytes() >= tcp::cwnd_bytes_max
                               ? ssthresh_unset
                               : connection.ssthresh_bytes() / mss_bytes;
  info.tcpi_unacked = segments(connection.sent_to() - connection.acked_to());
  info.tcpi_sacked = segments(connection.sender().scoreboard().sacked_bytes());
  // Linux counts what is lost until it is known to have arrived.
  info.tcpi_lost = segments(connection.sender().scoreboard().lost_bytes() +
                            connection.sender().scoreboard().repeated_bytes());
  info.tcpi_bytes_retrans = counters.retransmitted_bytes;
  info.tcpi_total_retrans = counters.retransmissions;
  info.tcpi_bytes_acked = connection.acked_to();
  info.tcpi_notsent_bytes =
      static_cast<std::uint32_t>(connection.stream_end() - connection.sent_to());
  info.tcpi_rcv_space = connection.receive_window_bytes();
  info.tcpi_snd_wnd = connection.peer_window_bytes();
  return info;
}

tcp_info tcp_info_without_connection(bool listening) {
  tcp_info info{};
  info.tcpi_state = listening ? state_listen : state_close;
  return info;
}

}  // namespace strictsend::packetdrill
