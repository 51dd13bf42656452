#!/bin/sh
# Makes /root-fs, the Alpine-like base, and its shelf of packages, out of what was compiled
# against musl and, where that would take too long, of Debian's programs with a glibc of their own.
set -eu
export DEBIAN_FRONTEND=noninteractive
apt-get update
apt-get install -y --no-install-recommends \
    busybox-static ca-certificates gdb openssl patchelf tzdata
. /apk/pack.sh

hidden=usr/libexec/standin
private=/$hidden/glibc

# Debian's programs run on a glibc that nothing else finds: not on any path that the loader or a
# wheel looks at, so the image as a whole stays one of musl.
keep_private() {
    into=/pkg/$1
    library=$into/$hidden/$1/lib
    mkdir -p "$library"
    for each in $(libraries_of "$into"); do
        [ -e "/pkg/standin-glibc$private/${each##*/}" ] || cp -L "$each" "$library/"
    done
    for program in $(programs_of "$into"); do
        case $program in *.program) continue ;; esac
        patchelf --print-interpreter "$program" >/dev/null 2>&1 || continue
        patchelf --set-interpreter "$private/ld-linux-x86-64.so.2" --force-rpath \
            --set-rpath "/$hidden/$1/lib:$private" "$program"
    done
    rmdir "$library" 2>/dev/null || true
}

into=$(tree standin-glibc)
mkdir -p "$into$private"
for each in ld-linux-x86-64.so.2 libc.so.6 libm.so.6 libdl.so.2 libpthread.so.0 libz.so.1 libzstd.so.1; do
    cp -L "/usr/lib/x86_64-linux-gnu/$each" "$into$private/"
done
seal standin-glibc "$(version_of libc6)" glibc \
    "A private glibc, for the programs that this stand-in takes from Debian as they are"

seal_system alpine "Alpine-like stand-in made from Debian 13 packages" bin sbin

into=$(tree alpine-release)
mkdir -p "$into/etc"
echo "0.0.0 (stand-in)" >"$into/etc/alpine-release"
seal alpine-release 0.0.0-r0 alpine-base "Says that this is a stand-in for Alpine"

into=$(tree musl)
mkdir -p "$into/lib"
cp -L /usr/lib/x86_64-linux-musl/libc.so "$into/lib/ld-musl-x86_64.so.1"
chmod 755 "$into/lib/ld-musl-x86_64.so.1"
ln -s ld-musl-x86_64.so.1 "$into/lib/libc.musl-x86_64.so.1"
seal musl "$(version_of musl)" musl "Debian's musl"

into=$(tree musl-utils)
mkdir -p "$into/usr/bin"
printf '#!/bin/sh\nexec /lib/ld-musl-x86_64.so.1 --list -- "$@"\n' >"$into/usr/bin/ldd"
chmod 755 "$into/usr/bin/ldd"
seal musl-utils "$(version_of musl)" musl "ldd for musl" musl

into=$(tree musl-dev)
mkdir -p "$into/usr/lib"
cp -rL /usr/include/x86_64-linux-musl "$into/usr/include"
cp -L /usr/lib/x86_64-linux-musl/*.o /usr/lib/x86_64-linux-musl/*.a "$into/usr/lib/"
ln -s ../../lib/ld-musl-x86_64.so.1 "$into/usr/lib/libc.so"
seal musl-dev "$(version_of musl)" musl "Debian's headers and start files of musl" musl

# NAME SOURCE PATTERN…: libraries that were compiled against musl.
library() {
    name=$1 source=$2
    shift 2
    into=$(tree "$name")
    mkdir -p "$into/usr/lib"
    for pattern; do
        cp -a /target/usr/lib/$pattern "$into/usr/lib/"
    done
    version=$(ls /sources/"$source"/*.dsc | sed 's/.*_//; s/.*really//; s/^\([0-9.]*[0-9]\).*/\1-r0/')
    seal "$name" "$version" "$source" "Compiled against musl from Debian's source of $source" musl
}
library zlib zlib 'libz.so.1*'
library libffi libffi 'libffi.so.8*'
library libbz2 bzip2 'libbz2.so.1*'
library xz-libs xz-utils 'liblzma.so.5*'
library sqlite-libs sqlite3 'libsqlite3.so.0'
library libcrypto3 openssl 'libcrypto.so.3'
library libssl3 openssl 'libssl.so.3'
mkdir -p /pkg/zlib-dev/usr/include /pkg/libffi-dev/usr/include /pkg/openssl-dev/usr/include
cp /target/usr/include/zlib.h /target/usr/include/zconf.h /pkg/zlib-dev/usr/include/
cp /target/usr/include/ffi*.h /pkg/libffi-dev/usr/include/
cp -r /target/usr/include/openssl /pkg/openssl-dev/usr/include/
library zlib-dev zlib libz.so
library libffi-dev libffi libffi.so
library openssl-dev openssl libcrypto.so libssl.so

