#!/bin/bash
# Checks scripts/sandbox itself: exit codes, two side by side, and that nothing stays behind however it ends.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() { printf 'sandbox.sh: %s\n' "$*" >&2; exit 1; }

# In namespaces of its own nothing that the machine does besides is taken for a trace.
if [[ ${1-} != --inside ]]; then
    as_root=()
    ((EUID == 0)) || as_root=(sudo -E env "PATH=$PATH")
    exec "${as_root[@]}" unshare --mount --net --pid --fork --kill-child --mount-proc tests/sandbox.sh --inside
fi

# All that a sandbox could leave: processes, network links and namespaces, mounts, files.
traces() {
    local name
    for name in libvirtd virtlogd dnsmasq qemu-system; do
        pgrep -a "$name" || true
    done
    ip -o link | awk '{print $2}'
    ip netns list 2>/dev/null || true
    lsns -n -t net -o NS | sort -u
    lsns -n -t mnt -o NS | sort -u
    cut -d ' ' -f 2 /proc/mounts | sort
    # Not /tmp, where others write: the sandbox has one of its own.
    ls -A /run/libvirt /run/sandbox /var/lib/libvirt /etc/libvirt 2>/dev/null || true
}

# Waits until all is as it was: the kernel takes a namespace down in its own time.
settled() {
    local tries
    for ((tries = 0; tries < 50; tries++)); do
        [[ $(traces) == "$before" ]] && return
        sleep 0.2
    done
    diff <(printf '%s\n' "$before") <(traces) >&2 || true
    fail "something is left after $1"
}

lab='virsh net-create /dev/stdin <<< "<network><name>n</name><ip address=\"192.168.150.1\" netmask=\"255.255.255.0\"><dhcp><range start=\"192.168.150.2\" end=\"192.168.150.9\"/></dhcp></ip></network>" >/dev/null'
before=$(traces)

scripts/sandbox bash -c "$lab"
settled 'success'

code=0
scripts/sandbox bash -c "$lab; exit 7" || code=$?
((code == 7)) || fail "a command that exits with 7 gives $code"
settled 'a failure'

# The same network in two at once: each has its own.
scripts/sandbox bash -c "$lab; sleep 2" &
first=$!
scripts/sandbox bash -c "$lab; sleep 2" || fail 'two do not run side by side'
wait "$first" || fail 'two do not run side by side'
settled 'two at once'

for signal in TERM KILL; do
    scripts/sandbox bash -c "$lab; sleep 60" &
    running=$!
    sleep 3
    kill -s "$signal" "$running"
    wait "$running" 2>/dev/null || true
    settled "SIG$signal"
done
echo 'sandbox.sh: nothing is left behind' >&2
