#!/bin/bash
# Takes back what host/setup.sh did to the host of lab bare: its files, services, networks and pools.
# Written by `miniascape generate`, which overwrites changes.
#
#   host/teardown.sh [--dry-run] [--root DIR]
#
# --dry-run shows what would be done and changes nothing. --root (or ROOT) is that of setup.sh. QEMU_CONNECT names the
# hypervisor; it is qemu:///system otherwise.
# What setup.sh replaced is put back. A file that was changed since is left as it is, and so are networks and pools that
# were there before. Volumes, and the files behind iSCSI targets, are never touched.
set -euo pipefail

usage() { echo "usage: ${0##*/} [--dry-run] [--root DIR]"; }

lab=bare
dry_run=
root=${ROOT:-}
while (($#)); do
    case $1 in
        -n | --dry-run) dry_run=1 ;;
        --root)
            [[ ${2-} ]] || { echo "${0##*/}: --root needs a directory" >&2; exit 2; }
            root=$2
            shift
            ;;
        --root=*) root=${1#*=} ;;
        -h | --help) usage; exit ;;
        *) usage >&2; exit 2 ;;
    esac
    shift
done

fail() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# Something that does not keep the rest from being done.
problems=
problem() { printf '%s: %s\n' "${0##*/}" "$*" >&2; problems=1; }

note() { printf 'note: %s\n' "$*"; }

# Does something and says so; in a dry run it is only said.
did=
act() {
    did=1
    if [[ $dry_run ]]; then
        printf 'would %s\n' "$1"
    else
        printf '%s\n' "$1"
        # What goes on in the background must not keep the lock.
        "${@:2}" 9>&-
    fi
}

# What is made here is for services to read.
umask 022
# What programs print is read below.
export LC_ALL=C

if [[ $root ]]; then
    root=$(cd -- "$root" && pwd) || fail "there is no directory $root"
    root=${root%/}
fi

# What is remembered of the host: the originals of replaced files, and copies of what was installed and defined.
if [[ $root ]] || ((EUID == 0)); then
    record=$root/var/lib/miniascape/host/$lab
else
    record=${XDG_STATE_HOME:-$HOME/.local/state}/miniascape/host/$lab
fi

# With another root nothing runs that could be told of the new files.
running() { [[ ! $root ]]; }

# Whether systemd manages this host. sd_booted(3)
systemd() { running && [[ -d /run/systemd/system ]]; }

has() { command -v "$1" >/dev/null; }

# Keeps a second run out.
lock() {
    [[ ! $dry_run ]] || return 0
    make_directory "$record"
    # Originals can hold secrets.
    chmod 700 "$record"
    if has flock; then
        exec 9>"$record/lock"
        flock -n 9 || fail "another setup.sh or teardown.sh of lab $lab is running"
    fi
    # A run that was killed can have left a file half-written.
    [[ ! -s $record/temporary ]] || rm -f -- "$(<"$record/temporary")"
}

# Makes a directory and those above it, and remembers the new ones.
make_directory() {
    local directory=$1 made=
    while [[ $directory && ! -d $directory ]]; do
        made=$directory$'\n'$made
        directory=${directory%/*}
    done
    [[ $made ]] || return 0
    mkdir -p -- "$1" "$record" && printf %s "$made" >>"$record/directories"
}

# Puts a copy of a file in its place in one step: put SOURCE TARGET [MODE [OWNER]]. Without a mode, it is as the source.
put() {
    local temporary=${2%/*}/.miniascape-$lab.new
    make_directory "${2%/*}" && printf '%s\n' "$temporary" >"$record/temporary" || return
    if ! copy "$1" "$temporary" "${3-}" "${4-}" || ! mv -fT -- "$temporary" "$2"; then
        rm -f -- "$temporary"
        return 1
    fi
    # SELinux labels new files by where they are made, under another name.
    ! running || ! has restorecon || restorecon -- "$2" || true
}

copy() {
    rm -f -- "$2"
    if [[ ! $3 ]]; then
        cp -a -- "$1" "$2"
    else
        cp -- "$1" "$2" && { [[ ! $4 ]] || chown -- "$4" "$2"; } && chmod -- "$3" "$2"
    fi
}

exists() { [[ -e $1 || -L $1 ]]; }

# Whether a file is there and the same, not through a link.
same() { [[ -f $1 && -f $2 && ! -L $2 ]] && cmp -s -- "$1" "$2"; }

# Whether two are the same, links too.
alike() { if [[ -L $1 && -L $2 ]]; then [[ $(readlink -- "$1") == "$(readlink -- "$2")" ]]; else [[ ! -L $1 ]] && same "$1" "$2"; fi; }

# What has to be told of changed files. Kept in the record until it was, so that an interrupted run is made up for.
declare -A pending=()
for mark in "$record"/pending/*; do
    [[ ! -e $mark ]] || pending[${mark##*/}]=1
