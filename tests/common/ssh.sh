#!/bin/sh
# Stands in for an ssh that fails: says what is in $HOME/said, once libvirt has written to it, which else can meet a closed pipe.
head -c 4 > /dev/null
cat "$HOME/said" >&2
exit 255
