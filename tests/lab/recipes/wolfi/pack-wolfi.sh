#!/bin/sh
# Makes /root-fs, the Wolfi-like base, and its shelf of packages, out of Debian's own files.
set -eu
series=$1
export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install -y --no-install-recommends \
    binutils busybox-static ca-certificates curl gcc gdb libc6-dev "libpython$series-dev" make \
    openssl "python$series-venv" tzdata xz-utils
. /apk/pack.sh

# PACKAGE DEB [NEEDS…]: a package of Debian's under the name that it has in Wolfi.
take() {
    name=$1 deb=$2
    shift 2
    from_debs "$name" "$deb"
    seal "$name" "$(version_of "$deb")" "$deb" "Debian's $deb" "$@"
}

seal_system wolfi "Wolfi-like stand-in made from Debian 13 packages" usr/bin usr/bin

from_debs glibc libc6 libc-bin
(
    cd /pkg/glibc
    rm -rf usr/bin/tzselect usr/bin/zdump usr/sbin/zic usr/sbin/iconvconfig usr/bin/pldd usr/share
    rm -rf usr/lib/x86_64-linux-gnu/gconv usr/lib/x86_64-linux-gnu/libnss_hesiod* var
    rm -f usr/lib/x86_64-linux-gnu/libmemusage.so usr/lib/x86_64-linux-gnu/libpcprofile.so
    printf 'hosts: files dns\n' >etc/nsswitch.conf
)
seal glibc "$(version_of libc6)" glibc "Debian's glibc with its C.UTF-8 locale"
take zlib zlib1g glibc
take libzstd1 libzstd1 glibc

into=$(tree libcrypto3)
from_debs libcrypto3 libssl3t64
mkdir -p "$into/usr/lib/ssl" /pkg/libssl3/usr/lib/x86_64-linux-gnu
ln -s ../../../etc/ssl/cert.pem "$into/usr/lib/ssl/cert.pem"
ln -s ../../../etc/ssl/certs "$into/usr/lib/ssl/certs"
rm -rf "$into/usr/lib/x86_64-linux-gnu/engines-3"
mv "$into"/usr/lib/x86_64-linux-gnu/libssl.so* /pkg/libssl3/usr/lib/x86_64-linux-gnu/
seal libcrypto3 "$(version_of libssl3t64)" openssl "Debian's libcrypto" glibc libzstd1 zlib
seal libssl3 "$(version_of libssl3t64)" openssl "Debian's libssl" libcrypto3

take libgcc libgcc-s1 glibc
take libstdc++ libstdc++6 libgcc
take libexpat1 libexpat1
take libffi libffi8
take libbz2-1 libbz2-1.0
take xz liblzma5
take sqlite-libs libsqlite3-0
take libuuid libuuid1
take ncurses libtinfo6
take libncursesw libncursesw6 ncurses
take readline libreadline8t64 ncurses
take gmp libgmp10
take mpfr libmpfr6 gmp
take mpc libmpc3 mpfr
take isl libisl23 gmp

from_debs python "libpython$series-minimal" "python$series-minimal" "libpython$series-stdlib" \
    "python$series" "python$series-venv" python3-pip-whl
mv /pkg/python "/pkg/python-$series"
(
    cd "/pkg/python-$series"
    rm -rf usr/share/applications usr/share/pixmaps usr/share/binfmts usr/share/apps
    rm -f "usr/lib/python$series/EXTERNALLY-MANAGED" usr/bin/pdb* usr/bin/pydoc* usr/bin/pygettext*
    # dbm.ndbm alone would bring Berkeley DB along.
    rm -f "usr/lib/python$series"/lib-dynload/_dbm.*
    ln -sf "python$series" usr/bin/python3
    ln -sf "python$series" usr/bin/python
    # Extensions are to be compiled with the compiler under the name that Wolfi gives it.
    sed -i 's/x86_64-linux-gnu-\(gcc\|g++\|ar\)/\1/g' "usr/lib/python$series"/_sysconfigdata_*.py
    # By hash: the files get another time when they are packed.
    "python$series" -m compileall -q -j 2 --invalidation-mode unchecked-hash -s "$PWD" -p / "usr/lib/python$series"
)
# Wolfi's Python brings the C++ library along, by way of mpdecimal; many a wheel relies on it.
seal "python-$series" "$(version_of "python$series")" "python-$series" "Debian's Python $series" \
    glibc libbz2-1 libcrypto3 libexpat1 libffi libncursesw libssl3 libstdc++ libuuid readline sqlite-libs xz zlib

pip=py$series-pip
into=$(tree "$pip")
wheel=$(ls /usr/share/python-wheels/pip-*.whl)
"python$series" "$wheel/pip" install --no-index --no-compile --root-user-action=ignore \
    --target "$into/usr/lib/python3/dist-packages" "$wheel"
