// SPDX-License-Identifier: Apache-2.0
#include <sys/eventfd.h>
#include <sys/random.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <string>
#include <utility>

#include "base/assert.hpp"
#include "engine/api/engine_impl.hpp"
#include "engine/tx/segmentation.hpp"
#include "nic/open_port.hpp"

// Setting an engine up: checking what was asked for, choosing, and making the parts in their order.

namespace strictsend {
namespace {

// The part of the arena that belongs to the port: every queue's header buffers, then every queue's
// receive buffers; so many for each queue.
constexpr std::uint32_t tx_buffer_bytes_small = 2048;
constexpr std::uint32_t tx_slots_small = 2048;
constexpr auto tx_frames =
    static_cast<std::uint32_t>(std::uint64_t{tx_slots_small} * tx_buffer_bytes_small / page_bytes);
constexpr std::uint32_t receive_frames = 2048;

constexpr std::uint32_t queues_max = 256;

constexpr std::uint32_t link_bytes = nic::link_header_bytes_max;
constexpr std::uint32_t ipv4_and_tcp_bytes = 40;
constexpr std::uint16_t vlan_id_max = 4094;

/// Room enough between seven eighths of it and all that the guard comes in time.
constexpr std::uint64_t preserved_bytes_least = std::uint64_t{1} << 20;

/// The most inline bytes (headers and trailers of splices) that may wait at one time.
std::uint64_t inline_bytes_max(const EngineConfig& config) {
  return std::max<std::uint64_t>(std::uint64_t{config.max_splices} * 1024,
                                 16 * Splice::max_inline_bytes);
}

Result<void> check(const EngineConfig& config) {
  const auto bad = [](const char* hint) { return fail("engine configuration", EINVAL, hint); };
  if (config.cache_bytes < 1024 * page_bytes) return bad("cache_bytes must be at least 4 MiB");
  if (config.cache_bytes / page_bytes >= (std::uint64_t{1} << 32) - (1 << 20)) {
    return bad("cache_bytes must be below 16 TiB");
  }
  if (config.spare_frames >= config.cache_bytes / page_bytes / 2) {
    return bad("spare_frames must be less than half of the cache's frames");
  }
  if (config.preserved_bytes_max != 0 && config.preserved_bytes_max < preserved_bytes_least) {
    return bad("preserved_bytes_max must be at least 1 MiB, or 0 for a share of the cache");
  }
  if (config.preserved_bytes_per_connection_max != 0 &&
      config.preserved_bytes_per_connection_max < page_bytes) {
    return bad("preserved_bytes_per_connection_max must be at least 4 KiB, or 0 for a share");
  }
  if (config.max_connections < 1 || config.max_connections > 1'000'000) {
    return bad("max_connections must be 1 to 1000000");
  }
  if (config.max_datagram_flows > 100'000) return bad("max_datagram_flows must be 0 to 100000");
  if (config.queues > queues_max) return bad("queues must be 1 to 256, or 0 for all of the NIC's");
  if (config.max_splices < 1 || config.max_splices > 1'000'000) {
    return bad("max_splices must be 1 to 1000000");
  }
  if (!std::has_single_bit(config.receive_buffer_bytes) || config.receive_buffer_bytes < 2048 ||
      config.receive_buffer_bytes > (1U << 20)) {
    return bad("receive_buffer_bytes must be a power of two from 2048 to 1048576");
  }
  if (config.vlan_id && (*config.vlan_id < 1 || *config.vlan_id > vlan_id_max)) {
    return bad("a VLAN identifier is 1 to 4094");
  }
  return {};
}

struct Form {
  bool linear = false;
  std::string reason;
};

/// Whether packets of several descriptors can carry this MTU's payload straight from the pages.
bool can_send_fragments(const nic::PortCapabilities& port) {
  const auto pages = static_cast<std::uint32_t>((port.mtu_bytes + page_bytes - 2) / page_bytes + 1);
  const std::uint32_t each = port.max_fragment_bytes >= page_bytes ? 1 : 2;
  return port.max_fragments >= 1 + pages * each;
}

Result<Form> choose_form(TxForm wanted, const nic::PortCapabilities& port) {
  const bool able = can_send_fragments(port);
  switch (wanted) {
    case TxForm::linear:
      return Form{true, "as configured"};
    case TxForm::fragments:
      if (!able) {
        return fail("packet form", ENOTSUP,
                    "this port sends packets of " + std::to_string(port.max_fragments) +
                        " pieces at most (AF_XDP needs Linux 6.6 for more); use --tx linear");
      }
      return Form{false, "as configured"};
    case TxForm::automatic:
      break;
  }
  if (!able) return Form{true, "because the port cannot send packets of several pieces"};
  if (port.copies_payload) {
    return Form{
        true,
        "because what stands behind the port copies each packet anyway, and takes longer over pieces"};
  }
  return Form{false, "so that the pages themselves are sent"};
}

Result<SipKey> random_key() {
  SipKey key;
  if (::getrandom(&key, sizeof key, 0) != static_cast<ssize_t>(sizeof key)) {
    return fail("getrandom", errno);
  }
  return key;
}

/// `loop` is the configuration that was made for the port.
PortFacts facts_of(const EngineConfig& config, const nic::PortCapabilities& port,
                   const engine::LoopConfig& loop, std::uint32_t queues) {
  PortFacts facts;
  facts.spec = config.nic;
  facts.driver = port.driver.empty() ? "unknown" : port.driver;
  facts.mtu_bytes = port.mtu_bytes;
  facts.queues = queues;
  facts.form = loop.linear ? TxForm::linear : TxForm::fragments;
  facts.max_fragments = port.max_fragments;
  facts.fragments_possible = can_send_fragments(port);
  facts.checksum_offload = port.checksum_offload;
  const std::uint32_t segmented = engine::segment_bytes_max(port, false);
  facts.segmented_bytes_max = segmented >= 2U * loop.tcp.mss_send_bytes ? segmented : 0;
  facts.copies_payload = port.copies_payload;
  facts.late_completion = port.late_completion;
  facts.owns_interface = port.owns_interface;
  return facts;
}

tcp::CongestionAlgorithm algorithm_of(Congestion congestion) {
  switch (congestion) {
    case Congestion::reno:
      return tcp::CongestionAlgorithm::reno;
    case Congestion::bbr:
      return tcp::CongestionAlgorithm::bbr;
    case Congestion::cubic:
      break;
  }
  return tcp::CongestionAlgorithm::cubic;
}

tcp::Config tcp_config(const EngineConfig& config) {
  tcp::Config tcp;
  tcp.receive_buffer_bytes = config.receive_buffer_bytes;
  tcp.time_wait = milliseconds(config.time_wait_ms);
  tcp.idle_timeout = milliseconds(config.idle_timeout_ms);
  tcp.progress_bytes_min = config.min_progress_bytes;
  tcp.congestion = algorithm_of(config.congestion);
  tcp.ecn = config.ecn;
  tcp.pacing = config.pacing || config.congestion == Congestion::bbr;
  return tcp;
}

}  // namespace

Result<std::unique_ptr<Engine::Impl>> Engine::Impl::open(const EngineConfig& config) {
  if (const Result<void> checked = check(config); !checked) {
    return tl::unexpected(checked.error());
  }
  nic::OpenPortOptions port_options{.spec = config.nic,
                                    .arguments = config.nic_arguments,
                                    .queues = config.queues,
                                    .mtu_bytes = config.mtu_bytes,
                                    .vlan_id = config.vlan_id,
                                    .checksum_offload = config.checksum_offload,
                                    .segmentation_offload = config.segmentation_offload,
                                    .memory = {},
                                    .pcap_path = config.pcap_path};
  const Result<std::uint32_t> queues = nic::queues_to_serve(port_options);
  if (!queues) return tl::unexpected(queues.error());
  if (config.max_connections < *queues) {
    return fail("engine configuration", EINVAL,
                "max_connections must be at least 1 for each of the " + std::to_string(*queues) +
                    " queues");
  }
  pagecache::CacheConfig cache_config;
  cache_config.cache_bytes = config.cache_bytes;
  cache_config.port_frames = *queues * (tx_frames + receive_frames);
  cache_config.spare_frames = config.spare_frames;
  cache_config.whole_file_bytes_max = config.whole_file_bytes_max;
  cache_config.snapshots_max = config.max_splices + 64;  // frozen, on the way to submit
  cache_config.writer_wait_limit = milliseconds(config.writer_wait_limit_ms);
  cache_config.preserved_bytes_max = config.preserved_bytes_max;
  cache_config.preserved_bytes_per_owner_max = config.preserved_bytes_per_connection_max;
  cache_config.protect = config.protection == Protection::on;
  cache_config.audit = config.audit;
  auto cache = pagecache::PageCache::create(cache_config);
  if (!cache) return tl::unexpected(std::move(cache.error()));

  const FrameIndex port_begin = (*cache)->port_frames_begin();
  const FrameIndex receive_begin = port_begin.plus(*queues * tx_frames);
  port_options.queues = *queues;
  port_options.memory = {.base = (*cache)->dma_view(),
                         .size_bytes = (*cache)->arena_bytes(),
                         .fd = (*cache)->arena_fd(),
                         .receive_begin = receive_begin,
                         .receive_end = receive_begin.plus(*queues * receive_frames)};
  auto port = nic::open_port(port_options);
  if (!port) return tl::unexpected(std::move(port.error()));
  STRICTSEND_ASSERT(port->port->queue_count() == *queues);
  const nic::PortCapabilities& able = port->port->capabilities();
  auto ring = engine::LoopRing::create(
      *queues, std::min(link_bytes + able.mtu_bytes, able.max_receive_bytes));
  if (!ring) return tl::unexpected(std::move(ring.error()));

  UniqueFd event_fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!event_fd.valid()) return fail("eventfd", errno, "raise RLIMIT_NOFILE (ulimit -n)");

