#!/bin/sh
# Says where the guests are; host/run.sh.
echo db.own.test 192.168.155.21
echo web.own.test 192.168.155.11
