// SPDX-License-Identifier: Apache-2.0
#include "apps/serve/serve_options.hpp"

namespace strictsend::serve {

std::string_view serve_help() {
  return R"(NAME
    strictsend serve - serve a directory over HTTP/1.1 from NIC queues

SYNOPSIS
    strictsend serve --nic af_xdp:IFACE --root DIR [OPTION]...
    strictsend serve --nic dpdk:PORT --address A/BITS --root DIR [OPTION]...
                     [-- EAL-ARGUMENT...]
    strictsend serve --config FILE [OPTION]...

DESCRIPTION
    Answers GET and HEAD for the regular files beneath DIR, and PUT where --allow-put says
    so. A file is loaded into strictsend's own page cache when it is first asked for,
    frozen for each response, and its cached pages are handed to the NIC queue as they
    are. Content-Length, ETag and Last-Modified describe the very bytes that are sent,
    whoever writes to the file meanwhile.

    Ranges are served, several at once as multipart/byteranges, all of one instant of the
    file; more than 64, or more bytes than the file has, get the whole file. If-Match,
    If-None-Match, If-Modified-Since, If-Unmodified-Since and If-Range are obeyed in the
    order of RFC 9110.

    A directory is answered with its index.html, after a redirect to its name with a slash
    where that is missing; without an index with 403, or see --listing.

    On af_xdp only TCP to the server's address and port is taken from the interface; all
    else stays with the kernel, so the interface keeps working. Needs root (or
    CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_ADMIN, CAP_IPC_LOCK and CAP_SYS_PTRACE) and Linux
    5.6; fragments need Linux 6.6. strictsend doctor says what a machine lacks.

    On dpdk the whole device is strictsend's, and disappears from the kernel. Hardware
    must be bound to vfio-pci on a machine whose IOMMU is on (dpdk-devbind.py -b vfio-pci
    ADDRESS). Checksums, and the cutting of up to 64 KiB of pages into packets, are the
    device's where its driver can. A device that sends nothing for 5 s although it has a
    link is reset, with a warning.

    No path leads out of DIR: neither ".." nor a symbolic link. Links that stay inside it
    are followed if they are relative.

OPTIONS
    --nic af_xdp:IFACE
    --nic dpdk:PORT
        The interface to serve on, or DPDK's name of a port: a PCI address such as
        0000:01:00.0, or a virtual device such as net_tap0. Required.

    --root DIR
        The directory to serve. Required.

    --port N
        The TCP port. Default: 80.

    --listing
        Answer a directory without an index with a page that lists the files and
        directories in it; names that begin with a dot are left out. Default: 403.

    --allow-put
        Store files that clients send with PUT, beneath DIR and in directories that are
        there. Whoever reaches the port may then change every file. The new version is
        visible whole or not at all: it is written beside the old one under another name,
        synced to the disk, and renamed; downloads under way go on with the old version.
        Answered with 201 or 204. If-Match and If-None-Match: * are obeyed, also against
        other clients of this server. A server that is killed can leave .strictsend-*
        files behind. Default: PUT gets 405.

    --put-limit SIZE
        The longest file that PUT stores; longer ones get 413. Default: 1G.

    --address A[/BITS][,A[/BITS]]
        The addresses to answer on: an IPv4 one, an IPv6 one, or one of each. Default: the
        interface's first IPv4 address and its first IPv6 address (a global one before the
        link's own), as far as it has them. Where no kernel stands behind the port to
        answer for them (DPDK), they must be given: strictsend then answers ARP, neighbour
        discovery and ping for A itself, tells the network so at the start, and keeps the
        address if another host claims it, with a warning. A must be free. BITS is how
        many leading bits name A's network; default: 24, and 64 of IPv6. On af_xdp the
        kernel knows the network, and BITS is not used.

    --gateway G[,G]
        The router to all other networks, in A's network; IPv6's may be a link-local one.
        Only where no kernel stands behind the port; on af_xdp the routes are the
        kernel's, and this is refused. Default: none; then answers go back to where
        packets come from, which serves all clients whose packets come by the router that
        leads back to them.

    --vlan ID
        The 802.1Q VLAN to be in, 1 to 4094; frames of others are left alone. Default:
        none, and only frames without a tag are served. On af_xdp name the interface
        below (eth0, not eth0.5): the addresses are those of the kernel's VLAN device on
        it, which also answers ARP and neighbour discovery. Tags must reach the XDP
        program as part of the frame: switch their removal off (ethtool -K eth0 rxvlan
        off), and on a veth pair their separate transport at the other end (txvlan off).

    --queues N|auto
        How many of the interface's receive queues to serve, with a thread and 15 MiB for
        each. On af_xdp all that there are have to be (ethtool -L sets how many): packets
        in others would not be seen. auto takes them all; on dpdk, one for each processor
        as far as the device spreads connections (RSS). Default: auto.

    --mtu N
        The MTU to set on a dpdk port; up to 9000 or what its driver takes. On af_xdp it
        is the interface's (ip link set mtu). Default: as the device is.

    --cache SIZE
        Memory for files, spare pages for writers included; 512M, 4G. It is taken at the
        start. Files larger than half of it are read from the disk as they are sent.
        Change such a file by replacing it (write a new one, rename it): a download that
        has not read all of it when it is changed in place is cut off. A file for which
        there is no room while others are being sent gets 503. Default: 1G.

    --preserved-limit SIZE
        How much of the cache may hold old pages: what writers have changed since, and
        downloads under way still need. Beyond seven eighths of it downloads are cut off,
        first those that stand still, then those that hold most for the longest time
        without progress; writers do not wait for slow clients. Default: the spare pages,
        a sixteenth of the cache, and half of the rest.

    --preserved-per-connection SIZE
        The same for the downloads of one connection, which are cut off alone. Default:
        half of --preserved-limit, and at least the spare pages.

    --tx fragments|linear|auto
        How a packet gets its payload. fragments: from the cached pages, nothing is
        copied. linear: copied behind the header; faster where the driver copies anyway,
        and the only way before Linux 6.6. auto chooses and says at the start what and
        why. Default: auto.

    --offloads all|checksum|none
        What the port may do to packets on their way: all: fill in checksums and cut large
        ones into segments, where it can; checksum: checksums alone; none: both are done
        in software. To find out whether a device or its driver does them right, or to
        measure what they gain. Default: all.

    --congestion cubic|reno|bbr
        How the sending rate adapts to the path. cubic: by loss, regains a long fast path
        soon. reno: by loss, the old standard. bbr: by the bandwidth and round trip that
        acknowledgements show; keeps its rate where packets are lost for other reasons
        than congestion, and takes more than its share from others where they are not.
        Default: cubic.

    --ecn on|off
        Whether clients that ask for it (net.ipv4.tcp_ecn = 1 on Linux) get explicit
        congestion notification: routers then mark packets rather than drop them.
        Default: on.

    --pacing on|off
        Spread what an acknowledgement lets out over the round trip, so that it meets
        shorter queues. bbr always does. Default: on.

    --max-connections N
        Further ones are refused. Each queue has an equal share of them, and refuses more.
        How much memory they can take at most, together with the cache, is printed at the
        start. Default: 4096.

    --idle-timeout TIME
        How long a kept-alive connection may wait for its next request, and any
        connection may stand still; 500ms, 30s, 2m. Default: 60s.

    --request-timeout TIME
        How long a request may take to arrive, from its first byte to the end of its head;
        then 408. Default: 10s.

    --drain-timeout TIME
        How long responses under way may take once the server was asked to stop; what is
        left is reset. Default: 10s.

    --user NAME
        Become this user once the interface is taken, before the first request is
        answered: files are then read and written with his rights alone, no thread keeps a
        capability, and no program that it might execute could bring one back. Only root
        can. On af_xdp a second process, strictsend-care, keeps what it takes to give the
        interface back, and does that when the server has ended, in whatever way. Default:
        whoever starts it, with all rights of his.

    --group NAME
        The group of --user. Default: the user's own.

    --access-log FILE|-
        Append a line for each response to FILE, or write it to standard output, when the
        response has ended: the combined format of web servers, in UTC, and behind it
        bytes_acked= (heads and content, as far as the client acknowledged them), seconds=
        (from the freeze of the file to the last acknowledgement), pages_preserved= (whose
        old bytes were kept for it because somebody wrote to them), and, if the connection
        ended first, cut= with the reason. FILE is opened as --user, and again on SIGUSR1.
        The server never waits for it: lines that it does not take for long are lost, and
        counted in a warning at the end. Default: none.

    --stats-socket PATH
        Tell statistics on a Unix socket at PATH: who connects gets one JSON document and
        the end. strictsend top shows them. The socket's mode is 0660, and it belongs to
        whom its directory belongs to. It takes the place of one that a killed server left
        behind, and of nothing else, and is removed at the end. Default: none.

    --metrics PORT|ADDRESS:PORT
        Answer GET /metrics over HTTP for Prometheus, by the kernel's TCP, on a loopback
        address of this machine: 127.0.0.1 unless ADDRESS is given; [::1]:9100. Everybody
        on this machine may read it. PORT 0 takes one that is free; it is printed at the
        start. Default: none.

    --log-level trace|debug|info|warn|error|critical|off
        What is logged, on standard error. info has a line for each response.
        Default: warn.

    --pcap FILE
        Record every packet to FILE, for wireshark. Slow.

    --eal-arguments "ARGUMENT..."
    -- EAL-ARGUMENT...
        What goes to DPDK's environment abstraction layer: all that follows --, or one
        value, whose words are parted as a shell does it, with quotes and backslashes.
        Unless they say otherwise, threads may run on every processor and nothing is
        shared with other DPDK processes.

    --config FILE
        Read options from FILE, see below. What the command line says goes for them.

    --print-config
        Print the configuration, as a file that --config takes, and exit: what the command
        line and the file say, and behind # what holds where they say nothing. The same
        file then prints the same.

    -h, --help
        Print this and exit.

CONFIGURATION FILE
    A line for each option, with the names that they have above without their dashes:

        # What eth0 serves.
        nic = af_xdp:eth0
        root = /srv/files
        port = 8080
        listing = yes

    # begins a comment, wherever it stands, so no value can have it. Blanks around names
    and values do not count, and nothing is quoted. Options that take no value take yes or
    no; --listing=no on the command line takes back what the file says. Relative paths are
    relative to where strictsend was started. --config, --print-config and --help are for
    the command line alone. A name that is not known, or stands there twice, is an error.

SIGNALS
    SIGTERM, SIGINT and SIGHUP stop the server: no new requests, responses under way are
    finished within --drain-timeout, the interface is given back, and a summary is
    printed. It counts each request that was read once: answered, refused (with a status
    of 4xx or 5xx), or cut off before its response was through. A second signal does not
    wait for the responses.

    SIGUSR1 opens the access log's file again, after it was renamed.

STATISTICS
    --stats-socket and --metrics tell the same numbers, which are listed in
    docs/operations.md with those that deserve an alarm. A sample is told to everybody who
    asks within a tenth of a second. Reading them costs the serving threads nothing.

SERVICE
    Started by systemd with Type=notify, it says when it serves and when it stops, and
    every ten seconds what it does (systemctl status). strictsend.service serves what
    /etc/strictsend/serve.conf says, strictsend@NAME.service what NAME.conf there says.

TELEMETRY
    On dpdk, dpdk-telemetry.py shows /strictsend/list, and for each port NAME of it
    /strictsend/port,NAME, /strictsend/queue,NAME,N, /strictsend/device,NAME (the
    driver's extended statistics) and /strictsend/engine,NAME.

EXIT STATUS
    0  stopped by a signal, everything given back
    1  it could not start, or failed; also when the NIC was removed, or does not answer
       and resetting it did not help: then everything is given back, the summary is
       printed, and standard error says what became of it
    2  the command line or the configuration file was wrong; nothing was done

EXAMPLES
    strictsend serve --nic af_xdp:eth0 --root /srv/files
    strictsend serve --nic af_xdp:eth0 --root /srv/files --port 8080 --cache 8G \
        --tx fragments --log-level info
    strictsend serve --nic dpdk:0000:01:00.0 --root /srv/files --address 10.0.0.1/24 \
        --gateway 10.0.0.254 --queues 4
    strictsend serve --nic dpdk:net_tap0 --root /srv/files --address 10.0.0.1/24 \
        -- --no-huge --no-pci --vdev=net_tap0,iface=tap0
    strictsend serve --config /etc/strictsend/serve.conf --print-config
)";
}

}  // namespace strictsend::serve
