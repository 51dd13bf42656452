# Sourced by what compiles against musl: the compiler of that name is the wrapper in /musl/bin.
export PATH=/musl/bin:$PATH CC=gcc CFLAGS=-O2 MAKEFLAGS=-j2
export PKG_CONFIG_LIBDIR=/target/usr/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=/target

unpack() {
    mkdir -p "/build/$1"
    cd "/build/$1"
    set -- /sources/"$1"/"$1"_*.orig.tar.*[z2]
    tar -xf "$1" --strip-components=1
}