done
tell() {
    pending[$1]=1
    [[ ! $dry_run ]] || return 0
    make_directory "$record/pending"
    : >"$record/pending/$1"
}
told() {
    pending[$1]=
    [[ $dry_run ]] || rm -f -- "$record/pending/$1"
}
is_pending() { [[ ${pending[$1]-} ]]; }

# Says who has to be told of a file.
tell_of() {
    case $1 in
        etc/systemd/system/*.mount) tell "${1##*/}"; tell systemd ;;
        etc/systemd/*) tell systemd ;;
        etc/nginx/*) tell nginx ;;
        etc/httpd/* | etc/apache2/*) tell httpd ;;
        etc/exports.d/*) tell nfs ;;
        etc/auto.*) tell autofs ;;
        etc/modprobe.d/*) tell kvm ;;
        etc/libvirt/hooks/*) tell hook; tell resolved ;;
        etc/NetworkManager/*) tell NetworkManager ;;
        etc/dnsmasq.d/*) tell dnsmasq ;;
    esac
}

# Takes an installed file out again, and puts back what it replaced: remove_file PATH, below the root.
remove_file() {
    local path=$1 target=$root/$1 original=$record/original/$1
    if alike "$original" "$target"; then
        # A run was killed before it was replaced, or after it was put back.
        [[ $dry_run ]] || rm -f -- "$original" "$record/installed/$path"
        return 0
    elif exists "$target" && ! same "$record/installed/$path" "$target"; then
        problem "/$path was changed since it was installed, and is left as it is"
        ! exists "$original" || problem "what it replaced is $original"
        return 0
    fi
    case $path in *.mount) unmount_unit "$path" || return 0 ;; esac
    tell_of "$path"
    if exists "$original"; then
        act "put back /$path" put "$original" "$target"
    elif exists "$target"; then
        act "remove /$path" rm -f -- "$target"
    fi
    [[ $path != *.mount ]] || told "${path##*/}"
    [[ $dry_run ]] || rm -f -- "$original" "$record/installed/$path"
}

