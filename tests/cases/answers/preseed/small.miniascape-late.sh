#!/bin/sh
# Run in the installed system of small when the installer is done.
set -eu

# ada
useradd -m -s /bin/bash ada
install -d -m 0700 -o ada -g "$(id -gn ada)" ~ada/.ssh
cat >>~ada/.ssh/authorized_keys <<'EOF'
ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJf1nS0m3 ada@home
EOF
chown ada: ~ada/.ssh/authorized_keys
chmod 0600 ~ada/.ssh/authorized_keys
install -d -m 0750 /etc/sudoers.d
cat >/etc/sudoers.d/90-ada <<'EOF'
ada ALL=(ALL) NOPASSWD: ALL
EOF
chmod 0440 /etc/sudoers.d/90-ada

# The boot menu on the serial console, too
install -d /etc/default/grub.d
cat >/etc/default/grub.d/serial.cfg <<'EOF'
GRUB_TERMINAL="console serial"
GRUB_SERIAL_COMMAND="serial --unit=0 --speed=115200"
EOF
update-grub
