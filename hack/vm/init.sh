#!/bin/busybox sh
# The guest's first process: loads what it takes to see the host's root, lays a
# memory overlay over it and hands over. Ports: vport*p1 takes the command's
# output, vport*p2 its exit status.
B=/bin/busybox
$B mount -t proc proc /proc
$B mount -t sysfs sys /sys
$B mount -t devtmpfs dev /dev
for f in /modules/*; do $B insmod "$f" || echo "init: insmod $f failed" >/dev/kmsg; done
if $B grep -q flowshunt.probe /proc/cmdline; then
	echo alive >/dev/vport*p2
	echo o >/proc/sysrq-trigger
	$B sleep 60
fi
opts=trans=virtio,version=9p2000.L,msize=512000
$B mount -t 9p -o $opts,cache=loose,ro root /ro
$B mount -t tmpfs -o size=75% tmp /rw
$B mkdir /rw/upper /rw/work
$B mount -t overlay -o lowerdir=/ro,upperdir=/rw/upper,workdir=/rw/work overlay /new
$B mount --move /dev /new/dev
$B mount --move /proc /new/proc
$B mount --move /sys /new/sys
$B mount -t tmpfs run /new/run
$B cp -r /job /new/run/vm
exec $B switch_root /new /bin/bash /run/vm/run