# Unmounts what a unit of ours mounts. Without systemd it was mount(8) that mounted it.
unmount_unit() {
    local unit=${1##*/} where
    running || return 0
    where=$(sed -n 's/^Where=//p' "$record/installed/$1")
    where=${where//%%/%}
    if systemd; then
        systemctl is-active --quiet -- "$unit" || systemctl is-enabled --quiet -- "$unit" 2>/dev/null || return 0
        act "unmount $where" systemctl --quiet disable --now -- "$unit" || {
            problem "$where cannot be unmounted; it is in use: try again later"
            return 1
        }
    elif mountpoint -q -- "$where"; then
        act "unmount $where" umount -- "$where" || {
            problem "$where cannot be unmounted; it is in use: try again later"
            return 1
        }
    fi
}

# Services that were started here, and so are stopped in the end.
started() { grep -qsxF -- "$1" "$record/services" || printf '%s\n' "$1" >>"$record/services"; }

# The block in /etc/hosts; all else stays byte for byte. Where the file's last line had no end, the block's last line has none
# either, by which that is known when it is taken out. edit_hosts BLOCK; an empty one takes it out.
hosts_file=$(readlink -m -- "$root/etc/hosts")
edit_hosts() {
    local begin="# BEGIN miniascape $lab:" end=$'\n'"# END miniascape $lab"$'\n' text='' before after new
    # The x keeps the line ends at the end.
    [[ ! -e $hosts_file ]] || text=$(cat -- "$hosts_file" && printf x)
    text=${text%x}
    new=$text
    if [[ $'\n'$text == *$'\n'"$begin"* ]]; then
        before=$'\n'$text
        before=${before%%$'\n'"$begin"*}$'\n'
        before=${before#$'\n'}
        after=${text#"$before"}$'\n'
        [[ $after == *"$end"* ]] || fail "the block of lab $lab in $hosts_file has lost its end: remove it by hand"
        after=${after#*"$end"}
        # Now empty only if the file ended with the block's last letter, else with one line end too many.
        if [[ $1 ]]; then
            new=$before$1${after:+$'\n'${after%$'\n'}}
        elif [[ $after ]]; then
            new=$before${after%$'\n'}
        else
            new=${before%$'\n'}
        fi
    elif [[ $1 && (! $text || $text == *$'\n') ]]; then
        new=$text$1$'\n'
    elif [[ $1 ]]; then
        new=$text$'\n'$1
    fi
    if [[ $new == "$text" ]]; then
        return
    elif [[ $1 ]]; then
        act "write the guests' names into /etc/hosts" write_hosts "$new"
    elif [[ ! $new && -e $record/hosts-made ]]; then
        act 'remove /etc/hosts, which had only the names of guests' rm -f -- "$hosts_file" "$record/hosts-made"
    else
        act "take the guests' names out of /etc/hosts" write_hosts "$new"
    fi
}
write_hosts() {
    local temporary=$record/hosts.new
    if [[ -e $hosts_file ]]; then
        cp -a -- "$hosts_file" "$temporary"
        printf %s "$1" >"$temporary"
        # Where the file is a mount point, as in containers, it can only be written in place.
        put "$temporary" "$hosts_file" 2>/dev/null || cat -- "$temporary" >"$hosts_file"
    else
        : >"$record/hosts-made"
        printf %s "$1" >"$temporary"
        put "$temporary" "$hosts_file" 644
    fi
    rm -f -- "$temporary"
}

quietly() { "$@" >/dev/null; }

libvirt() { virsh -c "${QEMU_CONNECT:-qemu:///system}" "$@" </dev/null; }

# Of a network that is not the lab's, whether it reserves an address for a NIC, whatever it calls that: is_reserved NETWORK HOST
is_reserved() {
    local by=${2#<host }
    by=${by%% *}
    libvirt net-dumpxml "$1" 2>/dev/null | grep -F -- "$by" | grep -F -- " ip='$(ip_of "$2")'" >/dev/null
}
ip_of() {
    local ip=${1##* ip=\'}
    echo "${ip%%\'*}"
}
# Changes what it reserves, now and when it starts: change_reserved NETWORK add|delete HOST
change_reserved() {
    local line v6='' at=-1 mine='' first='' served='' sides=(--config)
    [[ $(ip_of "$3") != *:* ]] || v6=1
    [[ ! $(libvirt net-info "$1") =~ Active:\ +yes ]] || sides+=(--live)
    # It is told in which of its subnets: in that of the family which has DHCP already.
    while IFS= read -r line; do
        case $line in
            *'<ip '*)
                at=$((at + 1)) mine=1
                if [[ $line == *"family='ipv6'"* ]]; then mine=$v6; elif [[ $v6 ]]; then mine=; fi
                [[ ! $mine || $first ]] || first=$at
                ;;
            *'<dhcp>'*) [[ ! $mine || $served ]] || served=$at ;;
        esac
    done < <(libvirt net-dumpxml "$1")
    libvirt -q net-update "$1" "$2" ip-dhcp-host "$3" --parent-index "${served:-${first:--1}}" "${sides[@]}"
}
# Takes back what an earlier set-up had a network reserve: unreserve NETWORK HOST
unreserve() {
    ! is_reserved "$@" || act "have network $1 reserve $(ip_of "$2") no more" change_reserved "$1" delete "$2" ||
        { problem "what network $1 reserves cannot be changed"; return 0; }
    [[ $dry_run ]] || forget_reserved "$@"
}
forget_reserved() {
    grep -vxF -- "$1"$'\t'"$2" "$record/reservations" >"$record/reservations.new" || true
    mv -f -- "$record/reservations.new" "$record/reservations"
}

# Whether NICs of running guests are plugged into a network.
in_use() { [[ $(libvirt net-port-list --uuid "$1" 2>/dev/null) == *[0-9a-f]* ]]; }

# Reloads or restarts what runs. Not running is not a problem: it reads its files when it starts.
reload() {
    is_pending "$1" || return 0
    if running; then
        case $1 in
            systemd) ! systemd || act 'have systemd read its units' systemctl daemon-reload ;;
            nginx) reload_nginx ;;
            httpd) reload_httpd ;;
            nfs) ! has exportfs || act 'have NFS read its exports' exportfs -ra ;;
            autofs) reload_autofs ;;
            kvm) reload_kvm ;;
            hook) reload_hooks ;;
            NetworkManager) ! has nmcli || ! nmcli -t general >/dev/null 2>&1 ||
                act 'have NetworkManager read its settings' nmcli general reload ;;
            dnsmasq) ! systemd || ! systemctl is-active --quiet dnsmasq || act 'restart dnsmasq' systemctl restart dnsmasq ;;
        esac || { problem "$1 cannot be told of its new files; the reason is above"; return 0; }
    fi
    told "$1"
}