for name in libgcc libstdc++; do
    seal "$name" "$(version_of libgcc-s1)" gcc \
        "Empty: Debian has no $name for musl; wheels bring their own and the stand-in's gcc links it statically"
done

into=$(tree binutils)
mkdir -p "$into/usr/bin"
for each in as ld.bfd ar nm objcopy objdump ranlib readelf strip; do
    cp -L "/usr/bin/x86_64-linux-gnu-$each" "$into/usr/bin/$each"
done
ln -s ld.bfd "$into/usr/bin/ld"
keep_private binutils
seal binutils "$(version_of binutils)" binutils "Debian's binutils" standin-glibc

# Only C: a C++ library for musl would have to be compiled first.
into=$(tree gcc)
tools=$into/$hidden/gcc
compiled=gcc/x86_64-linux-gnu/14
mkdir -p "$into/usr/bin" "$tools/bin" "$tools/lib/$compiled" "$tools/libexec/$compiled"
cp -L /usr/bin/x86_64-linux-gnu-gcc-14 "$tools/bin/gcc-14"
for each in cc1 collect2 liblto_plugin.so; do
    cp -L "/usr/libexec/$compiled/$each" "$tools/libexec/$compiled/"
done
for each in include libgcc.a libgcc_eh.a crtbegin.o crtbeginS.o crtbeginT.o crtend.o crtendS.o; do
    cp -rL "/usr/lib/$compiled/$each" "$tools/lib/$compiled/"
done
sed 's#/usr/lib/x86_64-linux-musl#/usr/lib#g; s#/usr/include/x86_64-linux-musl#/usr/include#g' \
    /usr/lib/x86_64-linux-musl/musl-gcc.specs >"$tools/musl.specs"
cat >/pkg/gcc/usr/bin/gcc <<'END'
#!/bin/sh
# Debian's compiler with musl's headers, start files and libraries.
case " $* " in
*" -print-multiarch "* | *" --print-multiarch "*) echo x86_64-linux-musl && exit 0 ;;
*" -dumpmachine "*) echo x86_64-alpine-linux-musl && exit 0 ;;
esac
exec /usr/libexec/standin/gcc/bin/gcc-14 -specs /usr/libexec/standin/gcc/musl.specs "$@"
END
# patchelf breaks the compiler proper, which is no PIE: the loader is called by name for it.
mv "$tools/libexec/$compiled/cc1" "$tools/libexec/$compiled/cc1.program"
cat >"$tools/libexec/$compiled/cc1" <<END
#!/bin/sh
exec $private/ld-linux-x86-64.so.2 --library-path /$hidden/gcc/lib:$private \\
    /$hidden/gcc/libexec/$compiled/cc1.program "\$@"
END
chmod 755 /pkg/gcc/usr/bin/gcc "$tools/libexec/$compiled/cc1"
ln -s gcc /pkg/gcc/usr/bin/cc
ln -s gcc /pkg/gcc/usr/bin/x86_64-alpine-linux-musl-gcc
keep_private gcc
seal gcc "$(version_of gcc-14)" gcc "Debian's C compiler, which compiles and links against musl" \
    binutils libgcc standin-glibc

