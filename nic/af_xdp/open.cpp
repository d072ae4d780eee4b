// SPDX-License-Identifier: Apache-2.0
#include "nic/af_xdp/open.hpp"

#include <net/if.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <optional>
#include <utility>

#include "base/assert.hpp"
#include "nic/af_xdp/interface_lock.hpp"
#include "nic/af_xdp/netdev.hpp"
#include "nic/af_xdp/next_hop.hpp"
#include "nic/af_xdp/queue.hpp"

namespace strictsend::nic::af_xdp {
namespace {

/// An sk_buff takes its linear part and 17 fragments (MAX_SKB_FRAGS), one descriptor each; the
/// packet of the 19th is dropped (kernel net/xdp/xsk.c, xsk_build_skb: EOVERFLOW).
constexpr std::uint32_t copy_mode_max_fragments = 18;
/// Where the device takes pages as they are, the header's page is one of the 17.
constexpr std::uint32_t page_mode_max_fragments = 17;
/// Places in the XDP program's map of sockets (redirect.bpf.c).
constexpr std::uint32_t queues_max = 256;
/// The kernel keeps XDP_PACKET_HEADROOM (include/uapi/linux/bpf.h) free before received packets.
constexpr std::uint32_t receive_buffer_bytes = page_bytes - 256;

/// What is tried when binding, from the best to the least.
struct BindMode {
  bool zero_copy = false;
  bool multi_buffer = false;
  bool tx_metadata = false;
  bool operator==(const BindMode&) const = default;
};

/// Drivers whose other end may be on this machine and leave checksums unfinished.
bool peer_may_be_local(const InterfaceFacts& facts) {
  return facts.driver == "veth" || facts.driver == "virtio_net" || facts.driver == "tun";
}

std::vector<BindMode> modes_to_try(const AfXdpConfig& config, const InterfaceFacts& facts,
                                   bool native) {
  std::vector<BindMode> modes;
  const NetdevFeatures features = facts.features.value_or(NetdevFeatures{});
  const bool may_have_zero_copy = !facts.features || features.zero_copy;
  if (config.copy_mode == CopyMode::zero_copy ||
      (config.copy_mode == CopyMode::automatic && native && may_have_zero_copy))
    modes.push_back({true, config.want_fragments && features.zero_copy_max_segments > 1,
                     config.want_checksum_offload && features.tx_checksum});
  if (config.copy_mode != CopyMode::zero_copy) {
    // Multi-buffer came with 6.6 and metadata with 6.8, so the second implies the first. Where copy
    // mode takes pages, 6.12 reads no metadata and sends the packet with its sum unfinished; later
    // kernels do, but nothing tells (xsk_build_skb_zerocopy).
    modes.push_back(
        {false, config.want_fragments, config.want_checksum_offload && !takes_pages(facts)});
    modes.push_back({false, config.want_fragments, false});
    modes.push_back({false, false, false});
    modes.erase(std::unique(modes.begin(), modes.end()), modes.end());
  }
  return modes;
}

PortCapabilities capabilities_of(const AfXdpConfig& config, const InterfaceFacts& facts,
                                 const XdpProgram& program, const BindMode& mode) {
  PortCapabilities can;
  const bool pages = takes_pages(facts) && !mode.zero_copy;
  can.driver = facts.driver;
  can.mac = facts.mac;
  can.mtu_bytes = facts.mtu_bytes;
  can.header_headroom_bytes = mode.tx_metadata ? sizeof(abi::TxMetadata) : 0;
  can.max_fragment_bytes = static_cast<std::uint32_t>(page_bytes) - can.header_headroom_bytes;
  can.max_receive_bytes = receive_buffer_bytes;
  can.checksum_offload = mode.tx_metadata;
  can.copies_payload = !mode.zero_copy && !pages;
  can.fragment_crosses_page = can.copies_payload;
  can.late_completion = !can.copies_payload;
  if (mode.multi_buffer)
    can.max_fragments = mode.zero_copy ? facts.features->zero_copy_max_segments
                        : pages        ? page_mode_max_fragments
                                       : copy_mode_max_fragments;

  std::string& text = can.description;
  text = "af_xdp:" + facts.name + " (" + (facts.driver.empty() ? "unknown driver" : facts.driver);
  text += program.is_native() ? ", native XDP" : ", generic XDP";
  text += program.is_shared() ? " beside other programs" : "";
  text += mode.zero_copy ? ", zero-copy"
          : pages        ? ", copy mode of a driver that takes pages as they are"
                         : ", copy mode";
  text += can.max_fragments > 1    ? ", up to " + std::to_string(can.max_fragments) + " fragments"
          : !config.want_fragments ? ", linear packets as configured"
          : mode.zero_copy         ? ", linear packets: the driver takes one descriptor a packet"
                                   : ", linear packets: fragments need Linux 6.6";
  text += mode.tx_metadata                ? ", checksum metadata"
          : !config.want_checksum_offload ? ", software checksums as configured"
          : mode.zero_copy                ? ", software checksums: the driver offers none"
          : pages ? ", software checksums: not every kernel completes such pages"
                  : ", software checksums: metadata needs Linux 6.8";
  text += program.replaced_stale() ? ", replaced the XDP program of an ended process)" : ")";
  return can;
}

/// Owns everything that was attached to the interface; the queues go first, then the program, then
/// the claim on the interface.
class AfXdpPort final : public Port {
 public:
  AfXdpPort(InterfaceLock lock, InterfaceFacts facts, XdpProgram program,
            PortCapabilities capabilities)
      : lock_(std::move(lock)),
        facts_(std::move(facts)),
        capabilities_(std::move(capabilities)),
        program_(std::move(program)) {}

