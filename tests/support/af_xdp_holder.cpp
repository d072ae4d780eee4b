// SPDX-License-Identifier: Apache-2.0
// Opens an AF_XDP port and holds it until SIGTERM: a victim for tests of what a killed
// process leaves behind, and of what can go wrong while opening.
//
//     af_xdp_holder INTERFACE IPV4_ADDRESS TCP_PORT
//
// Prints "open: DESCRIPTION" once the flow is steered, or "error: MESSAGE" and exits with 1.

#include <cstdio>
#include <cstdlib>
#include <signal.h>

#include "nic/af_xdp/open.hpp"
#include "tests/support/dma_buffer.hpp"

namespace strictsend {
namespace {

int hold(const char* interface_name, const char* address, const char* tcp_port) {
  sigset_t ending_signals;
  ::sigemptyset(&ending_signals);
  ::sigaddset(&ending_signals, SIGTERM);
  ::sigaddset(&ending_signals, SIGINT);
  ::sigprocmask(SIG_BLOCK, &ending_signals, nullptr);

  test::DmaBuffer dma(512, 64);
  nic::af_xdp::AfXdpConfig config;
  config.interface_name = interface_name;
  auto port = nic::af_xdp::open_port(config, dma.memory());
  nic::FlowFilter filter;
  filter.tcp_port = static_cast<std::uint16_t>(std::strtoul(tcp_port, nullptr, 10));
  filter.address = parse_ip_address(address).value();
  Result<void> steered;
  if (port) steered = (*port)->accept_flows(filter);
  if (!port || !steered) {
    const Error& error = port ? steered.error() : port.error();
    std::printf("error: %s\n", error.message().c_str());
    return EXIT_FAILURE;
  }
  std::printf("open: %s\n", (*port)->capabilities().description.c_str());
  std::fflush(stdout);
  int signal_number = 0;
  ::sigwait(&ending_signals, &signal_number);
  return EXIT_SUCCESS;
}

}  // namespace
}  // namespace strictsend

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: af_xdp_holder INTERFACE IPV4_ADDRESS TCP_PORT\n");
    return 2;
  }
  return strictsend::hold(argv[1], argv[2], argv[3]);
}
