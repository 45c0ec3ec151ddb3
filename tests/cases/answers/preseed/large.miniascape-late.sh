#!/bin/sh
# Run in the installed system of large when the installer is done.
set -eu

# The installer knows layouts, but no variants.
cat >/etc/default/keyboard <<'EOF'
XKBMODEL="pc105"
XKBLAYOUT="de"
XKBVARIANT="nodeadkeys"
XKBOPTIONS=""
BACKSPACE="guess"
EOF

# Every network card by its MAC
card() {
    for device in /sys/class/net/*; do
        if [ "$(cat "$device/address")" = "$1" ]; then
            echo "${device##*/}"
        fi
    done
}
cat >/etc/network/interfaces <<'EOF'
auto lo
iface lo inet loopback

source /etc/network/interfaces.d/*
EOF

# eth0
name=$(card 52:54:00:10:b8:97)
cat >"/etc/network/interfaces.d/$name" <<EOF
auto $name
iface $name inet static
    address 192.168.155.21/24
    gateway 192.168.155.1
    dns-nameservers 192.168.155.1
    dns-search shop.test
EOF

# eth1
name=$(card 52:54:00:05:62:33)
cat >"/etc/network/interfaces.d/$name" <<EOF
auto $name
iface $name inet static
    address 10.1.0.21/24
    dns-nameservers 10.1.0.1 fd00:1::1
    dns-search back.test
iface $name inet6 static
    address fd00:1::21/64
    dns-nameservers 10.1.0.1 fd00:1::1
    dns-search back.test
EOF

# Without DHCP nothing else writes this.
cat >/etc/resolv.conf <<'EOF'
search shop.test
nameserver 192.168.155.1
nameserver 10.1.0.1
nameserver fd00:1::1
EOF

# Time servers
install -d /etc/systemd/timesyncd.conf.d
cat >/etc/systemd/timesyncd.conf.d/lab.conf <<'EOF'
[Time]
NTP=192.168.155.1
EOF

purge() {
    dpkg-query -W -f '${Status} ${binary:Package}\n' "$1" 2>/dev/null |
        sed -n '/ not-installed /!s/.* //p' |
        DEBIAN_FRONTEND=noninteractive xargs -r apt-get -qy purge
}
purge nano

# /etc/motd
install -D -m 0644 /dev/null /etc/motd
cat >/etc/motd <<'EOF'
This is large.shop.test.
EOF

# The firewall is firewalld, whose names of services the lab uses.
firewall-offline-cmd --add-service=ssh
firewall-offline-cmd --add-service=postgresql
firewall-offline-cmd --add-port=8080/tcp
systemctl enable firewalld

# The boot menu on the serial console, too
install -d /etc/default/grub.d
cat >/etc/default/grub.d/serial.cfg <<'EOF'
GRUB_TERMINAL="console serial"
GRUB_SERIAL_COMMAND="serial --unit=0 --speed=115200"
EOF
update-grub

# What is not there does not start, either.
systemctl disable cron || true

cat >/root/miniascape-post <<'EOF'
sed -i "s/^#listen_addresses.*/listen_addresses = '*'/" /etc/postgresql/15/main/postgresql.conf
echo "done by $0" >>/root/log
EOF
sh /root/miniascape-post
rm /root/miniascape-post
