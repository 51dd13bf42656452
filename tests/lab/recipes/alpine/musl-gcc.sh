#!/bin/sh
# `gcc` while the image is made: Debian's compiler, musl's headers, and the libraries in /target.
# It is called gcc so that this is the name that Python's sysconfig remembers.
case " $* " in
*" --print-multiarch "*) echo x86_64-linux-musl && exit 0 ;;
*" -print-multiarch "*) echo x86_64-linux-musl && exit 0 ;;
esac
exec /usr/bin/x86_64-linux-gnu-gcc -specs /usr/lib/x86_64-linux-musl/musl-gcc.specs \
    "$@" -idirafter /target/usr/include -L/target/usr/lib -Wl,-rpath-link,/target/usr/lib
