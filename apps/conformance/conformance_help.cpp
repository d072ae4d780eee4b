// SPDX-License-Identifier: Apache-2.0
#include "apps/conformance/options.hpp"

namespace strictsend::conformance {

std::string_view conformance_help() {
  return R"(NAME
    strictsend conformance - prove strict splice on a NIC, between two machines

SYNOPSIS
    strictsend conformance --nic SPEC --peer RECEIVER [OPTION]... [-- EAL-ARGUMENT...]
    strictsend conformance --peer SENDER [OPTION]...

DESCRIPTION
    With --nic it is the sender: it serves a file from the NIC under test while threads
    rewrite that file as fast as they can. Without it is the receiver: it downloads the
    file with curl(1) over the kernel's TCP, several times at once, and decides for each
    download whether it is the file at one instant of its submission: every write that
    had ended when its send was submitted is in, none that began later is, and with a
    write all earlier ones of the same thread. It learns all that it needs from the
    sender, over the NIC under test. Both print the same report at the end.

    The same is done again and again, each time with a freshly opened port:

    fragments
        The pages themselves are sent, with every offload that the port has.
    checksum
        Likewise, but cut into packets in software. Only where the port would cut.
    plain
        Likewise, without any offload. Only where the port has one.
    linear
        The payload is copied behind each header.
    control
        As the first, with protection switched off. These downloads must be torn, or the
        check proved nothing.

    What cannot be run on a port is listed in the report with the reason. A download is
    proven strict as a whole, but a run shows one driver, one kernel and one device: run
    it for those that you mean to use.

    The sender needs what `strictsend serve` needs on that port. The receiver needs no
    root. Start them in any order.

OPTIONS OF BOTH
    --peer ADDRESS
        The other end's address. The sender counts what this host asks for and
        nothing else. Required.

    --port N
        The TCP port on which the sender serves. Default: 8017.

    --directory DIR
        Where there is room for the file (sender), and for one case's downloads
        (receiver); all of it is removed at the end. Default: /var/tmp.

    --wait TIME
        How long to wait for the other end, at the start and after each case, while the
        sender opens its port again. Default: 60s.

    -h, --help
        Print this and exit.

OPTIONS OF THE SENDER
    --nic af_xdp:IFACE
    --nic dpdk:PORT
        The port under test, as for `strictsend serve`.

    --address A[/BITS][,A[/BITS]]
    --gateway G[,G]
    --vlan ID
    --queues N|auto
    --mtu N
        As for `strictsend serve`. On dpdk an address must be given.

    --size SIZE
        Of the file: a multiple of 4K from 1M on. Five times as much memory is needed.
        If too few pages had to be preserved, or the control was not torn, take a larger
        one. Default: 64M.

    --downloads N
        How many downloads each case has, four of them at a time. Default: 8.

    --writers N
        How many threads rewrite the file. Default: 2.

    --write mapping|api|auto
        How they write: through the file's mapping, which needs Linux 6.4, or through the
        file API, 8 bytes at a time. auto takes the mapping where it can be had.
        Default: auto.

    --cases LIST|all
        Which of the cases to run, with commas between them. Without the control nothing
        is proven. Default: all.

    -- EAL-ARGUMENT...
        All that follows goes to DPDK's environment abstraction layer.

EXIT STATUS
    0  proven: every protected download was strict, pages had to be preserved in each
       case, the control was torn, and nothing was left pinned
    1  not so, or something failed: the last line says what
    2  the command line was wrong
    128 + N  signal N stopped it; the port is given back and files are removed all the
       same (Ctrl-C: 130)

EXAMPLES
    On the machine with the NIC under test:
        strictsend conformance --nic af_xdp:eth1 --peer 10.0.0.2
        strictsend conformance --nic dpdk:0000:01:00.0 --address 10.0.0.1/24 \
            --peer 10.0.0.2
    On the other one:
        strictsend conformance --peer 10.0.0.1
)";
}

}  // namespace strictsend::conformance
