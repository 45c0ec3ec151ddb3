#!/bin/sh
# Looks at web1.shop.test on front, default.
nc -z web1.shop.test 80
nc -z web1.shop.test 443
