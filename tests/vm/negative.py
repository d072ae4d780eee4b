# SPDX-License-Identifier: Apache-2.0
"""What goes wrong with a real driver behind an IOMMU, one thing after the other in one guest: each must be told clearly,
nothing may hang, and every frame must be accounted for."""

import client
import network

SERVE = (f"strictsend serve --nic dpdk:$nic --root /srv/files --cache 64M --address {network.GUEST_ADDRESS}/24 "
         "--log-level info")
EAL = "-m 64 --no-telemetry"

# Each `step` is looked at by name below.
SCRIPT = rf"""
echo 96 >/proc/sys/vm/nr_hugepages
nic=$(nics)
step unbound timeout 20 {SERVE} -- {EAL}

bind_vfio $nic
group=$(basename "$(readlink /sys/bus/pci/devices/$nic/iommu_group)")
mv /dev/vfio/$group /tmp/group
step group-missing timeout 20 {SERVE} -- {EAL}
mv /tmp/group /dev/vfio/$group
mv /dev/vfio/vfio /tmp/vfio
step container-missing timeout 20 {SERVE} -- {EAL}
mv /tmp/vfio /dev/vfio/vfio

chown user /dev/vfio/$group /dev/vfio/vfio
echo 1 >/proc/sys/vm/unprivileged_userfaultfd
# Without rights, DPDK's own memory and then the cache's must fit the limit.
as_user() (
  ulimit -l $1
  exec /opt/setpriv --clear-groups --reuid $2 --regid $2 $serve
)
export XDG_RUNTIME_DIR=/tmp
serve="timeout 20 {SERVE} --port 8080 -- --no-huge {EAL}"
step memlock-eal as_user 8192 1000
step memlock-cache as_user 98304 1000
step group-closed as_user unlimited 1001

step dma timeout 30 nic_probe dma $nic
dmesg | grep -c "DMAR.*fault addr" | sed 's/^/@@ faults /'
dmesg -c >/dev/null

# Behind the driver's back the device may do no DMA for a while (the command register's bit 2), as during a reset of
# its function: what it was handed meanwhile never completes. Something is: TCP sends again, or asks for the window.
echo "@@ begin reset"
{SERVE} -- {EAL} &
pid=$!
read -r _
command() {{ printf "$1" | dd of=/sys/bus/pci/devices/$nic/config bs=1 seek=4 count=1 conv=notrunc 2>/dev/null; }}
command '\003'
sleep 2
command '\007'
echo "@@ reset"
read -r _
kill -TERM $pid
wait $pid
echo "@@ exit reset $?"

# Taken away while a download is under way: the kernel waits until the process lets go of it.
echo "@@ begin remove"
{SERVE} -- {EAL} &
pid=$!
read -r _
echo 1 >/sys/bus/pci/devices/$nic/remove &
remover=$!
wait $pid
echo "@@ exit remove $?"
wait $remover
[ -e /sys/bus/pci/devices/$nic ] && echo "@@ trouble the device is still there"
"""


def expect_error(vm, step, *patterns):
    code = vm.exit_code(step)
    said = vm.output_of(step)
    missing = [pattern for pattern in patterns if pattern not in said]
    if code != 1 or missing:
        raise client.Wrong(f"{step}: exit code {code}, not said: {missing}; said:\n{said}")
    return next(line for line in said.splitlines() if line.startswith("strictsend serve: "))


def run(machine):
    long = client.make_long_file()
    with machine.boot(SCRIPT, {"/srv/files/long": long},
                      ("apps/strictsend", "tests/vm/nic_probe", "/usr/bin/setpriv")) as vm:
        machine.note("not bound: " + expect_error(vm, "unbound", "dpdk-devbind.py -b vfio-pci"))
        machine.note("group missing: " + expect_error(vm, "group-missing", "/dev/vfio/"))
        machine.note("container missing: " + expect_error(vm, "container-missing", "/dev/vfio/vfio"))
        for what in ("memlock-eal", "memlock-cache"):
            machine.note(f"{what} too small: " + expect_error(vm, what, "RLIMIT_MEMLOCK", "ulimit -l"))
        machine.note("group not open to the user: " + expect_error(vm, "group-closed", "/dev/vfio/"))

        with client.Capture(machine.net, machine.work / "dma.pcapng") as capture:
            code = vm.exit_code("dma")
        said = vm.output_of("dma").splitlines()
        for line in said:
            if ": " in line and not line.startswith(("[", "qemu")):
                machine.note(f"dma: {line}")
        if code != 0:
            raise client.Wrong(f"nic_probe dma ended with {code}")
        arrived = capture.count("eth.type == 0x88b5 && frame.len == 1014 && data.data[0:4] == 5a:5a:5a:5a")
        if arrived != 48:
            raise client.Wrong(f"{arrived} of the packets arrived, not the 48 that were sent from mapped memory")
        faults = int(vm.expect(r"@@ faults (\d+)").group(1))
        machine.note(f"dma: the 48 packets from mapped memory arrived, of the others none; {faults} DMAR faults told")
        if faults == 0:
            raise client.Wrong("sending from unmapped memory raised no DMAR fault")

        begin = vm.mark()
        vm.expect("^serving http", since=begin)
        with client.SlowDownload(machine.net, 60) as download:
            vm.tell()
            vm.expect("^@@ reset$")
            code, content, curl_said = download.wait(70)
            if code != 0 or content != long:
                raise client.Wrong(f"the download across a reset: curl {code}, {len(content)} bytes, {curl_said}")
        vm.tell()
        if vm.exit_code("reset") != 0:
            raise client.Wrong("serve did not end well after a reset")
        said = vm.output_of("reset")
        client.balanced(said, "after a reset")
        machine.note("hung and reset while sending: " + client.line_of(said, "reset, because it hangs"))

        begin = vm.mark()
        vm.expect("^serving http", since=begin)
        with client.SlowDownload(machine.net, 60) as download:
            vm.tell()
            said = None
            if vm.exit_code("remove") != 1:
                raise client.Wrong("serve did not end with exit code 1 after its device was removed")
        said = vm.output_of("remove")
        client.balanced(said, "after removal")
        machine.note("removed while sending: " + client.line_of(said, "it was removed from its bus, or is about to be; all"))
        vm.finish()
        vm.require_silent_kernel()
