// SPDX-License-Identifier: Apache-2.0
#include "tests/relay/relay_network.hpp"

#include <utility>
#include <vector>

#include "tests/support/process.hpp"

namespace strictsend::relay {
namespace {

struct Step {
  std::vector<std::string> argv;
  int namespace_fd;
};

}  // namespace

RelayNetwork::RelayNetwork(test::NetNamespacePair server_pair, test::NetNamespacePair client_pair)
    : server_pair_(std::move(server_pair)),
      client_pair_(std::move(client_pair)),
      server_{server_pair_.peer().interface_name, server_pair_.peer().address,
              server_pair_.namespace_fd(), server_pair_.namespace_name()},
      // In the server's network, with the address that the relay's end gives up.
      client_{client_pair_.peer().interface_name, server_pair_.near().address,
              client_pair_.namespace_fd(), client_pair_.namespace_name()},
      interfaces_{server_pair_.near().interface_name, client_pair_.near().interface_name} {}

Result<RelayNetwork> RelayNetwork::create() {
  const test::NetNamespacePair::Options summed{.peer_tx_offload = false, .near_tx_offload = false};
  auto server_pair = test::NetNamespacePair::create(summed);
  if (!server_pair) return tl::unexpected(std::move(server_pair.error()));
  auto client_pair = test::NetNamespacePair::create(summed);
  if (!client_pair) return tl::unexpected(std::move(client_pair.error()));
  RelayNetwork net(std::move(*server_pair), std::move(*client_pair));

  const std::string& client = net.client_.interface_name;
  std::vector<Step> steps = {
      {{"ip", "address", "flush", "dev", net.interfaces_[0]}, -1},
      {{"ip", "address", "flush", "dev", net.interfaces_[1]}, -1},
      {{"ip", "address", "flush", "dev", client}, net.client_.namespace_fd},
      {{"ip", "address", "add", net.client_.address + "/30", "dev", client},
       net.client_.namespace_fd},
  };
  for (const auto& [name, namespace_fd] :
       {std::pair{net.interfaces_[0], -1}, std::pair{net.interfaces_[1], -1},
        std::pair{net.server_.interface_name, net.server_.namespace_fd},
        std::pair{client, net.client_.namespace_fd}})
    steps.push_back(
        {{"ethtool", "-K", name, "tso", "off", "gso", "off", "gro", "off"}, namespace_fd});
  for (const Step& step : steps) {
    const test::CommandResult done = test::run_command(step.argv, step.namespace_fd);
    if (done.exit_code != 0) return fail(step.argv[0] + " " + step.argv[1], 0, done.output);
  }
  return net;
}

}  // namespace strictsend::relay
