#!/bin/bash
# Sets the host of lab bare up: installs files, starts what reads them, defines the networks and pools.
# Written by `miniascape generate`, which overwrites changes.
#
#   host/setup.sh [--dry-run] [--root DIR]
#
# --dry-run shows what would be done and changes nothing. --root (or ROOT) installs into another directory tree, where
# nothing is started. QEMU_CONNECT names the hypervisor; it is qemu:///system otherwise.
# It can be run again: what is there already is left alone. What it replaces is kept in /var/lib/miniascape/host/bare,
# from where host/teardown.sh puts it back.
# shellcheck disable=SC2016 # a $ in a name or path is meant as it is
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
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

files=(
)
# Modes and owners of the lab's own files.
declare -A modes=(
)
declare -A owners=(
)

# Where a file goes; Debian keeps Apache's elsewhere.
place() {
    case $apache/$1 in
        apache2/etc/httpd/conf.d/*) echo "etc/apache2/conf-enabled/${1##*/}" ;;
        apache2/etc/systemd/system/httpd.service.d/*) echo "etc/systemd/system/apache2.service.d/${1##*/}" ;;
        *) echo "$1" ;;
    esac
}

# Installs a file, and keeps the first original of what it replaces.
install_file() {
    local source=$here/$1 path target installed original mode=${modes[$1]-644} owner=${owners[$1]-}
    path=$(place "$1")
    target=$root/$path
    installed=$record/installed/$path
    original=$record/original/$path
    [[ -f $source ]] || fail "$source is missing: generate it anew"
    [[ ${modes[$1]-} || ! -x $source ]] || mode=755
    # Only root can give a file to somebody.
    ((EUID == 0)) || owner=
    if same "$source" "$target" && same "$source" "$installed" && [[ $(stat -c %a -- "$target") == "$mode" ]] && is_owned; then
        return 0
    fi
    if [[ $owner ]] && ! is_known; then
        problem "/$path is for $owner, whom this host does not know: make that account, and run this again"
        return 0
    fi
    if [[ ! -e $installed ]] && exists "$target"; then
        act "replace /$path, and keep what was there" replace_file
    elif changed_by_hand; then
        act "replace /$path, which was changed since, and keep that as $record/changed/$path" replace_file
    elif exists "$target"; then
        act "update /$path" replace_file
    else
        act "install /$path" replace_file
    fi
    [[ ! $dry_run ]] || tell_of "$path"
}
is_owned() { [[ ! $owner || $(stat -c %U:%G -- "$target") == "$owner" ]]; }
is_known() { getent passwd "${owner%:*}" >/dev/null && getent group "${owner#*:}" >/dev/null; }
# The original can still be there where a run was killed.
changed_by_hand() {
    [[ -e $installed ]] && exists "$target" && ! same "$installed" "$target" && ! alike "$original" "$target"
}
replace_file() {
    if [[ ! -e $installed ]] && exists "$target"; then
        put "$target" "$original"
    elif changed_by_hand; then
        put "$target" "$record/changed/$path"
    fi
    # Remembered before it is done, so that it is made up for where this run ends here.
    tell_of "$path"
    put "$source" "$installed" 644
    put "$source" "$target" "$mode" "$owner"
}

# Takes out what an earlier set-up installed and this one has no more.
remove_stale() {
    local path file wanted
    [[ -d $record/installed ]] || return 0
    while IFS= read -r -d '' path; do
        wanted=
        for file in "${files[@]}"; do
            [[ $(place "$file") != "$path" ]] || wanted=1
        done
        [[ $wanted ]] || remove_file "$path"
    done < <(cd -- "$record/installed" && find . -type f -printf '%P\0' | sort -z)
}

# Mounts an ISO image: mount_iso PATH MOUNT FSTYPE OPTIONS UNIT.
mount_iso() {
    local path=$1 mount=$2 unit=$5 how=(mount)
    [[ -e $path ]] || { problem "there is no $path: put it there, and run this again"; return 0; }
    [[ -d $mount ]] || act "make $mount" make_directory "$mount"
    if systemd; then
        if ! is_pending "$unit" && systemctl is-active --quiet -- "$unit" && systemctl is-enabled --quiet -- "$unit"; then
            return 0
        fi
        act "mount $path at $mount" restart_mount "$unit" || { problem "$path cannot be mounted at $mount"; return 0; }
    else
        if mountpoint -q -- "$mount"; then
            is_pending "$unit" || return 0
            act "unmount $mount, which has changed" umount -- "$mount" || { problem "$mount is in use"; return 0; }
        fi
        [[ ! $3 ]] || how+=(-t "$3")
        [[ ! $4 ]] || how+=(-o "$4")
        act "mount $path at $mount" "${how[@]}" -- "$path" "$mount" || { problem "$path cannot be mounted at $mount"; return 0; }
    fi
    told "$unit"
}
restart_mount() {
    systemctl --quiet enable -- "$1" && systemctl restart -- "$1"
}

