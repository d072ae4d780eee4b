// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <sstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/integration/serve_fixture.hpp"

namespace strictsend::test {

/// `strictsend serve` over AF_XDP, which records its packets, and clients that differ from those of
/// the serve suites in what they can, what they ask for, or what lies between.
class Interop : public Serve {
 protected:
  void SetUp() override {
    if (const auto why = NetNamespacePair::unavailable()) GTEST_SKIP() << *why;
    auto made = NetNamespacePair::create(net_options_);
    ASSERT_TRUE(made) << made.error().message();
    network_.emplace(std::move(*made));
  }

  /// Each test starts the server itself, when the network is as it should be.
  void serve(std::vector<std::string> more = {}) {
    more.insert(more.end(), {"--pcap", capture()});
    start("64M", more);
  }
  [[nodiscard]] std::string capture() const { return root_.path("capture.pcap"); }

  [[nodiscard]] static std::string script(const std::string& name) {
    return std::string(PEERS_DIRECTORY) + "/" + name;
  }

  /// Where the client is: behind the cable, or further away.
  [[nodiscard]] virtual int client_namespace_fd() const { return network_->namespace_fd(); }
  [[nodiscard]] CommandResult at_client(const std::string& shell_command) const {
    return run_command({"sh", "-c", shell_command}, client_namespace_fd(), seconds(60));
  }
  /// For what sets something up.
  void must_at_client(const std::string& shell_command) const {
    const CommandResult done = at_client(shell_command);
    ASSERT_EQ(done.exit_code, 0) << shell_command << ": " << done.output;
  }

  /// Compares what a program writes to its standard output; empty if all is well.
  [[nodiscard]] std::string difference_of(const std::string& name,
                                          const std::string& program) const {
    const std::string copy = root_.path("copy");
    const CommandResult got = at_client(program + " > " + copy);
    if (got.exit_code != 0) return program + ": " + got.output;
    const CommandResult same = run_command({"cmp", copy, root_.path(name)});
    return same.exit_code == 0 ? "" : program + ": " + same.output;
  }
  [[nodiscard]] std::string curl_difference(const std::string& name) const {
    return difference_of(name, "curl -sSf --max-time 50 " + url(name));
  }
  [[nodiscard]] std::string odd_difference(const std::string& name,
                                           const std::string& options) const {
    return difference_of(name, "python3 " + script("odd_reader.py") + " " +
                                   network_->near().address + " " + name + " " + options);
  }

  /// Once the server has ended: a line for each packet of the capture that passes the filter.
  [[nodiscard]] std::vector<std::string> packets(const std::string& filter,
                                                 const std::string& fields) const {
    const CommandResult read = run_command(
        {"sh", "-c",
         "exec tshark -r " + capture() + " -o tcp.check_checksum:TRUE -Y '" + filter +
             "' -T fields -E separator=\\; -e " + fields + " 2>" + root_.path("tshark")});
    EXPECT_EQ(read.exit_code, 0) << filter << ": " << read.output;
    std::vector<std::string> lines;
    std::istringstream text(read.output);
    for (std::string line; std::getline(text, line);)
      lines.push_back(line);
    return lines;
  }
  [[nodiscard]] std::vector<std::uint32_t> numbers(const std::string& filter,
                                                   const std::string& field) const {
    std::vector<std::uint32_t> values;
    for (const std::string& line : packets(filter, field))
      values.push_back(static_cast<std::uint32_t>(std::stoul(line)));
    return values;
  }
  /// Warnings and errors. The client's sums are its interface's to fill in; that its window is full
  /// is its own doing; and for one sum in 65,536 devices write 0xffff in place of 0, as UDP wants.
  [[nodiscard]] std::vector<std::string> experts_warnings() const {
    return packets(
        "_ws.expert.severity >= 6291456 && !(tcp.dstport == 80 && tcp.checksum.status == 0) && "
        "!tcp.analysis.window_full && !(tcp.checksum == 0xffff)",
        "frame.number -e _ws.expert.message");
  }
  /// Of each of our SYN-ACKs the kinds of its options (2 MSS, 4 SACK permitted, 8 time stamps, 3
  /// window scale, 1 padding) and its ECE flag.
  [[nodiscard]] std::vector<std::string> negotiated() const {
    return packets("tcp.flags.syn == 1 && tcp.flags.ack == 1", "tcp.option_kind -e tcp.flags.ece");
  }
  /// IP bytes of every packet with payload that we sent.
  [[nodiscard]] std::vector<std::uint32_t> sent_ip_bytes() const {
    return numbers("tcp.srcport == 80 && tcp.len > 0", "ip.len");
  }
};

}  // namespace strictsend::test