# Whether the process of a pid file runs.
runs() { [[ -s $1 ]] && kill -0 "$(<"$1")" 2>/dev/null; }

nginx_runs() { if systemd; then systemctl is-active --quiet nginx; else runs /run/nginx.pid; fi; }
reload_nginx() {
    nginx_runs || return 0
    nginx -t -q || return
    if systemd; then act 'reload nginx' systemctl reload nginx; else act 'reload nginx' kill -HUP "$(</run/nginx.pid)"; fi
}

# Apache's names on Debian differ.
apache=httpd apachectl=apachectl
if [[ -d $root/etc/apache2 && ! -d $root/etc/httpd ]]; then
    apache=apache2 apachectl=apache2ctl
fi
httpd_runs() {
    if systemd; then systemctl is-active --quiet "$apache"; else runs /run/httpd/httpd.pid || runs /run/apache2/apache2.pid; fi
}
reload_httpd() {
    httpd_runs || return 0
    if systemd; then
        act "reload $apache" systemctl reload "$apache"
    else
        act "reload $apache" "$apachectl" -k graceful
    fi
}

autofs_runs() { if systemd; then systemctl is-active --quiet autofs; else pidof automount >/dev/null; fi; }
reload_autofs() {
    autofs_runs || return 0
    # shellcheck disable=SC2046 # there may be several
    if systemd; then act 'reload autofs' systemctl reload autofs; else act 'reload autofs' kill -HUP $(pidof automount); fi
}

# The modules take their options when they are loaded, which they cannot be while guests run.
reload_kvm() {
    local module
    for module in kvm_intel kvm_amd; do
        [[ -d /sys/module/$module ]] || continue
        act "load $module anew" load_anew "$module" ||
            note "$module is in use: its options count from the next start of the host on"
    done
}
load_anew() { modprobe -r "$1" && modprobe "$1"; }

# libvirt looks for hooks only when it starts. Guests go on meanwhile.
reload_hooks() {
    if systemd; then
        act 'restart libvirt, so that it finds the hook' systemctl try-restart libvirtd.service virtnetworkd.service
    else
        note 'restart libvirtd, so that it finds the hook for networks'
    fi
}

# What Linux's iSCSI target holds.
configfs=/sys/kernel/config/target

# Takes a target back, and the backstores that its commands made; what they are made of stays. withdraw_target IQN COMMANDS
withdraw_target() {
    local backstores name
    [[ ! -d $configfs/iscsi/$1 ]] || act "withdraw the iSCSI target $1" quietly targetcli /iscsi delete "$1" || return
    while read -r backstores _ name _; do
        [[ $backstores == /backstores/* ]] || continue
        name=${name#name=}
        ! compgen -G "$configfs/core/*/$name" >/dev/null ||
            act "remove the backstore $name" quietly targetcli "$backstores" delete "$name" || return
    done <"$2"
    tell iscsi
}
save_targets() {
    is_pending iscsi || return 0
    act 'save the iSCSI targets for the next start of the host' quietly targetcli saveconfig ||
        { problem 'the iSCSI targets are not saved'; return 0; }
    told iscsi
}

# The installed files, those with a given ending last.
installed() {
    [[ ! -d $record/installed ]] || (cd -- "$record/installed" && find . -type f "$@" -printf '%P\0' | sort -z)
}

# Stops what setup.sh started, unless another lab needs it: then it is that lab's to stop.
stop_service() {
    local name=$1 files other
    case $name in
        nginx) files=etc/nginx ;;
        httpd) files=etc/httpd ;;
        apache2) files=etc/apache2 ;;
        autofs) files=etc/auto.master.d ;;
        nfs-server) files=etc/exports.d ;;
        *) files=etc/$name.d ;;
    esac
    for other in "${record%/*}"/*/installed/"$files"; do
        [[ $other != "$record"/* && $(find "$other" -type f 2>/dev/null) ]] || continue
        [[ $dry_run ]] || printf '%s\n' "$name" >>"${other%"/installed/$files"}/services"
        return
    done
    if systemd; then
        act "stop $name" systemctl --quiet disable --now -- "$name"
    else
        # shellcheck disable=SC2046 # there may be several
        case $name in
            nginx) ! nginx_runs || act 'stop nginx' stop_processes QUIT "$(</run/nginx.pid)" ;;
            httpd | apache2) ! httpd_runs || act "stop $name" "$apachectl" -k stop ;;
            autofs) ! autofs_runs || act 'stop autofs' stop_processes TERM $(pidof automount) ;;
        esac
    fi || problem "$name does not stop; the reason is above"
}

# Waits for them, since what they hold is unmounted next: stop_processes SIGNAL PID...
stop_processes() {
    local try
    kill "-$1" "${@:2}" || return
    for ((try = 0; try < 100; try++)); do
        kill -0 "${@:2}" 2>/dev/null || return 0
        sleep 0.1
    done
    return 1
}

# Takes a network or pool out: remove_object net|pool XML, the copy of what setup.sh defined.
remove_object() {
    local kind=$1 noun=pool uuid name info
    [[ $kind == pool ]] || noun=network
    uuid=$(sed -n 's/.*<uuid>\(.*\)<\/uuid>.*/\1/p' "$2" | head -n 1)
    if info=$(libvirt "$kind-info" "$uuid" 2>/dev/null); then
        [[ ! $info =~ Name:\ +([^$'\n']+) ]] || name=${BASH_REMATCH[1]}
        if [[ $kind == net ]] && in_use "$uuid"; then
            problem "network $name is in use: shut its guests down first"
            return
        fi
        if [[ $info =~ (Active|State):\ +(yes|running) ]]; then
            act "stop $noun $name" libvirt -q "$kind-destroy" "$uuid" || { problem "$noun $name cannot be stopped"; return; }
        fi
        act "undefine $noun $name" libvirt -q "$kind-undefine" "$uuid" || { problem "$noun $name cannot be undefined"; return; }
    fi
    [[ $dry_run ]] || rm -f -- "$2"
}