rm -rf "$into/usr/lib/python3/dist-packages/bin"
"python$series" -m compileall -q -j 2 --invalidation-mode unchecked-hash -s "$into" -p / "$into/usr/lib/python3"
mkdir -p "$into/usr/bin"
for name in pip pip3 "pip$series"; do
    printf '#!/usr/bin/python%s\nimport sys\n\nfrom pip._internal.cli.main import main\n\nsys.exit(main())\n' \
        "$series" >"$into/usr/bin/$name"
    chmod 755 "$into/usr/bin/$name"
done
seal "$pip" "$(version_of python3-pip-whl)" py3-pip "pip from Debian's wheel of it" "python-$series"

from_debs dev "libpython$series-dev"
mkdir -p "/pkg/python-$series-dev/usr"
mv /pkg/dev/usr/include "/pkg/python-$series-dev/usr/"
seal "python-$series-dev" "$(version_of "libpython$series-dev")" "python-$series" \
    "Headers of Debian's Python $series" "python-$series"

seal_common
from_debs glibc-dev libc6-dev libcrypt-dev libcrypt1
seal glibc-dev "$(version_of libc6-dev)" glibc "Debian's headers and start files of glibc" glibc linux-headers

from_debs binutils binutils binutils-common binutils-x86-64-linux-gnu libbinutils libctf0 \
    libctf-nobfd0 libsframe1 libjansson4
find /pkg/binutils/usr/bin \( -name '*gprof*' -o -name '*dwp' -o -name '*gold' -o -name '*strings' \) -delete
seal binutils "$(version_of binutils)" binutils "Debian's binutils" glibc libzstd1 zlib

# Only C: the compiler and the headers of C++ would double the size of the shelf.
from_debs gcc gcc gcc-x86-64-linux-gnu gcc-14 gcc-14-x86-64-linux-gnu cpp-14-x86-64-linux-gnu \
    libgcc-14-dev
(
    cd /pkg/gcc
    rm -f usr/libexec/gcc/x86_64-linux-gnu/14/lto1 usr/bin/*lto-dump* usr/bin/*gcov*
    find usr/lib/gcc \( -name '*san*' -o -name 'libitm*' -o -name 'libgomp*' -o -name 'libquadmath*' \
        -o -name 'libgcov*' -o -name 'plugin' -o -name 'libcc1*' -o -name 'crtoffload*' \) \
        -prune -exec rm -rf {} +
    ln -sf gcc usr/bin/cc
)
seal gcc "$(version_of gcc-14)" gcc "Debian's C compiler, without one for C++" \
    binutils glibc-dev isl libgcc libzstd1 mpc zlib
take make make glibc
seal build-base 1-r0 build-base "Meta package: what compiling C takes" binutils gcc glibc-dev make

# Two programs with many libraries of their own: those that are in no package above come along.
for name in curl gdb; do
    from_debs $name $name
    rm -rf /pkg/$name/etc /pkg/$name/usr/share/zsh /pkg/$name/usr/share/fish /pkg/$name/usr/bin/wcurl
    library=/pkg/$name/usr/lib/x86_64-linux-gnu
    mkdir -p $library
    for each in $(libraries_of /pkg/$name); do
        case $each in
        */libc.so.* | */libm.so.* | */libdl.so.* | */libresolv.so.* | */libssl.* | */libcrypto.*) ;;
        */libz.so.* | */libzstd.* | */libexpat.* | */liblzma.* | */libncursesw.* | */libtinfo.*) ;;
        */libreadline.* | */libstdc++.* | */libgcc_s.* | */libffi.* | */libgmp.* | */libmpfr.*) ;;
        *) cp -L "$each" $library/ ;;
        esac
    done
done
seal curl "$(version_of curl)" curl "Debian's curl with the libraries that it alone needs" libssl3 zlib libzstd1
seal gdb "$(version_of gdb)" gdb "Debian's gdb with the libraries that it alone needs" \
    libstdc++ mpfr "python-$series"

root=/root-fs
mkdir -p $root/usr/bin $root/usr/sbin $root/usr/lib $root/usr/lib64 $root/usr/local/bin $root/usr/local/lib
for each in bin sbin lib lib64; do
    ln -s usr/$each $root/$each
done
mkdir -p $root/dev $root/home $root/mnt $root/opt $root/proc $root/run $root/sys $root/var/log $root/var/lib
mkdir -m 700 $root/root
mkdir -m 1777 $root/tmp $root/var/tmp
install_base $root wolfi-baselayout apk-tools busybox glibc libzstd1 zlib libcrypto3 libssl3 ca-certificates-bundle
cp -a /out/. $root/
du -sh $root "$shelf"
