// SPDX-License-Identifier: Apache-2.0
#include "apps/doctor/options.hpp"

namespace strictsend::doctor {

std::string_view doctor_help() {
  return R"(NAME
    strictsend doctor - say what this machine offers to strictsend, and what it lacks

SYNOPSIS
    strictsend doctor [--nic af_xdp:IFACE] [OPTION]...
    strictsend doctor --nic dpdk:PORT [OPTION]... [-- EAL-ARGUMENT...]

DESCRIPTION
    Looks at the machine, and with --nic at one NIC, as this user: run it as the user who
    is to run `strictsend serve`, and with the options that bear on it. What can be tried
    is tried, by the very calls that serve makes: a page is mapped and write-protected, an
    io_uring is set up. Nothing is changed.

    Each check has a line: its verdict, its name, what was found. Where that is not well,
    lines below say why it matters and which command mends it. Commands in which sudo does
    not stand want root too, where a file or setting is the system's. The last line says
    whether serve would start.

    ok
        It works.
    slow
        It works, but costs time, or does less than it could.
    MISSING
        It does not work. The last line tells what serve cannot do without from the rest,
        such as writable mappings, which the library's users need.

    Before Linux 6.3 no kernel tells what a NIC's driver can do. Then, if nothing is
    attached to the interface and rights suffice, strictsend's program is attached for a
    moment and a socket bound, which some drivers answer with a restart of the link.

OPTIONS
    --nic af_xdp:IFACE
    --nic dpdk:PORT
        The NIC to look at, as for serve. Default: none, and what AF_XDP needs of the
        machine is looked at.

    --cache SIZE
        The cache that serve is to have. Default: 1G.

    --queues N|auto
    --address A[/BITS][,A[/BITS]]
    --gateway G[,G]
    --vlan ID
        As serve is to have them.

    --json
        Print one JSON object: serve_would_start (true or false), summary (the last line)
        and checks, a list of objects, each with name, verdict ("ok", "slow" or
        "missing"), found, why, fix (both empty where there is nothing to say) and
        stops_serve (true or false).

    -h, --help
        Print this and exit.

    -- EAL-ARGUMENT...
        As for serve: whether --no-huge stands there makes a difference.

EXIT STATUS
    0  serve would start
    1  something that it needs is missing
    2  the command line was wrong

EXAMPLES
    strictsend doctor
    strictsend doctor --nic af_xdp:eth0 --cache 8G
    strictsend doctor --nic dpdk:0000:01:00.0 --json
    strictsend doctor --nic dpdk:net_tap0 -- --no-huge
)";
}

}  // namespace strictsend::doctor