  auto impl =
      std::make_unique<Impl>(config, std::move(*cache), std::move(port->port), std::move(*ring),
                             std::move(event_fd), inline_bytes_max(config));
  if (const Result<void> taken = impl->take_addresses(port->ipv4_address, port->ipv6_address);
      !taken) {
    return tl::unexpected(taken.error());
  }
  if (const Result<void> started = impl->start_threads(); !started) {
    return tl::unexpected(started.error());
  }
  return impl;
}

Engine::Impl::Impl(const EngineConfig& config, std::unique_ptr<pagecache::PageCache> cache,
                   std::unique_ptr<nic::Port> port, std::unique_ptr<engine::LoopRing> ring,
                   UniqueFd event_fd, std::uint64_t inline_bytes_max)
    : config_(config),
      cache_(std::move(cache)),
      port_(std::move(port)),
      ring_(std::move(ring)),
      shares_(config.max_connections, ring_->size()),
      notifier_(std::move(event_fd)),
      events_(notifier_),
      splices_(config.max_splices),
      inline_bytes_max_(inline_bytes_max),
      datagram_flows_each_(std::max<std::uint32_t>(
          (config.max_datagram_flows + ring_->size() - 1) / ring_->size(), 1)) {}

Result<void> Engine::Impl::take_addresses(std::optional<Ipv4Address> v4,
                                          std::optional<Ipv6Address> v6) {
  if (config_.address || config_.address6) {
    v4 = config_.address;
    v6 = config_.address6;
  }
  if (v4) addresses_.emplace_back(*v4);
  if (v6) addresses_.emplace_back(*v6);
  if (!addresses_.empty() || port_->capabilities().owns_interface) return {};
  return fail("engine address", EADDRNOTAVAIL,
              config_.vlan_id ? "no VLAN device on the interface has an address: give it one (ip "
                                "addr add), or pass --address"
                              : "the interface has no address: give it one (ip addr add) or pass "
                                "--address");
}

Result<void> Engine::Impl::take_interface(std::uint32_t frame_bytes_max) {
  const nic::PortCapabilities& port = port_->capabilities();
  if (port.owns_interface) {
    Result<engine::HostConfig> host = engine::make_host_config(config_, port);
    if (!host) return tl::unexpected(std::move(host.error()));
    host->reply_bytes_max = frame_bytes_max;
    host_.emplace(*host, monotonic_now());
    return {};
  }
  if (!config_.gateway && !config_.gateway6) return {};
  return fail(
      "engine configuration", EINVAL,
      "on this port the kernel keeps the routes, and answers go to where packets come from: "
      "leave the gateway out");
}

Result<void> Engine::Impl::start_threads() {
  const nic::PortCapabilities& port = port_->capabilities();
  Result<Form> form = choose_form(config_.tx_form, port);
  if (!form) return tl::unexpected(std::move(form.error()));
  linear_ = form->linear;
  form_reason_ = std::move(form->reason);
  port_description_ = port.description;
  port_memory_bytes_ = port.memory_bytes;

  engine::LoopConfig loop;
  for (const IpAddress& address : addresses_) {
    if (address.is_v4())
      loop.address = address.v4();
    else
      loop.address6 = address.v6();
  }
  loop.vlan_id = config_.vlan_id;
  loop.linear = linear_;
  loop.receive_buffer_bytes = config_.receive_buffer_bytes;
  // A linear packet must fit its header buffer, and a buffer does not cross a page.
  const std::uint32_t packet_bytes = port.header_headroom_bytes + link_bytes + port.mtu_bytes;
  const bool large = linear_ && packet_bytes > tx_buffer_bytes_small;
  loop.tx_buffer_bytes = large ? static_cast<std::uint32_t>(page_bytes) : tx_buffer_bytes_small;
  loop.tx_slots = tx_frames * static_cast<std::uint32_t>(page_bytes) / loop.tx_buffer_bytes;
  // What the peer sends must fit a receive buffer, which may be smaller than what we can send.
  std::uint32_t ip_bytes_max = port.mtu_bytes;
  if (linear_) {
    const std::uint32_t buffer =
        std::min(loop.tx_buffer_bytes - port.header_headroom_bytes, port.max_fragment_bytes);
    ip_bytes_max = std::min(ip_bytes_max, buffer - link_bytes);
  }
  const auto mss_of = [](std::uint32_t ip_bytes) {
    return static_cast<std::uint16_t>(std::min<std::uint32_t>(ip_bytes, 65535) -
                                      ipv4_and_tcp_bytes);
  };
  loop.tcp = tcp_config(config_);
  loop.tcp.mss_send_bytes = mss_of(ip_bytes_max);
  loop.tcp.mss_bytes = mss_of(std::min(ip_bytes_max, port.max_receive_bytes - link_bytes));
  datagram_limits_ =
      engine::datagram_limits(port, linear_, std::min<std::uint32_t>(ip_bytes_max, 65535));
  loop.datagram_flows_max = datagram_flows_each_;
  loop.tcp.segment_bytes_max = engine::segment_bytes_max(port, linear_);
  port_facts_ = facts_of(config_, port, loop, ring_->size());
  if (loop.tcp.segment_bytes_max >= 2U * loop.tcp.mss_send_bytes) {
    form_reason_ += "; up to " + std::to_string(loop.tcp.segment_bytes_max) +
                    " bytes at once, which the port cuts into segments";
  }
  const std::uint32_t frame_bytes_max =
      std::min({loop.tx_buffer_bytes - port.header_headroom_bytes, port.max_fragment_bytes,
                link_bytes + port.mtu_bytes});
  if (Result<void> owned = take_interface(frame_bytes_max); !owned) return owned;
  loop.host = host_ ? &*host_ : nullptr;
  if (!host_) {
    auto keeper = engine::NextHopKeeper::start(
        [this](const nic::RouteQuery& query) { return port_->next_hop(query); },
        [this](engine::DatagramFlow& told) { request(told, engine::AnyFlow::request_next_hop); });
    if (!keeper) return tl::unexpected(std::move(keeper.error()));
    next_hops_ = std::move(*keeper);
  }
  Result<SipKey> key = random_key();
  if (!key) return tl::unexpected(std::move(key.error()));
  loop.secret = *key;

  cache_->on_pages_came([this] {
    for (std::uint32_t i = 0; i < ring_->size(); ++i)
      ring_->wake_up(i).wake();
  });
  loop.ring = ring_.get();
  std::optional<Error> error;
  for (std::uint32_t i = 0; i < ring_->size(); ++i) {
    loop.number = i;
    loop.keeps_interface = i == 0;
    loop.first_slot = shares_.first(i);
    loop.connections_max = shares_.count(i);
    loop.first_datagram_slot = i * datagram_flows_each_;
    loop.tx_buffers_begin = cache_->port_frames_begin().plus(i * tx_frames);
    nic::Queue& queue = port_->queue(i);
    auto thread = engine::LoopThread::start(
        std::make_unique<engine::QueueLoop>(loop, queue, port, *cache_, notifier_, monotonic_now()),
        queue, ring_->wake_up(i), microseconds(config_.spin_us));
    if (!thread) {
      error = std::move(thread.error());
      break;
    }
    threads_.push_back(std::move(*thread));
  }
  if (error) {
    // The threads that run are stopped next, and may wait for every other queue to be.
    for (std::size_t i = threads_.size(); i < ring_->size(); ++i)
      port_->queue(i).stop();
    return tl::unexpected(std::move(*error));
  }
  port_->show_statistics([this] { return statistics(); });
  return {};
}

}  // namespace strictsend
