#!/bin/sh
# Compiles the named sources against musl into /target; the tests of none are run.
set -eu
. /environment.sh

for name; do
    unpack "$name"
    case $name in
    zlib)
        ./configure --prefix=/usr
        make
        make install DESTDIR=/target
        ;;
    libffi)
        autoreconf -fi
        ./configure --prefix=/usr --disable-static --disable-docs --disable-multi-os-directory
        # Its own Makefile only passes on to this folder, and gets that wrong with -j.
        make -C x86_64-*-musl
        make -C x86_64-*-musl install DESTDIR=/target
        ;;
    bzip2)
        make -f Makefile-libbz2_so CC=gcc
        cp -a libbz2.so* /target/usr/lib/
        ln -s libbz2.so.1.0 /target/usr/lib/libbz2.so
        cp bzlib.h /target/usr/include/
        ;;
    xz-utils)
        ./configure --prefix=/usr --disable-static --disable-doc --disable-nls --disable-scripts \
            --disable-xz --disable-xzdec --disable-lzmadec --disable-lzmainfo
        make
        make install DESTDIR=/target
        ;;
    sqlite3)
        ./configure --prefix=/usr --disable-tcl --disable-readline
        make sqlite3.c sqlite3.h
        gcc -O1 -fPIC -shared -Wl,-soname,libsqlite3.so.0 -DSQLITE_THREADSAFE=1 \
            -DSQLITE_ENABLE_FTS5 -DSQLITE_ENABLE_COLUMN_METADATA \
            -o /target/usr/lib/libsqlite3.so.0 sqlite3.c
        ln -s libsqlite3.so.0 /target/usr/lib/libsqlite3.so
        cp sqlite3.h /target/usr/include/
        ;;
    openssl)
        # Less of it compiles faster, and `make all` would compile each file a second time for the
        # static libraries; what Python's ssl and hashlib use is all there.
        ./Configure linux-x86_64 --prefix=/usr --libdir=lib --openssldir=/etc/ssl shared \
            no-tests no-async no-engine no-secure-memory no-docs no-apps no-legacy no-module \
            no-quic no-cmp no-sm2 no-sm4 no-aria no-camellia no-seed no-idea no-gost no-srp
        make build_generated
        make libcrypto.so libssl.so
        cp -a libcrypto.so* libssl.so* /target/usr/lib/
        cp -r include/openssl /target/usr/include/
        ;;
    curl)
        ./configure --prefix=/usr --disable-shared --with-openssl --with-ca-bundle=/etc/ssl/cert.pem \
            --without-libpsl --without-brotli --without-zstd --without-nghttp2 --without-libidn2 \
            --disable-ldap --disable-ftp --disable-rtsp --disable-dict --disable-telnet \
            --disable-tftp --disable-pop3 --disable-imap --disable-smb --disable-smtp \
            --disable-gopher --disable-mqtt --disable-manual --disable-docs --disable-ntlm
        make
        mkdir -p /target/usr/bin
        cp src/curl /target/usr/bin/
        ;;
    esac
done
find /target/usr -type f \( -name '*.so*' -o -path '*/bin/curl' \) -exec strip --strip-unneeded {} +
rm -rf /build