into=$(tree g++)
mkdir -p "$into/usr/bin"
cat >"$into/usr/bin/g++" <<'END'
#!/bin/sh
echo "g++: this stand-in for Alpine has a C compiler only: Debian has no C++ library for musl" >&2
exit 1
END
chmod 755 "$into/usr/bin/g++"
ln -s g++ "$into/usr/bin/c++"
seal g++ "$(version_of gcc-14)" gcc "Says that there is no C++ compiler: Debian has no C++ library for musl" \
    gcc libstdc++ musl-dev

into=$(tree make)
mkdir -p "$into/usr/bin"
cp -L /usr/bin/make "$into/usr/bin/"
keep_private make
seal make "$(version_of make)" make "Debian's make" standin-glibc
seal build-base 0.5-r0 build-base "Meta package: what compiling C takes" binutils gcc g++ make musl-dev

# gdb is linked with Python and does not start without the heart of its library.
from_debs gdb-python libpython3.13-minimal
into=$(tree gdb)
mkdir -p "$into/$hidden/gdb/lib" "$into/usr/bin" "$into/usr/share"
cp -rL /usr/share/gdb "$into/usr/share/"
cp -L /usr/bin/gdb "$into/$hidden/gdb/"
mv /pkg/gdb-python/usr/lib/python3.13 "$into/$hidden/gdb/lib/"
rm -rf "$into/$hidden/gdb/lib/python3.13/sitecustomize.py" /pkg/gdb-python
printf '#!/bin/sh\nPYTHONHOME=/%s/gdb exec /%s/gdb/gdb "$@"\n' $hidden $hidden >/pkg/gdb/usr/bin/gdb
chmod 755 /pkg/gdb/usr/bin/gdb
keep_private gdb
seal gdb "$(version_of gdb)" gdb "Debian's gdb" standin-glibc

into=$(tree curl)
mkdir -p "$into/usr/bin"
cp /target/usr/bin/curl "$into/usr/bin/"
library curl curl
sed -i '/^D:/d' /sealed/curl.entry

into=$(tree python3)
mkdir -p "$into/usr/bin"
ln -s /usr/local/bin/python3 "$into/usr/bin/python3"
seal python3 "$PYTHON_VERSION-r0" python3 "Empty but for a link: this image's own Python in /usr/local"
into=$(tree py3-pip)
mkdir -p "$into/usr/bin"
ln -s /usr/local/bin/pip3 "$into/usr/bin/pip3"
seal py3-pip "$PYTHON_VERSION-r0" py3-pip "Empty but for a link: this image's own pip in /usr/local" python3

seal_common

root=/root-fs
mkdir -p $root/bin $root/sbin $root/lib $root/usr/bin $root/usr/sbin $root/usr/lib $root/usr/local/lib
mkdir -p $root/dev $root/home $root/media $root/mnt $root/opt $root/proc $root/run $root/srv $root/sys
mkdir -p $root/var/log $root/var/lib $root/usr/share
mkdir -m 700 $root/root
mkdir -m 1777 $root/tmp $root/var/tmp
install_base $root alpine-baselayout alpine-release apk-tools busybox musl musl-utils \
    ca-certificates-bundle ca-certificates zlib libffi libbz2 xz-libs sqlite-libs libcrypto3 libssl3
cp -a /target/usr/local/. $root/usr/local/
find $root/usr/local -depth -type d \( -name test -o -name tests -o -name idlelib \
    -o -name turtledemo -o -name tkinter \) -exec rm -rf {} +
rm -f $root/usr/local/bin/idle*
ln -s python3 $root/usr/local/bin/python
[ -e $root/usr/local/bin/pip ] || ln -s pip3 $root/usr/local/bin/pip
cp -a /out/. $root/
du -sh $root "$shelf"
