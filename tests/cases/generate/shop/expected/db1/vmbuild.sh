#!/bin/bash
# Builds the guest db1 of lab shop. Written by `miniascape generate`, which overwrites changes.
#
#   db1/vmbuild.sh [--dry-run]
#
# QEMU_CONNECT names the hypervisor; it is qemu:///system otherwise. What host/setup.sh makes has to be there. What is there
# of the guest stays as it is, so this can be run again, also after an interruption.
# --dry-run only shows what would be done.
# Build and start these before it: web1.
set -euo pipefail
# What virsh prints is read below.
export LC_ALL=C

guest="the db's \$(first) \"one\""
uuid=75464480-a77b-5fb4-aa97-47807c415756
connect=${QEMU_CONNECT:-qemu:///system}

case ${1-} in
    '') dry_run= ;;
    --dry-run) dry_run=yes ;;
    *) echo "usage: $0 [--dry-run]" >&2; exit 2 ;;
esac
cd -- "$(dirname -- "${BASH_SOURCE[0]}")"

say() { printf '%s: %s\n' db1 "$*"; }
fail() { say "$*" >&2; exit 1; }
ask() { virsh --quiet --connect "$connect" "$@"; }

# Does something with virsh; in a dry run it is only shown.
run() {
    if [[ $dry_run ]]; then
        printf 'would run: virsh'
        printf ' %q' "$@"
        echo
    else
        ask "$@" >/dev/null
    fi
}

# Whether a list has a line.
has() { [[ $'\n'$1$'\n' == *$'\n'"$2"$'\n'* ]]; }

ask uri >/dev/null || fail "cannot connect to $connect"

has_network() { [[ $(ask net-info --network "$1" 2>&1) =~ Active:\ +yes ]]; }
has_pool() { [[ $(ask pool-info --pool "$1" 2>&1) =~ State:\ +running ]]; }
# Where host/setup.sh was not run, only a dry run goes on.
need() {
    "has_$1" "$2" && return
    [[ $dry_run ]] || fail "the $1 $2 is not active: run host/setup.sh first"
    say "the $1 $2 is not active"
}
need network back
need pool default
need pool shop

# The name belongs to whoever has it.
if ask domname "$uuid" >/dev/null 2>&1; then
    exists=yes
else
    exists=
    guests=$(ask list --all --name)
    if has "$guests" "$guest"; then
        fail "there is a guest $guest that is not of lab shop"
    fi
fi

has_volume() { ask vol-info --pool "$1" --vol "$2" >/dev/null 2>&1; }

# volume POOL VOLUME XML: makes a volume unless it is there.
volume() {
    has_volume "$1" "$2" && return
    say "making the volume $2"
    run vol-create --pool "$1" --file "$3"
}
volume shop "the db's \$(first) \"one\".root.qcow2" volumes/root.xml

# shared POOL VOLUME GUEST: wants a volume that another guest brings.
shared() {
    has_volume "$1" "$2" && return
    [[ $dry_run ]] || fail "the volume $2 is not there: run $3/vmbuild.sh first"
    say "the volume $2 is not there, which $3/vmbuild.sh makes"
}
shared default web1.shared.raw web1

if [[ $exists ]]; then
    say 'it is there already'
else
    run define --validate --file domain.xml
fi
