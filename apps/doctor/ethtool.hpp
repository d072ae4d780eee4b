// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstdint>
#include <cstring>
#include <string>

#include "apps/support/unique_fd.hpp"

namespace strictsend::doctor {

/// Asks about an interface of the namespace that the calling thread was in when this was made.
class Ethtool {
 public:
  explicit Ethtool(const std::string& name)
      : name_(name), fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {}

  [[nodiscard]] ifreq request() const {
    ifreq made{};
    name_.copy(made.ifr_name, IFNAMSIZ - 1);
    return made;
  }
  template <class Command>
  [[nodiscard]] bool ask(Command& command) const {
    ifreq asked = request();
    asked.ifr_data = reinterpret_cast<char*>(&command);
    return ::ioctl(fd_.get(), SIOCETHTOOL, &asked) == 0;
  }
  /// ETHTOOL_GTXCSUM, ETHTOOL_GGRO, ETHTOOL_GFLAGS: a number; 0 where there is none.
  [[nodiscard]] std::uint32_t value(std::uint32_t command) const {
    ethtool_value asked{};
    asked.cmd = command;
    return ask(asked) ? asked.data : 0;
  }
  [[nodiscard]] int flags() const {
    ifreq asked = request();
    return ::ioctl(fd_.get(), SIOCGIFFLAGS, &asked) == 0 ? asked.ifr_flags : 0;
  }
  [[nodiscard]] std::string driver() const {
    ethtool_drvinfo asked{};
    asked.cmd = ETHTOOL_GDRVINFO;
    return ask(asked) ? std::string(asked.driver, ::strnlen(asked.driver, sizeof asked.driver))
                      : std::string();
  }

 private:
  std::string name_;
  app::UniqueFd fd_;
};

}  // namespace strictsend::doctor
