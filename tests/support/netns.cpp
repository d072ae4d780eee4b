// SPDX-License-Identifier: Apache-2.0
#include "tests/support/netns.hpp"

#include <arpa/inet.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sched.h>
#include <thread>
#include <unistd.h>

#include "base/assert.hpp"

namespace strictsend::test {
namespace {

/// 198.18.0.0/15 holds 2^15 networks of four addresses.
constexpr unsigned slot_count = 1U << 15;

UniqueFd claim(unsigned slot) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // A leading zero byte: abstract, unix(7). It belongs to the network namespace, as veths do.
  const int length = std::snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1,
                                   "strictsend-test-net-%u", slot);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 +
                                           static_cast<std::size_t>(length));
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), size) != 0) fd.reset();
  return fd;
}

std::string joined(const std::vector<std::string>& argv) {
  std::string text;
  for (const std::string& word : argv)
    text += (text.empty() ? "" : " ") + word;
  return text;
}

Result<void> must(const std::vector<std::string>& argv, int netns_fd = -1) {
  const CommandResult result = run_command(argv, netns_fd);
  if (result.exit_code == 0) return {};
  return fail(joined(argv), 0, result.output);
}

void set_address(NetNamespacePair::End& end, std::uint32_t host_order) {
  const std::uint32_t network_order = htonl(host_order);
  std::memcpy(end.ipv4.data(), &network_order, 4);
  char text[INET_ADDRSTRLEN];
  end.address = ::inet_ntop(AF_INET, &network_order, text, sizeof text);
}

/// Asks the kernel of the calling thread's namespace for the interface's index and MAC address.
Result<void> look_up(NetNamespacePair::End& end) {
  end.interface_index = ::if_nametoindex(end.interface_name.c_str());
  if (end.interface_index == 0) return fail("look up " + end.interface_name, errno);
  const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::snprintf(request.ifr_name, IFNAMSIZ, "%s", end.interface_name.c_str());
  if (::ioctl(fd.get(), SIOCGIFHWADDR, &request) != 0)
    return fail("read the MAC address of " + end.interface_name, errno);
  std::memcpy(end.mac.data(), request.ifr_hwaddr.sa_data, end.mac.size());
  return {};
}

}  // namespace

std::optional<std::string> NetNamespacePair::unavailable() {
  if (::geteuid() != 0) return "network namespaces need root";
  if (run_command({"ip", "-V"}).exit_code != 0) return "ip(8) is missing: apt-get install iproute2";
  if (run_command({"ethtool", "--version"}).exit_code != 0)
    return "ethtool(8) is missing: apt-get install ethtool";
  return std::nullopt;
}

Result<NetNamespacePair> NetNamespacePair::create(const Options& options) {
  NetNamespacePair pair;
  unsigned slot = 0;
  while (slot < slot_count && !(pair.slot_ = claim(slot)).valid())
    ++slot;
  if (slot == slot_count) return fail("find a free test network", 0);

  const std::string number = std::to_string(slot);
  pair.namespace_name_ = "ss-peer-" + number;
  pair.near_.interface_name = "ss" + number + "a";
  pair.peer_.interface_name = "ss" + number + "b";
  const std::uint32_t network = (198U << 24 | 18U << 16) + slot * 4;
  set_address(pair.near_, network + 1);
  set_address(pair.peer_, network + 2);
  pair.remove();

  const std::string near = pair.near_.interface_name;
  const std::string peer = pair.peer_.interface_name;
  const std::string queues = std::to_string(options.queues);
  const std::string mtu = std::to_string(options.mtu_bytes);
  if (auto done = must({"ip", "netns", "add", pair.namespace_name_}); !done)
    return tl::unexpected(done.error());
  pair.namespace_fd_ =
      UniqueFd(::open(("/run/netns/" + pair.namespace_name_).c_str(), O_RDONLY | O_CLOEXEC));
  if (!pair.namespace_fd_.valid()) return fail("open namespace " + pair.namespace_name_, errno);
  const int inside = pair.namespace_fd_.get();

  // No IPv6: its router solicitations and duplicate address detection would disturb packet counts.
  struct Step {
    std::vector<std::string> argv;
    int netns_fd;
  };
  const std::vector<Step> steps = {
      {{"ip", "link", "add", near, "numrxqueues", queues, "numtxqueues", queues, "type", "veth",
        "peer", "name", peer, "numrxqueues", queues, "numtxqueues", queues, "netns",
        pair.namespace_name_},
       -1},
      {{"ip", "link", "set", near, "addrgenmode", "none", "mtu", mtu}, -1},
      {{"ip", "address", "add", pair.near_.address + "/30", "dev", near}, -1},
      {{"ip", "link", "set", peer, "addrgenmode", "none", "mtu", mtu}, inside},
      {{"ip", "address", "add", pair.peer_.address + "/30", "dev", peer}, inside},
      {{"ip", "link", "set", "lo", "up"}, inside},
      {{"ethtool", "-K", peer, "tx", options.peer_tx_offload ? "on" : "off"}, inside},
      {{"ethtool", "-K", near, "tx", options.near_tx_offload ? "on" : "off"}, -1},
      {{"ip", "link", "set", near, "up"}, -1},
      {{"ip", "link", "set", peer, "up"}, inside},
  };
  for (const Step& step : steps)
    if (auto done = must(step.argv, step.netns_fd); !done) return tl::unexpected(done.error());

  if (auto done = look_up(pair.near_); !done) return tl::unexpected(done.error());
  Result<void> peer_done;
  pair.in_namespace([&] { peer_done = look_up(pair.peer_); });
  if (!peer_done) return tl::unexpected(peer_done.error());
  return pair;
}

NetNamespacePair::~NetNamespacePair() {
  if (slot_.valid()) remove();
}

void NetNamespacePair::remove() const {
  // The near end first: deleting one end of a veth pair deletes both, and at once, while a
  // namespace is only dismantled some time after its last user is gone.
  if (::if_nametoindex(near_.interface_name.c_str()) != 0)
    static_cast<void>(run_command({"ip", "link", "delete", near_.interface_name}));
  if (::access(("/run/netns/" + namespace_name_).c_str(), F_OK) == 0)
    static_cast<void>(run_command({"ip", "netns", "delete", namespace_name_}));
}

CommandResult NetNamespacePair::run_in_namespace(const std::vector<std::string>& argv,
                                                 Duration limit) const {
  return run_command(argv, namespace_fd_.get(), limit);
}

Result<ChildProcess> NetNamespacePair::spawn_in_namespace(
    const std::vector<std::string>& argv) const {
  return ChildProcess::spawn(argv, namespace_fd_.get());
}

void NetNamespacePair::in_namespace(const std::function<void()>& action) const {
  std::thread([&] {
    STRICTSEND_ASSERT(::setns(namespace_fd_.get(), CLONE_NEWNET) == 0);
    action();
  }).join();
}

}  // namespace strictsend::test
