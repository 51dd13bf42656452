#!/bin/sh
# Compiles CPython against musl into /target, as the official image has it: in /usr/local.
set -eu
. /environment.sh

unpack python3.13
./configure --prefix=/usr/local --with-openssl=/target/usr --enable-loadable-sqlite-extensions \
    --with-ensurepip=install --disable-test-modules --without-static-libpython \
    OPT='-DNDEBUG -O2 -Wall' CFLAGS=-DTHREAD_STACK_SIZE=0x100000 LDFLAGS=-Wl,--strip-all
make
make install DESTDIR=/target COMPILEALL_OPTS='-q -x .'
# A module whose library was not found is left out without an error: that is one here.
/target/usr/local/bin/python3.13 -c 'import bz2, ctypes, decimal, lzma, sqlite3, ssl, zlib'
# Once and not for each level of optimisation, as `make install` would. The official image has no bytecode;
# here a check would spend most of its time compiling the library.
/target/usr/local/bin/python3.13 -m compileall -q -j 2 --invalidation-mode unchecked-hash -s /target -p / \
    /target/usr/local/lib/python3.13
rm -rf /build
