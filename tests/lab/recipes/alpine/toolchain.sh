#!/bin/sh
# Prepares a Debian that compiles against musl, with the sources of all that is compiled.
set -eu
export DEBIAN_FRONTEND=noninteractive
# Sources of the release itself: not every mirror has those of its security updates.
awk 'BEGIN { RS = ""; ORS = "\n\n" } /\nSuites: [a-z]+\n/ { sub(/Types: deb/, "Types: deb-src"); print }' \
    /etc/apt/sources.list.d/debian.sources >/etc/apt/sources.list.d/source.sources
apt-get update
apt-get install -y --no-install-recommends \
    autoconf automake bzip2 gcc libc6-dev libltdl-dev libtool make musl-tools perl pkgconf tcl xz-utils

# Of each the newest version that the mirror has: it may list one before the files are there.
fetch() {
    for version in $(apt-cache showsrc --only-source "$1" | sed -n 's/^Version: //p' | sort -rV); do
        mkdir -p "/sources/$1"
        cd "/sources/$1"
        apt-get source --download-only "$1=$version" && return
        rm -r "/sources/$1"
    done
    echo "no version of $1 can be had" >&2
    return 1
}
for source in zlib libffi openssl bzip2 xz-utils sqlite3 curl python3.13; do
    fetch "$source"
done

mkdir -p /target/usr/include /target/usr/lib
# The kernel's headers alone: the rest of /usr/include is glibc's and would mislead configure.
for folder in linux asm-generic mtd rdma; do
    cp -rL "/usr/include/$folder" /target/usr/include/
done
cp -rL /usr/include/x86_64-linux-gnu/asm /target/usr/include/
# musl looks for libraries where its own path file says, also while Python tests its modules.
echo /target/usr/lib >/etc/ld-musl-x86_64.path
