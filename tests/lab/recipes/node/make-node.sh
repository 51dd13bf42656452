#!/bin/sh
# Turns a debootstrapped Debian into what node:18-slim offers: node, npm and apt; no Python and no compiler.
set -eu
export DEBIAN_FRONTEND=noninteractive

# The slim images leave documentation out, now and in every later apt-get install.
cat >/etc/dpkg/dpkg.cfg.d/slim <<'END'
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/info/*
path-exclude /usr/share/lintian/*
path-exclude /usr/share/locale/*
path-exclude /usr/share/man/*
END

apt-get update
apt-get install -y --no-install-recommends nodejs

find /usr/share/doc -type f ! -name copyright -delete
find /usr/share/doc -depth -type d -empty -delete
rm -rf /usr/share/info /usr/share/lintian /usr/share/locale /usr/share/man
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/lib/dpkg/*-old /var/cache/ldconfig/aux-cache
rm -rf /var/log/apt /var/log/dpkg.log /var/log/bootstrap.log /var/log/alternatives.log
apt-get clean
