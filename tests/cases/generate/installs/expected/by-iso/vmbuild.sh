#!/bin/bash
# Builds the guest by-iso of lab installs. Written by `miniascape generate`, which overwrites changes.
#
#   by-iso/vmbuild.sh [--dry-run]
#
# QEMU_CONNECT names the hypervisor; it is qemu:///system otherwise. What host/setup.sh makes has to be there. What is there
# of the guest stays as it is, so this can be run again, also after an interruption.
# --dry-run only shows what would be done, and has virt-install check its options.
set -euo pipefail
# What virsh prints is read below.
export LC_ALL=C

guest=by-iso
uuid=330885df-e92f-5b3a-983b-cc520a6b32eb
connect=${QEMU_CONNECT:-qemu:///system}

case ${1-} in
    '') dry_run= ;;
    --dry-run) dry_run=yes ;;
    *) echo "usage: $0 [--dry-run]" >&2; exit 2 ;;
esac
cd -- "$(dirname -- "${BASH_SOURCE[0]}")"

say() { printf '%s: %s\n' by-iso "$*"; }
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
need network net
need pool disks

# The name belongs to whoever has it.
if ask domname "$uuid" >/dev/null 2>&1; then
    exists=yes
else
    exists=
    guests=$(ask list --all --name)
    if has "$guests" "$guest"; then
        fail "there is a guest $guest that is not of lab installs"
    fi
fi

has_volume() { ask vol-info --pool "$1" --vol "$2" >/dev/null 2>&1; }

# volume POOL VOLUME XML: makes a volume unless it is there.
volume() {
    has_volume "$1" "$2" && return
    say "making the volume $2"
    run vol-create --pool "$1" --file "$3"
}
volume disks by-iso.root.qcow2 volumes/root.xml

if [[ $exists ]]; then
    # A guest has its mark once it is installed: virt-install does not write it, and in apply's there is more until then.
    mark=$(ask metadata --domain "$uuid" --uri urn:miniascape:1 --config 2>/dev/null) || mark=
    case $mark in
        *install-pool=*) fail 'miniascape is installing it: run miniascape apply to go on with that' ;;
        '')
            [[ $(ask domstate --domain "$uuid") == 'shut off' ]] ||
                fail "it is being installed; if not, end it with 'virsh destroy $uuid' and run this again"
            say 'an install was not finished and is done again'
            run undefine --domain "$uuid" --managed-save --nvram
            exists=
            ;;
    esac
fi

if [[ $exists ]]; then
    say 'it is there already'
else
    # The best name of the system that the libosinfo here knows.
    osinfo=
    known=$(virt-install --osinfo list)
    for osinfo in rhel9.4 rhel9-unknown rhel8-unknown rhel7-unknown linux2024 linux2022 linux2020 linux2018 linux2016 generic; do
        has "${known//, /$'\n'}" "$osinfo" && break
    done
    disks=()
    # disk POOL VOLUME OPTION [OPTION]: takes the second option where the volume is not there yet, in a dry run.
    disk() {
        if [[ ! $1 ]] || has_volume "$1" "$2"; then
            disks+=(--disk "$3")
        elif [[ ${4-} ]] && has_pool "$1"; then
            disks+=(--disk "$4")
        fi
    }
    disk disks by-iso.root.qcow2 'vol=disks/by-iso.root.qcow2,bus=virtio,target.dev=vda' 'pool=disks,size=10,format=qcow2,bus=virtio,target.dev=vda'
    [[ ${disks[*]-} ]] || disks=(--disk none)
    location='/srv/isos/rhel 9,4.iso'
    [[ -e $location ]] || fail "there is no $location to install from"
    boot=',kernel=images/pxeboot/vmlinuz,initrd=images/pxeboot/initrd.img'
    options=(
        --connect "$connect"
        --name "$guest"
        --uuid "$uuid"
        --osinfo "$osinfo"
        --virt-type kvm
        --arch x86_64
        --machine q35
        --boot 'firmware=efi,firmware.feature0.name=secure-boot,firmware.feature0.enabled=yes,firmware.feature1.name=enrolled-keys,firmware.feature1.enabled=no'
        --features 'pmu.state=off,hyperv.relaxed.state=on,hyperv.vapic.state=on,hyperv.synic.state=on,hyperv.spinlocks.state=on,hyperv.spinlocks.retries=8191,kvm.hidden.state=on,xpath0.set=./hyperv/vpindex/@state,xpath0.value=on,xpath1.set=./hyperv/runtime/@state,xpath1.value=on,xpath2.set=./hyperv/stimer/@state,xpath2.value=on,xpath3.set=./hyperv/frequencies/@state,xpath3.value=on,xpath4.set=./hyperv/tlbflush/@state,xpath4.value=on,xpath5.set=./hyperv/ipi/@state,xpath5.value=on,xpath6.set=./hyperv/vendor_id/@state,xpath6.value=on,xpath7.set=./hyperv/vendor_id/@value,xpath7.value=lab'
        --clock 'offset=timezone,timer0.name=rtc,timer0.tickpolicy=catchup,timer1.name=hpet,timer1.present=no,timer2.name=hypervclock,timer2.present=yes,xpath0.set=./@timezone,xpath0.value=Europe/Berlin'
        --tpm 'model=tpm-crb,backend.type=emulator,backend.version=2.0'
        --cpu mode=host-passthrough
        --vcpus 1
        --memory 3072
        --network 'network=net,mac=52:54:00:40:8a:58,model=virtio'
        --graphics 'type=vnc,listen=127.0.0.1'
        --serial pty
        --video model.type=virtio
        "${disks[@]}"
        --location "location=\"$location\"$boot"
        --initrd-inject ks.cfg
        --extra-args 'inst.ks=file:/ks.cfg inst.repo=https://example.org/rhel/9 inst.cmdline ip=dhcp console=tty0 console=ttyS0,115200n8'
        --noautoconsole
        --noreboot
        --wait 90
    )
    if [[ $dry_run ]]; then
        printf 'would run: virt-install'
        printf ' %q' "${options[@]}"
        echo
        virt-install --dry-run "${options[@]}"
    else
        say "installing with virt-install, for 90 minutes at most"
        virt-install "${options[@]}"
        # Only a guest that shut itself down is installed.
        state=$(ask domstate --domain "$uuid" --reason)
        [[ $state == 'shut off (shutdown)' ]] || fail "the install did not end as it should: the guest is $state"
    fi
    run define --validate --file domain.xml
fi

case $(ask domstate --domain "$uuid" 2>/dev/null) in
    '' | 'shut off' | crashed)
        say 'starting it'
        run start --domain "$uuid"
        ;;
esac