  Result<void> add_queue(std::uint32_t queue, Socket socket, const DmaMemory& memory) {
    if (auto done = program_.set_socket(queue, socket.fd()); !done) return done;
    Result<QueueProbe> probe = QueueProbe::open(facts_.index, queue);
    if (!probe) return tl::unexpected(probe.error());
    queues_.push_back(std::make_unique<AfXdpQueue>(
        std::move(socket), std::move(*probe),
        peer_may_be_local(facts_) ? RxChecksum::partial : RxChecksum::unknown, capabilities_,
        memory));
    return {};
  }

  [[nodiscard]] const PortCapabilities& capabilities() const override { return capabilities_; }
  [[nodiscard]] std::size_t queue_count() const override { return queues_.size(); }
  [[nodiscard]] Queue& queue(std::size_t index) override { return *queues_.at(index); }
  [[nodiscard]] bool link_up() const override { return interface_is_running(facts_.name); }
  Result<void> accept_flows(const FlowFilter& filter) override { return program_.add_flow(filter); }
  Result<NextHop> next_hop(const RouteQuery& query) override {
    return kernel_next_hop(facts_.name, query);
  }

 private:
  InterfaceLock lock_;
  InterfaceFacts facts_;
  PortCapabilities capabilities_;
  XdpProgram program_;
  std::vector<std::unique_ptr<AfXdpQueue>> queues_;
};

std::string queues_of(const InterfaceFacts& facts) {
  return facts.name + " has " + std::to_string(facts.rx_queues) +
         (facts.rx_queues == 1 ? " receive queue" : " receive queues");
}

std::string set_queues_with(const InterfaceFacts& facts, std::size_t queues) {
  return "ethtool -L " + facts.name + " combined " + std::to_string(queues) +
         " (or rx and tx, as ethtool -l shows)";
}

Result<void> check_queues(const AfXdpConfig& config, const InterfaceFacts& facts) {
  if (facts.rx_queues == 0) return {};  // the driver does not say; binding will
  const std::string have = queues_of(facts);
  for (const std::uint32_t queue : config.queues)
    if (queue >= facts.rx_queues)
      return fail("taking queue " + std::to_string(queue) + " of " + facts.name, EINVAL,
                  have + ", counted from 0");
  if (config.queues.size() < facts.rx_queues && !config.allow_other_queues)
    return fail("taking the queues of " + facts.name, EINVAL,
                have + " but " + std::to_string(config.queues.size()) +
                    " would be served, and connections in the others would not be seen: reduce "
                    "them with " +
                    set_queues_with(facts, config.queues.size()));
  return {};
}

/// Binds every queue in one mode, all to the first one's UMEM.
Result<std::vector<Socket>> open_sockets(const AfXdpConfig& config, const InterfaceFacts& facts,
                                         const DmaMemory& memory, const BindMode& mode) {
  const auto queues = static_cast<std::uint32_t>(config.queues.size());
  const std::uint32_t frames = memory.receive_end.value - memory.receive_begin.value;
  const std::uint32_t frames_per_queue = frames / queues;
  STRICTSEND_ASSERT(frames_per_queue > 0);

  SocketConfig socket_config;
  socket_config.interface_index = facts.index;
  socket_config.ring_entries = config.ring_entries;
  socket_config.fill_ring_entries = std::bit_ceil(frames_per_queue);
  socket_config.zero_copy = mode.zero_copy;
  socket_config.multi_buffer = mode.multi_buffer;
  socket_config.tx_metadata = mode.tx_metadata;
  socket_config.busy_poll_us = config.busy_poll_us;

  std::vector<Socket> sockets;
  for (std::uint32_t i = 0; i < queues; ++i) {
    socket_config.queue = config.queues[i];
    const FrameIndex begin = memory.receive_begin.plus(i * frames_per_queue);
    Result<Socket> socket =
        Socket::open(socket_config, memory, begin, begin.plus(frames_per_queue));
    if (!socket) return tl::unexpected(socket.error());
    sockets.push_back(std::move(*socket));
    socket_config.umem_owner_fd = sockets.front().fd();
  }
  return sockets;
}

}  // namespace

Result<std::uint32_t> queues_to_serve(const std::string& interface_name, std::uint32_t wanted) {
  const Result<InterfaceFacts> facts = inspect_interface(interface_name);
  if (!facts) return tl::unexpected(facts.error());
  const std::uint32_t queues = wanted > 0 ? wanted : std::max(facts->rx_queues, 1U);
  if (facts->rx_queues > 0 && queues > facts->rx_queues)
    return fail("taking " + std::to_string(queues) + " queues of " + facts->name, EINVAL,
                queues_of(*facts) + ": ask for fewer, or give it more with " +
                    set_queues_with(*facts, queues));
  if (queues > queues_max)
    return fail("taking " + std::to_string(queues) + " queues of " + facts->name, ENOTSUP,
                "the XDP program knows " + std::to_string(queues_max) +
                    " at most: reduce them with " + set_queues_with(*facts, queues_max));
  return queues;
}

Result<std::unique_ptr<Port>> open_port(const AfXdpConfig& config, const DmaMemory& memory) {
  STRICTSEND_ASSERT(!config.queues.empty());
  Result<InterfaceFacts> facts = inspect_interface(config.interface_name);
  if (!facts) return tl::unexpected(facts.error());
  if (auto done = check_queues(config, *facts); !done) return tl::unexpected(done.error());
  Result<InterfaceLock> lock = InterfaceLock::take(facts->name, facts->index);
  if (!lock) return tl::unexpected(lock.error());
  Result<XdpProgram> program = XdpProgram::attach(facts->name, facts->index, config.hook);
  if (!program) return tl::unexpected(program.error());

  std::optional<Error> error;
  for (const BindMode& mode : modes_to_try(config, *facts, program->is_native())) {
    Result<std::vector<Socket>> sockets = open_sockets(config, *facts, memory, mode);
    if (!sockets) {
      error = sockets.error();
      if (error->errno_value == EINVAL || error->errno_value == EOPNOTSUPP) continue;
      break;
    }
    PortCapabilities capabilities = capabilities_of(config, *facts, *program, mode);
    auto port = std::make_unique<AfXdpPort>(std::move(*lock), *facts, std::move(*program),
                                            std::move(capabilities));
    for (std::size_t i = 0; i < sockets->size(); ++i)
      if (auto done = port->add_queue(config.queues[i], std::move((*sockets)[i]), memory); !done)
        return tl::unexpected(done.error());
    return port;
  }
  STRICTSEND_ASSERT(error.has_value());
  return tl::unexpected(*error);
}

Result<bool> clear_interface(const std::string& interface_name) {
  const std::uint32_t index = ::if_nametoindex(interface_name.c_str());
  if (index == 0) return false;  // it went, and the program with it
  const Result<InterfaceLock> lock = InterfaceLock::take(interface_name, index);
  if (!lock && lock.error().errno_value == EBUSY) return false;
  if (!lock) return tl::unexpected(lock.error());
  Result<bool> removed = XdpProgram::remove_stale(interface_name, index);
  const std::optional<AttachedProgram> left = attached_program(index);
  if (removed && left && left->name.empty())
    return fail("looking for strictsend's XDP program on " + interface_name, EPERM,
                "to know a program by its number takes CAP_SYS_ADMIN; what is there passes all "
                "packets to the kernel, and ip link set dev " +
                    interface_name + " xdp off removes it");
  return removed;
}

}  // namespace strictsend::nic::af_xdp