if [[ ! -d $record ]]; then
    echo "Nothing to do: lab $lab is not set up here."
    exit
fi
if [[ $root || -w $record ]]; then
    lock
elif [[ ! $dry_run ]]; then
    fail 'this needs root'
fi

if running; then
    for kept in "$record"/iscsi/*.targetcli; do
        [[ -e $kept ]] || continue
        iqn=${kept##*/}
        withdraw_target "${iqn%.targetcli}" "$kept" || { problem "the iSCSI target ${iqn%.targetcli} cannot be withdrawn"; continue; }
        [[ $dry_run ]] || rm -f -- "$kept"
    done
    save_targets
fi

# What reads the ISO images lets go of them before they are unmounted.
while IFS= read -r -d '' path; do
    remove_file "$path"
done < <(installed ! -name '*.mount')
if running && [[ -s $record/services ]]; then
    while IFS= read -r service <&3; do
        stop_service "$service"
    done 3<"$record/services"
    [[ $dry_run ]] || rm -f -- "$record/services"
fi
for reader in nginx httpd nfs autofs hook NetworkManager dnsmasq; do
    reload "$reader"
done
while IFS= read -r -d '' path; do
    remove_file "$path"
done < <(installed -name '*.mount')
reload systemd
edit_hosts ''

if running && [[ -s $record/reservations ]] && has virsh; then
    while IFS=$'\t' read -r network host <&3; do
        unreserve "$network" "$host"
    done 3< <(cat -- "$record/reservations")
fi
if running && compgen -G "$record/*/*.xml" >/dev/null; then
    has virsh || fail 'this host lacks virsh'
    libvirt uri >/dev/null || fail "cannot reach libvirt at ${QEMU_CONNECT:-qemu:///system}"
    for xml in "$record"/networks/*.xml; do
        [[ ! -e $xml ]] || remove_object net "$xml"
    done
    for xml in "$record"/pools/*.xml; do
        [[ ! -e $xml ]] || remove_object pool "$xml"
    done
fi

if [[ $problems ]]; then
    fail 'not all is taken back; mend what is said above, and run this again'
elif [[ $dry_run ]]; then
    [[ ! $did ]] || echo 'Nothing was changed: this was a dry run.'
    exit
fi
# Only directories that setup.sh made, and of those only empty ones, the inner ones first.
directories=$(sort -ru -- "$record/directories" 2>/dev/null) || directories=
if [[ -d $record/changed ]]; then
    note "texts that were changed by hand are still in $record/changed"
    find "$record" -mindepth 1 -maxdepth 1 ! -name changed -exec rm -rf -- {} +
else
    rm -rf -- "$record"
fi
while IFS= read -r directory; do
    [[ ! $directory ]] || rmdir -- "$directory" 2>/dev/null || true
done <<<"$directories"
echo "The host of lab $lab is as it was before."
