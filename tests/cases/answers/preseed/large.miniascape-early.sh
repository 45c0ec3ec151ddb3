#!/bin/sh
# Run by preseed.cfg before the installation of large begins. The shell is busybox.
set -eu

cat >/tmp/miniascape-pre-1 <<'EOF'
dd if=/dev/zero of=/dev/vda bs=1M count=1
EOF
sh /tmp/miniascape-pre-1
