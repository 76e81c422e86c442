#!/bin/sh
# boot.sh ROOT CGROUP: be the first process of a system of its own, with ROOT as its files.
#
# For a shell that has entered new namespaces of processes, mounts, host name, IPC and control groups
# (unshare -pmuiC --fork); the network is the caller's. The kernel's settings, devices and modules stay
# out of its reach: it is the machine that tests run on.
set -eu
root=$1

mount --make-rprivate /
mount --rbind "$root" "$root"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys"
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=0755,nosuid tmpfs "$root/dev"
mount -t tmpfs -o mode=0755,nosuid,nodev tmpfs "$root/run"
for device in full null random tty urandom zero; do
    : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=0620,gid=5 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
for number in 0:stdin 1:stdout 2:stderr; do
    ln -s "/proc/self/fd/${number%:*}" "$root/dev/${number#*:}"
done
ln -s /proc/self/fd "$root/dev/fd"

cd "$root"
pivot_root . .
umount -l .
exec chroot . env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=eagle-node-test \
    setpriv --bounding-set -sys_module,-sys_rawio,-sys_time,-syslog,-mac_admin,-mac_override \
    /sbin/init
