#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# The guest's first process: sets up what every test needs, runs /test.sh, and says how that ended.
/bin/busybox --install -s /bin
export PATH=/opt:/bin HOME=/root
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
# EAL wants no folder on the way to its drivers that everybody may write to.
chmod 755 /
mkdir -p /dev/shm /dev/hugepages /sys/fs/bpf /var/run
mount -t tmpfs shm /dev/shm
mount -t hugetlbfs huge /dev/hugepages
mount -t bpf bpf /sys/fs/bpf
stty -echo
# Programs shall write as into a log, not as for somebody who looks on.
mkfifo /run/console
cat /run/console >/dev/console &
console=$!
exec >/run/console 2>&1
echo "@@ up"
while read -r module; do
  insmod "/modules/$module" || echo "@@ trouble insmod $module"
done </modules/order
ip link set lo up

# step NAME COMMAND…: runs it and tells the host how it ended.
step() {
  step_name=$1
  shift
  echo "@@ begin $step_name"
  "$@"
  echo "@@ exit $step_name $?"
}

# The PCI address of the only NIC, and of all NICs.
nics() {
  for class in /sys/bus/pci/devices/*/class; do
    [ "$(cat "$class")" = 0x020000 ] && basename "$(dirname "$class")"
  done
}

bind_vfio() {
  echo vfio-pci >"/sys/bus/pci/devices/$1/driver_override"
  [ ! -e "/sys/bus/pci/devices/$1/driver" ] || echo "$1" >"/sys/bus/pci/devices/$1/driver/unbind"
  echo "$1" >/sys/bus/pci/drivers_probe
}

# serve_until_told NAME COMMAND…: until the host writes a line, then it is stopped as a user would.
serve_until_told() {
  serve_name=$1
  shift
  echo "@@ begin $serve_name"
  "$@" &
  serve_pid=$!
  read -r _
  kill -TERM "$serve_pid"
  wait "$serve_pid"
  echo "@@ exit $serve_name $?"
}

. /test.sh
dmesg | grep -E "DMAR.*(fault|Request device)|BUG|WARNING|Oops|blocked for more" | sed 's/^/@@ kernel /'
echo "@@ end"
exec >/dev/null 2>&1
wait $console
poweroff -f