# Sees to a network or a pool: object net|pool KEY NAME UUID AUTOSTART [PATH].
object() {
    local kind=$1 noun=pool name=$3 uuid=$4 info='' active='' autostarts='' xml kept
    [[ $kind == pool ]] || noun=network
    xml=$here/${noun}s/$2.xml
    kept=$record/${noun}s/$2.xml
    [[ -f $xml ]] || fail "$xml is missing: generate it anew"
    if info=$(libvirt "$kind-info" "$uuid" 2>/dev/null); then
        [[ ! $info =~ (Active|State):\ +(yes|running) ]] || active=1
        [[ ! $info =~ Autostart:\ +yes ]] || autostarts=1
        if [[ -e $kept ]] && ! same "$xml" "$kept"; then
            act "define $noun $name anew" define "$kind" "$xml" "$kept"
            if [[ $kind == net && $active ]] && in_use "$uuid"; then
                note "network $name is in use: it changes when it starts the next time; virsh net-destroy takes the guests' links down"
            elif [[ $active ]]; then
                act "stop $noun $name" libvirt -q "$kind-destroy" "$uuid"
                active=
            fi
        fi
    else
        act "define $noun $name" define "$kind" "$xml" "$kept" ||
            fail "$noun $name cannot be defined; if there is another one of that name, give this one another name"
    fi
    if [[ ! $active ]]; then
        [[ ! ${6-} ]] || build_pool "$uuid" "$6"
        act "start $noun $name" libvirt -q "$kind-start" "$uuid" || fail "$noun $name cannot be started"
    fi
    if [[ $5 == true && ! $autostarts ]]; then
        act "have $noun $name start with the host" libvirt -q "$kind-autostart" "$uuid"
    elif [[ $5 == false && $autostarts ]]; then
        act "have $noun $name not start with the host" libvirt -q "$kind-autostart" "$uuid" --disable
    fi
}
# Has networks that are not the lab's reserve addresses. What others have there does as well, and stays.
reserve() {
    local line network host wanted
    while IFS=$'\t' read -r network host <&3; do
        wanted=
        for line in "${reservations[@]}"; do
            [[ $line != "$network"$'\t'"$host" ]] || wanted=1
        done
        [[ $wanted ]] || unreserve "$network" "$host"
    done 3< <(cat -- "$record/reservations" 2>/dev/null)
    for line in "${reservations[@]}"; do
        IFS=$'\t' read -r network host <<<"$line"
        libvirt net-info "$network" >/dev/null 2>&1 || { problem "there is no network $network, which is to reserve addresses"; continue; }
        ! is_reserved "$network" "$host" || continue
        # Remembered first: what is there and not remembered was there before.
        [[ $dry_run ]] || printf '%s\n' "$line" >>"$record/reservations"
        act "have network $network reserve $(ip_of "$host")" change_reserved "$network" add "$host" || {
            forget_reserved "$network" "$host"
            problem "network $network does not reserve $(ip_of "$host"); the reason is above"
        }
    done
}
define() {
    # Remembered first: what is there and not remembered was there before.
    put "$2" "$3" 644 || return
    libvirt -q "$1-define" "$2" || { rm -f -- "$3"; return 1; }
}
# libvirt makes the directory; it is remembered if it is this host's and empty in the end.
build_pool() {
    [[ ! -d $2 ]] || return 0
    [[ $dry_run ]] || printf '%s\n' "$2" >>"$record/directories"
    act "make $2" libvirt -q pool-build "$1"
}

