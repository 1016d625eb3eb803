# Second part of the guest's start, on the host's root: what a command expects
# of a machine, then the command itself.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8
exec </dev/null >/dev/kmsg 2>&1
mkdir -p /dev/pts /dev/shm /run/netns /run/lock
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t cgroup2 cgroup /sys/fs/cgroup
mount -t tracefs trace /sys/kernel/tracing
modules=$(</run/vm/modules)
mkdir -p /lib/modules
mount -t tmpfs modules /lib/modules
mkdir -p "/lib/modules/${modules##*/}"
mount --bind "$modules" "/lib/modules/${modules##*/}"
ln -sf /proc/self/fd /dev/fd
ip link set lo up
echo flowshunt >/proc/sys/kernel/hostname # else it is "(none)", which some programs refuse
mapfile -d '' -t share </run/vm/share
for i in "${!share[@]}"; do
	mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=none "share$i" "${share[i]}"
done
mapfile -d '' -t argv </run/vm/argv
mapfile -d '' -t env </run/vm/env
cd "$(</run/vm/dir)"
env -- "${env[@]}" "${argv[@]}" >/dev/vport*p1 2>&1
status=$?
sync
echo "$status" >/dev/vport*p2
echo o >/proc/sysrq-trigger
read -rt 60 <> <(:) # not a program: the root goes away, and a first process that fails is a panic
