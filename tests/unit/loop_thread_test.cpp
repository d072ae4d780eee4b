// SPDX-License-Identifier: Apache-2.0
// Engine threads together: what a device needs that stops only as a whole.
#include "engine/loop/loop_thread.hpp"

#include <sys/eventfd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "nic/discard/discard_port.hpp"
#include "nic/wire/header_template.hpp"

namespace strictsend::engine {
namespace {

constexpr std::uint32_t queues = 3;

/// How many queues were told to stop, and whether the first one saw that of all of them.
struct Stops {
  std::atomic<std::uint32_t> count = 0;
  std::atomic<bool> seen_by_first = false;
};

/// A queue as those of a device that stops as a whole: the first one's `stop` stops it, and waits
/// for the others before, but not for ever. Completes nothing when it is told so.
class TogetherQueue final : public nic::Queue {
 public:
  TogetherQueue(nic::Queue& inner, Stops& stops, bool is_first)
      : inner_(inner), stops_(stops), is_first_(is_first) {}
  void fall_silent() { silent_ = true; }

  std::size_t transmit(std::span<const nic::TxPacket> packets) override {
    return inner_.transmit(packets);
  }
  int kick() override { return 0; }
  void hurry() override { ++hurried_; }
  [[nodiscard]] int hurried() const { return hurried_; }
  std::size_t reap(std::span<nic::TxCompletion> completions) override {
    return silent_ && !stopped_ ? 0 : inner_.reap(completions);
  }
  std::size_t receive(std::span<nic::RxPacket> packets) override { return inner_.receive(packets); }
  void release_received() override { inner_.release_received(); }
  [[nodiscard]] int wait_fd() const override { return never_readable_.get(); }
  bool arm_wait() override { return inner_.arm_wait() || silent_; }
  void stop() override {
    if (stopped_) return;
    stopped_ = true;
    ++stops_.count;
    for (int i = 0; is_first_ && i < 30'000 && stops_.count < queues; ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    if (is_first_) stops_.seen_by_first = stops_.count == queues;
    inner_.stop();
  }
  [[nodiscard]] const nic::QueueCounters& counters() const override { return inner_.counters(); }

 private:
  nic::Queue& inner_;
  Stops& stops_;
  const bool is_first_;
  UniqueFd never_readable_{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  std::atomic<bool> silent_ = false;
  std::atomic<int> hurried_ = 0;
  bool stopped_ = false;
};

class LoopThreads : public ::testing::Test {
 protected:
  static constexpr std::uint32_t frames_each = 64;

  void SetUp() override {
    pagecache::CacheConfig cache_config;
    cache_config.cache_bytes = 1024 * page_bytes;
    cache_config.port_frames = 2 * queues * frames_each;
    cache_config.snapshots_max = 16;
    cache = std::move(pagecache::PageCache::create(cache_config).value());
    const FrameIndex begin = cache->port_frames_begin();
    nic::DiscardConfig port_config;
    port_config.queues = queues;
    port = std::move(
        nic::DiscardPort::create(port_config, {.base = cache->dma_view(),
                                               .size_bytes = cache->arena_bytes(),
                                               .fd = cache->arena_fd(),
                                               .receive_begin = begin.plus(queues * frames_each),
                                               .receive_end = begin.plus(2 * queues * frames_each)})
            .value());
    capabilities = port->capabilities();
    capabilities.queues_stop_together = true;
    ring = std::move(LoopRing::create(queues, 1514).value());
    for (std::uint32_t i = 0; i < queues; ++i)
      silent_queues.push_back(std::make_unique<TogetherQueue>(port->queue(i), stops, i == 0));
  }

  void start() {
    LoopConfig config;
    config.address = {10, 0, 0, 1};
    config.connections_max = 4;
    config.receive_buffer_bytes = 2048;
    config.tx_slots = 32;
    config.tx_buffer_bytes = 2048;
    config.device_timeout = milliseconds(1);
    config.ring = ring.get();
    for (std::uint32_t i = 0; i < queues; ++i) {
      config.number = i;
      config.first_slot = 4 * i;
      config.tx_buffers_begin = cache->port_frames_begin().plus(i * frames_each);
      nic::Queue& queue = *silent_queues[i];
      auto loop = std::make_unique<QueueLoop>(config, queue, capabilities, *cache, notifier,
                                              monotonic_now());
      threads.push_back(std::move(
          LoopThread::start(std::move(loop), queue, ring->wake_up(i), microseconds(20)).value()));
    }
  }
  /// Before its thread is started.
  void inject_segment_of_no_connection(std::size_t queue) {
    const wire::TcpHeaderTemplate header(wire::FlowAddress{
        {2, 0, 0, 0, 0, 2}, {2, 0, 0, 0, 0, 1}, {10, 0, 0, 2}, {10, 0, 0, 1}, 4000, 80});
    std::array<std::byte, 128> frame{};
    const std::uint32_t length =
        header.emit(frame, {.seq = 1, .ack = 1, .window = 1000, .flags = {.ack = true}}, 0);
    ASSERT_TRUE(port->inject(std::span(frame).first(length), queue));
  }
  void end() {
    for (auto& thread : threads)
      thread->request_stop();
    for (auto& thread : threads)
      thread->join();
    for (auto& thread : threads)
      EXPECT_EQ(thread->conclude(), 0U);
    threads.clear();
  }

  std::unique_ptr<pagecache::PageCache> cache;
  std::unique_ptr<nic::DiscardPort> port;
  nic::PortCapabilities capabilities;
  Notifier notifier{UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK))};
  std::unique_ptr<LoopRing> ring;
  Stops stops;
  std::vector<std::unique_ptr<TogetherQueue>> silent_queues;
  std::vector<std::unique_ptr<LoopThread>> threads;
};

TEST_F(LoopThreads, are_all_told_to_stop_before_one_is_waited_for) {
  start();
  end();
  EXPECT_TRUE(stops.seen_by_first);
}

TEST_F(LoopThreads, all_stop_their_queue_when_the_device_fails_under_one) {
  // A segment of no connection comes to the last queue and goes round, sleepers or not; the reset
  // that answers it is never completed, and the loop gives the device up.
  silent_queues[2]->fall_silent();
  inject_segment_of_no_connection(2);
  start();
  for (int i = 0; i < 30'000 && !stops.seen_by_first; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_TRUE(stops.seen_by_first);
  for (auto& thread : threads)
    EXPECT_GT(thread->loop().counters().segments_handed_over.get(), 0U);
  EXPECT_EQ(silent_queues[2]->hurried(), 1) << "before it was given up";
  EXPECT_EQ(silent_queues[1]->hurried(), 0);
  EXPECT_EQ(threads[2]->loop().counters().device_faults.get(), 1U);
  end();
}

}  // namespace
}  // namespace strictsend::engine
