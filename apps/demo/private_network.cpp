// SPDX-License-Identifier: Apache-2.0
#include "apps/demo/private_network.hpp"

#include <net/if.h>

#include <cerrno>
#include <unistd.h>

#include "apps/strictness/subprocess.hpp"

namespace strictsend::demo {

using strictness::run;

Result<PrivateNetwork> PrivateNetwork::create() {
  if (::geteuid() != 0) {
    return fail("making a private network", EPERM, "run the demo as root");
  }
  const std::string suffix = std::to_string(::getpid());
  const std::string name_space = "strictsend-demo-" + suffix;
  const std::string near = "ssd" + suffix;
  const std::string far = "ssc" + suffix;
  if (auto made = run({"ip", "netns", "add", name_space}); !made) {
    return tl::unexpected(std::move(made.error()));
  }
  PrivateNetwork network(near, name_space);  // from here on it is removed whatever happens
  // 198.18.0.0/15 is set aside for tests of network devices (RFC 2544).
  const std::vector<std::vector<std::string>> steps = {
      {"ip", "link", "add", near, "type", "veth", "peer", "name", far, "netns", name_space},
      {"ip", "address", "add", "198.18.77.1/24", "dev", near},
      {"ip", "-n", name_space, "address", "add", "198.18.77.2/24", "dev", far},
      {"ip", "link", "set", near, "up"},
      {"ip", "-n", name_space, "link", "set", far, "up"},
  };
  for (const std::vector<std::string>& step : steps) {
    if (auto done = run(step); !done) return tl::unexpected(std::move(done.error()));
  }
  return network;
}

PrivateNetwork::~PrivateNetwork() {
  if (interface_.empty()) return;
  // Deleting one end of the pair deletes both, and at once. A namespace takes its interfaces along
  // only when it is dismantled, some time after it was deleted.
  if (::if_nametoindex(interface_.c_str()) != 0)
    static_cast<void>(run({"ip", "link", "delete", interface_}));
  static_cast<void>(run({"ip", "netns", "delete", namespace_}));
}

std::vector<std::string> PrivateNetwork::in_namespace(std::vector<std::string> argv) const {
  std::vector<std::string> command = {"ip", "netns", "exec", namespace_};
  command.insert(command.end(), argv.begin(), argv.end());
  return command;
}

}  // namespace strictsend::demo
