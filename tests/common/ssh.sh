#!/bin/sh
# Stands in for an ssh that fails: says what is in $HOME/said.
cat "$HOME/said" >&2
exit 255