# Offers an iSCSI target: offer_target IQN FILE.
offer_target() {
    local iqn=$1 file=$here/$2 kept=$record/$2
    if [[ -d $configfs/iscsi/$iqn ]] && same "$file" "$kept"; then
        return 0
    fi
    if [[ -e $kept ]]; then
        withdraw_target "$iqn" "$kept" || fail "the iSCSI target $iqn cannot be changed"
    elif [[ -d $configfs/iscsi/$iqn ]]; then
        fail "there is an iSCSI target $iqn that this lab has not made: remove it, or give this one another name"
    fi
    act "offer the iSCSI target $iqn" create_target "$iqn" "$file" "$kept"
    tell iscsi
}
create_target() {
    local line word default=$configfs/iscsi/$1/tpgt_1/np/0.0.0.0:3260
    put "$2" "$3" 644
    while IFS= read -r line; do
        [[ $line != '#'* ]] || continue
        for word in $line; do
            [[ $word != file_or_dev=* ]] || make_directory "$(dirname -- "${word#*=}")"
        done
        # One of targetcli's preferences makes this portal by itself.
        if [[ $line == */portals\ create* && -d $default ]]; then
            [[ $line != *' ip_address=0.0.0.0 ip_port=3260' ]] || continue
            quietly targetcli "/iscsi/$1/tpg1/portals" delete 0.0.0.0 3260
        fi
        # shellcheck disable=SC2086 # its words
        quietly targetcli $line || fail "targetcli refuses: $line"
    done <"$2"
}

# Withdraws the targets that an earlier set-up offered and this one does not.
withdraw_stale() {
    local kept iqn
    for kept in "$record"/iscsi/*.targetcli; do
        [[ -e $kept && ! -e $here/iscsi/${kept##*/} ]] || continue
        iqn=${kept##*/}
        withdraw_target "${iqn%.targetcli}" "$kept" || { problem "the iSCSI target ${iqn%.targetcli} cannot be withdrawn"; continue; }
        [[ $dry_run ]] || rm -f -- "$kept"
    done
}

# The unit that restores targets when the host starts, if it does not yet. Enabled only: its start would drop sessions.
target_unit() {
    local unit
    systemd || return 0
    for unit in target.service rtslib-fb-targetctl.service; do
        ! systemctl cat "$unit" >/dev/null 2>&1 || systemctl is-enabled --quiet "$unit" || { echo "$unit"; return; }
    done
}

# Sets the password of a target's initiators: chap IQN USERID FILE. It is in no argument that others could see.
chap() {
    local password='' directory
    [[ -r $3 ]] || { problem "there is no $3 with the password for $1"; return 0; }
    IFS= read -r password <"$3" || [[ $password ]] || { problem "$3 has no password in its first line"; return 0; }
    for directory in "$configfs/iscsi/$1/tpgt_1"{,/acls/*}/auth; do
        [[ -d $directory && ($(<"$directory/userid") != "$2" || $(<"$directory/password") != "$password") ]] || continue
        act "set the password of ${directory#"$configfs/iscsi/"}" set_chap "$directory" "$2" "$password"
        tell iscsi
    done
}
set_chap() { printf %s "$2" >"$1/userid" && printf %s "$3" >"$1/password"; }

# A firewall of the host's may keep guests from what is served.
firewall_note() {
    has firewall-cmd && firewall-cmd -q --state 2>/dev/null || return 0
    note "a firewall runs; libvirt's guests get in after: firewall-cmd --permanent --zone=libvirt$(printf ' --add-port=%s/tcp' "$@"); firewall-cmd --reload"
}

# Starts a service that is not running: serve NAME PROGRAM...
serve() {
    local name=$1
    if systemd; then
        act "start $name, now and with the host" start_unit "$name"
    elif (($# == 1)); then
        note "start $name"
    else
        act "start $name" "${@:2}" && { [[ $dry_run ]] || started "$name"; }
    fi || problem "$name does not start; the reason is above"
}

start_unit() {
    # What starts with the host already is not ours to stop.
    systemctl is-enabled --quiet -- "$1" 2>/dev/null || started "$1"
    systemctl --quiet enable --now -- "$1"
}

# Tells systemd-resolved of a network that is active already, as libvirt does of those that it starts: tell_resolved NAME UUID
tell_resolved() {
    ! is_pending resolved || act "tell systemd-resolved of network $1" run_hook "$@"
}
run_hook() { libvirt net-dumpxml "$2" | "/etc/libvirt/hooks/network.d/miniascape-$lab" "$1" started begin -; }

reservations=()

# Names what is missing, all at once.
missing=()
need() { ! running || has "$1" || missing+=("$1 (package $2)"); }

if ((${#missing[@]})); then
    printf -v list ', %s' "${missing[@]}"
    [[ $dry_run ]] || fail "this host lacks ${list#, }"
    problem "this host lacks ${list#, }"
fi
lock

remove_stale
for file in "${files[@]}"; do
    install_file "$file"
done
reload systemd

if [[ -f $here/hosts ]]; then
    edit_hosts "$(<"$here/hosts")"
else
    edit_hosts ''
fi
reload hook
reload kvm

! running || withdraw_stale
if running; then
    save_targets
fi

[[ ! $problems ]] || fail 'not all is done; mend what is said above, and run this again'
if [[ $dry_run && $did ]]; then
    echo 'Nothing was changed: this was a dry run.'
elif [[ ! $did ]]; then
    echo "Nothing to do: the host of lab $lab is set up."
elif running; then
    echo "The host of lab $lab is set up."
else
    echo "The files of lab $lab are installed in $root; nothing was started."
fi
