// SPDX-License-Identifier: Apache-2.0
#include "nic/pcap/pcap_port.hpp"

#include <sys/resource.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <pcap/pcap.h>

#include "nic/discard/discard_port.hpp"
#include "nic/wire/header_template.hpp"
#include "nic/wire/tcp_packet.hpp"
#include "tests/support/dma_buffer.hpp"
#include "tests/support/temp_dir.hpp"

namespace strictsend::nic {
namespace {

using test::DmaBuffer;

struct Recorded {
  Time at;
  std::vector<std::byte> bytes;
};

/// The whole file as libpcap reads it.
std::vector<Recorded> read_back(const std::string& path) {
  std::array<char, PCAP_ERRBUF_SIZE> error{};
  pcap_t* handle = pcap_open_offline_with_tstamp_precision(path.c_str(), PCAP_TSTAMP_PRECISION_NANO,
                                                           error.data());
  EXPECT_NE(handle, nullptr) << error.data();
  std::vector<Recorded> packets;
  if (handle == nullptr) return packets;
  EXPECT_EQ(pcap_datalink(handle), DLT_EN10MB);
  pcap_pkthdr* header = nullptr;
  const u_char* bytes = nullptr;
  while (pcap_next_ex(handle, &header, &bytes) == 1) {
    EXPECT_EQ(header->caplen, header->len);
    const auto data = std::as_bytes(std::span(bytes, header->caplen));
    packets.push_back({.at = Time{header->ts.tv_sec * 1'000'000'000 + header->ts.tv_usec},
                       .bytes = {data.begin(), data.end()}});
  }
  pcap_close(handle);
  return packets;
}

class Recording : public testing::Test {
 protected:
  Result<std::unique_ptr<PcapPort>> open(const std::string& path) {
    auto inner =
        DiscardPort::create({.segmented_bytes_max = 65535, .tx_ring_packets = 4}, buffer.memory());
    EXPECT_TRUE(inner);
    discard = inner->get();
    return PcapPort::create(std::move(*inner), buffer.memory(), path, [this] { return now; });
  }
  /// Header and payload in two fragments, the checksum left to the device.
  std::size_t send(Queue& queue, std::uint32_t cookie, std::string_view payload) {
    const wire::TcpHeaderTemplate headers({.source = {10, 0, 0, 1}, .destination = {10, 0, 0, 2}});
    std::array<std::byte, wire::tcp_frame_header_bytes_max> bytes;
    const auto emitted = headers.emit_for_offload(
        bytes, {.payload_bytes = static_cast<std::uint32_t>(payload.size())});
    const std::array<Fragment, 2> fragments{
        buffer.put(buffer.first_free(), 0, std::span(bytes).first(emitted.header_bytes)),
        buffer.put(buffer.first_free().plus(1), 100, payload)};
    const TxPacket packet{.fragments = fragments, .checksum = emitted.checksum, .cookie = cookie};
    return queue.transmit(std::span(&packet, 1));
  }

  test::TempDir directory;
  DmaBuffer buffer{16, 4};
  DiscardPort* discard = nullptr;
  Time now{1'700'000'000'123'456'789};
};

TEST_F(Recording, writes_what_is_sent_and_received_with_nanoseconds) {
  const std::string path = directory.path("both.pcap");
  auto port = open(path);
  ASSERT_TRUE(port) << port.error().message();
  Queue& queue = (*port)->queue(0);
  ASSERT_EQ(send(queue, 1, "the payload"), 1U);
  now = now + nanoseconds(1);
  const std::string_view answer = "an ethernet frame that was received";
  ASSERT_TRUE(discard->inject(std::as_bytes(std::span(answer))));
  std::array<RxPacket, 4> received;
  ASSERT_EQ(queue.receive(received), 1U);
  queue.release_received();
  queue.stop();

  EXPECT_EQ((*port)->recorded(0), 2U);
  EXPECT_EQ((*port)->lost(0), 0U);
  const auto packets = read_back(path);  // before the port is destroyed: stop has flushed
  ASSERT_EQ(packets.size(), 2U);
  EXPECT_EQ(packets[0].at, Time{1'700'000'000'123'456'789});
  EXPECT_EQ(packets[1].at, Time{1'700'000'000'123'456'790});
  const auto sent = wire::parse_tcp_packet(packets[0].bytes, RxChecksum::unknown);
  ASSERT_TRUE(sent) << wire::to_string(sent.error()) << ": as the device finishes it";
  EXPECT_TRUE(std::ranges::equal(sent->payload, std::as_bytes(std::span("the payload", 11))));
  EXPECT_TRUE(std::ranges::equal(packets[1].bytes, std::as_bytes(std::span(answer))));
}

TEST_F(Recording, writes_what_the_device_cuts_as_the_packets_that_it_makes) {
  const std::string path = directory.path("cut.pcap");
  auto port = open(path);
  ASSERT_TRUE(port) << port.error().message();
  const wire::TcpHeaderTemplate headers({.source = {10, 0, 0, 1}, .destination = {10, 0, 0, 2}});
  std::array<std::byte, wire::tcp_frame_header_bytes_max> bytes;
  const std::string payload(3500, 'p');
  const auto emitted = headers.emit_for_segmentation(bytes, {.seq = 1, .payload_bytes = 3500});
  const std::array<Fragment, 2> fragments{
      buffer.put(buffer.first_free(), 0, std::span(bytes).first(emitted.header_bytes)),
      buffer.put(buffer.first_free().plus(1), 100, payload)};
  const TxPacket packet{
      .fragments = fragments,
      .checksum = emitted.checksum,
      .segmentation = SegmentationRequest{
          .header_bytes = static_cast<std::uint16_t>(emitted.header_bytes), .payload_bytes = 1460}};
  Queue& queue = (*port)->queue(0);
  ASSERT_EQ(queue.transmit(std::span(&packet, 1)), 1U);
  queue.stop();
  const auto packets = read_back(path);
  ASSERT_EQ(packets.size(), 3U);
  std::uint32_t seq = 1;
  for (const auto& recorded : packets) {
    const auto parsed = wire::parse_tcp_packet(recorded.bytes, RxChecksum::unknown);
    ASSERT_TRUE(parsed) << wire::to_string(parsed.error());
    EXPECT_EQ(parsed->seq, seq);
    seq += static_cast<std::uint32_t>(parsed->payload.size());
  }
  EXPECT_EQ(seq, 3501U);
}

TEST_F(Recording, leaves_out_what_the_port_did_not_take) {
  const std::string path = directory.path("full.pcap");
  auto port = open(path);
  ASSERT_TRUE(port) << port.error().message();
  for (std::uint32_t cookie = 0; cookie < 6; ++cookie)
    EXPECT_EQ(send((*port)->queue(0), cookie, "payload"), cookie < 4 ? 1U : 0U);
  port->reset();
  EXPECT_EQ(read_back(path).size(), 4U);
}

TEST_F(Recording, changes_nothing_of_the_port_inside) {
  auto opened = open(directory.path("same.pcap"));
  ASSERT_TRUE(opened) << opened.error().message();
  PcapPort& port = **opened;
  EXPECT_EQ(port.capabilities().description, "discard");
  EXPECT_EQ(port.queue_count(), 1U);
  EXPECT_TRUE(port.link_up());
  EXPECT_TRUE(port.accept_flows({}));
  Queue& queue = port.queue(0);
  EXPECT_EQ(queue.wait_fd(), -1);
  EXPECT_EQ(queue.next_event(), Time::never());
  EXPECT_TRUE(queue.arm_wait());
  ASSERT_EQ(send(queue, 42, "payload"), 1U);
  EXPECT_EQ(queue.kick(), 0);
  std::array<TxCompletion, 4> completions;
  ASSERT_EQ(queue.reap(completions), 1U);
  EXPECT_EQ(completions[0].cookie, 42U);
  EXPECT_EQ(queue.counters().tx_packets, 1U);
}

TEST_F(Recording, says_why_a_file_cannot_be_opened) {
  const auto missing = open(directory.path("no-such-directory/x.pcap"));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().errno_value, ENOENT);
  EXPECT_NE(missing.error().message().find("no-such-directory"), std::string::npos);
  EXPECT_NE(missing.error().message().find("directory must exist"), std::string::npos);

  const auto full = open("/dev/full");
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().errno_value, ENOSPC);
  EXPECT_NE(full.error().message().find("free space"), std::string::npos);
}

/// Lets this process write no file beyond a size, while it lives.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{.rlim_cur = bytes, .rlim_max = before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  void (*handler_)(int);
  rlimit before_{};
};

TEST_F(Recording, goes_on_sending_when_the_file_cannot_be_written_any_more) {
  const std::string path = directory.path("short.pcap");
  auto port = open(path);
  ASSERT_TRUE(port) << port.error().message();
  Queue& queue = (*port)->queue(0);
  const std::string payload(1400, 'x');
  std::array<TxCompletion, 4> completions;
  constexpr std::uint32_t packets = 2000;  // 3 MB: more than any buffer
  {
    const FileSizeLimit limit(100'000);
    for (std::uint32_t cookie = 0; cookie < packets; ++cookie) {
      ASSERT_EQ(send(queue, cookie, payload), 1U);
      ASSERT_EQ(queue.reap(completions), 1U);
    }
    queue.stop();
    EXPECT_GT((*port)->lost(0), 0U);
    EXPECT_EQ((*port)->lost(0) + (*port)->recorded(0), packets);
    EXPECT_EQ(queue.counters().tx_completions, packets);
    port->reset();
  }
  EXPECT_EQ(std::filesystem::file_size(path), 100'000U);
  EXPECT_EQ(read_back(path).size(), (100'000U - 24) / (16 + 54 + 1400))
      << "readable up to the last whole packet";
}

}  // namespace
}  // namespace strictsend::nic
