// SPDX-License-Identifier: Apache-2.0
#include "apps/top/options.hpp"

#include <boost/program_options.hpp>
#include <fmt/format.h>

#include "apps/cli/option_reader.hpp"

namespace strictsend::top {
namespace {

namespace po = boost::program_options;
using std::chrono::milliseconds;

po::options_description described() {
  po::options_description options;
  auto add = options.add_options();
  add("help,h", "");
  add("once", "");
  for (const char* name : {"socket", "interval"})
    add(name, po::value<std::string>(), "");
  return options;
}

cli::Parsed<std::string> parse_path(const std::string& text) {
  if (text.empty())
    return tl::unexpected<std::string>(
        "the path is empty; name that of the server's --stats-socket");
  return text;
}

cli::Parsed<milliseconds> parse_interval(const std::string& text) {
  cli::Parsed<milliseconds> interval = cli::parse_duration(text);
  if (!interval) return interval;
  // A server takes no more samples than that in a second.
  if (*interval < milliseconds(100) || *interval > milliseconds(3'600'000))
    return tl::unexpected(fmt::format("\"{}\" is not from 100ms to 1h", text));
  return interval;
}

}  // namespace

cli::Parsed<Options> parse_options(std::span<const std::string> arguments) {
  const auto split =
      cli::split_options(arguments, described(),
                         "every argument is an option and its value; the server's socket goes "
                         "behind --socket");
  if (!split) return tl::unexpected(split.error());
  cli::OptionReader reader(*split);
  Options options;
  if (reader.given("help")) {
    options.help = true;
    return options;
  }
  options.once = reader.given("once");
  reader.option("socket", parse_path, [&](auto& v) { options.socket_path = v; });
  reader.option("interval", parse_interval, [&](auto v) { options.interval = v; });
  if (!reader.complaint().empty()) return tl::unexpected(reader.complaint());
  return options;
}

std::vector<std::string> option_names() {
  return cli::long_names(described());
}

std::string_view top_help() {
  return R"(NAME
    strictsend top - watch a running server

SYNOPSIS
    strictsend top [--socket PATH] [--interval TIME] [--once]

DESCRIPTION
    Shows what `strictsend serve --stats-socket PATH` tells: throughput, connections and
    requests, how the page cache is used, what writers cost and wait, and a line for each
    queue. Rates are those of the last interval. In a terminal the view is kept up to
    date; elsewhere it is printed once in each interval, without control characters.

    A server that goes away is waited for, and so is one that is not there yet.

OPTIONS
    --socket PATH
        The server's socket. Default: /run/strictsend/stats.sock.

    --interval TIME
        How long a view stays; 500ms, 5s; at least 100ms. Default: 1s.

    --once
        Watch for one interval, print the view and exit. If there is no server that
        answers, say so and exit with 1.

    -h, --help
        Print this and exit.

WHAT IS SHOWN
    sending      bytes of files and TCP segments handed to the NIC, the share of segments
                 that were sent again, and what had to be copied to be sent
    connections  open, new and refused ones; sends that are not acknowledged yet
    frames       pages of 4 KiB of the cache: free, holding files as they are, holding old
                 bytes for sends (history), under NIC descriptors (pinned)
    snapshots    held for sends; pages whose old bytes a writer made the guard keep, by a
                 copy (preserved) or by moving the writer (redirected)
    writers      writes that met protected pages, those that waited for a free frame, the
                 longest wait since the start, sends reset so that writers could go on
                 (victims, since the start)
    disk         pages of files larger than the cache, read and given up
    requests     by what became of them; responses under way
    files        kept in the cache; requests that found theirs there, or had it loaded;
                 files dropped for others' sake
    queue        of each NIC queue: bytes and packets sent, the share sent again, packets
                 received, connections; and since the start packets dropped, and faults;
                 kicks are system calls that start transmission

KEYS
    q, Ctrl-D and Ctrl-C end it.

EXIT STATUS
    0  it was ended, or --once was printed
    1  --once got no answer, or the view could not be printed
    2  the command line was wrong

EXAMPLES
    strictsend top
    strictsend top --socket /run/strictsend/eth1.sock --interval 5s
    strictsend top --once | grep -A99 queue
)";
}

}  // namespace strictsend::top
