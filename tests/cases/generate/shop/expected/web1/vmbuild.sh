#!/bin/bash
# Builds the guest web1 of lab shop. Written by `miniascape generate`, which overwrites changes.
#
#   web1/vmbuild.sh [--dry-run]
#
# QEMU_CONNECT names the hypervisor; it is qemu:///system otherwise. What host/setup.sh makes has to be there. What is there
# of the guest stays as it is, so this can be run again, also after an interruption.
# --dry-run only shows what would be done.
set -euo pipefail
# What virsh prints is read below.
export LC_ALL=C

guest=web1
uuid=9f5dd24d-b321-550c-8313-d1186213664a
connect=${QEMU_CONNECT:-qemu:///system}

case ${1-} in
    '') dry_run= ;;
    --dry-run) dry_run=yes ;;
    *) echo "usage: $0 [--dry-run]" >&2; exit 2 ;;
esac
cd -- "$(dirname -- "${BASH_SOURCE[0]}")"
# Files of the lab are named from its directory on, which the work directory is in unless LAB_DIR says otherwise.
lab_dir=${LAB_DIR:-$(cd ../.. && pwd)}

say() { printf '%s: %s\n' web1 "$*"; }
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
need network default
need network front
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

# image POOL VOLUME XML FILE [SHA256]: uploads an image, once for all guests.
image() (
    # Several scripts can run at once: each file is uploaded by one of them, as long as there is flock.
    if [[ -r $4 ]] && command -v flock >/dev/null; then
        exec 9<"$4"
        flock 9
    fi
    # It is there while an image is uploaded, and stays where that was interrupted.
    marker=$2.uploading
    if has_volume "$1" "$marker"; then
        say "the upload of $2 was not finished and is done again"
        if has_volume "$1" "$2"; then
            run vol-delete --pool "$1" --vol "$2"
        fi
    elif has_volume "$1" "$2"; then
        exit 0
    fi
    if [[ ! -r $4 ]]; then
        say "the image $2 is made of $4, and there is no such file that can be read" >&2
        [[ $dry_run ]] || exit 1
    elif [[ ${5-} ]] && command -v sha256sum >/dev/null; then
        [[ $(sha256sum <"$4") == "$5 "* ]] || fail "$4 is not the file that lab shop was written for: its SHA-256 is not $5"
    fi
    say "uploading $2"
    has_volume "$1" "$marker" || run vol-create-as --pool "$1" --name "$marker" --capacity 1 --format raw
    run vol-create --pool "$1" --file "$3"
    # What is sparse stays so where nothing is beneath its holes yet.
    case $2 in
        *.raw) run vol-upload --sparse --pool "$1" --vol "$2" --file "$4" ;;
        *) run vol-upload --pool "$1" --vol "$2" --file "$4" ;;
    esac
    run vol-delete --pool "$1" --vol "$marker"
)
image shop tiny.qcow2 images/tiny.xml "$lab_dir"/tiny.qcow2 369fb2db230fda2a346eb56676c49639718c6b8f035becc99a5b298df336f9fb

# volume POOL VOLUME XML: makes a volume unless it is there.
volume() {
    has_volume "$1" "$2" && return
    say "making the volume $2"
    run vol-create --pool "$1" --file "$3"
}
volume shop web1.root.qcow2 volumes/root.xml
volume default web1.shared.raw volumes/shared.xml

if [[ $exists ]]; then
    say 'it is there already'
else
    run define --validate --file domain.xml
    run autostart --domain "$uuid"
fi

case $(ask domstate --domain "$uuid" 2>/dev/null) in
    '' | 'shut off' | crashed)
        say 'starting it'
        run start --domain "$uuid"
        ;;
esac
