"""Which system package has a header, a tool or a shared object: by its name on Alpine, Debian and Wolfi."""

from __future__ import annotations

from msgspec import Struct

ALPINE, DEBIAN, WOLFI = "alpine", "debian", "wolfi"


class Provider(Struct, frozen=True):
    """The packages that have something; an empty name where a system has none. Wolfi's are Alpine's unless it says otherwise."""

    what: str
    alpine: str
    debian: str
    wolfi: str | None = None

    def on(self, system: str) -> str:
        """Give the package's name on a system."""
        if system == WOLFI and self.wolfi is not None:
            return self.wolfi
        return self.debian if system == DEBIAN else self.alpine


def render_install(provider: Provider, system: str | None) -> str:
    """Write the command that installs a package on a system, or one for each where the system is unknown."""
    if system is None:
        return f"{render_install(provider, ALPINE)} on Alpine, {render_install(provider, DEBIAN)} on Debian"
    name = provider.on(system)
    if not name:
        return "nothing (no package has it)"
    return f"`apt-get install -y --no-install-recommends {name}`" if system == DEBIAN else f"`apk add --no-cache {name}`"


COMPILER = Provider("a C compiler", "gcc musl-dev", "gcc libc6-dev", "gcc glibc-dev")
CXX_COMPILER = Provider("a C++ compiler", "g++ musl-dev", "g++ libc6-dev", "gcc glibc-dev")

HEADERS = {  # the start of a header's name
    "linux/": Provider("kernel headers", "linux-headers", "linux-libc-dev"),
    "openssl/": Provider("OpenSSL headers", "openssl-dev", "libssl-dev"),
    "ffi.h": Provider("libffi headers", "libffi-dev", "libffi-dev"),
    "libpq-fe.h": Provider("PostgreSQL headers", "postgresql-dev", "libpq-dev"),
    "mysql.h": Provider("MySQL headers", "mariadb-dev", "libmariadb-dev"),
    "librdkafka/": Provider("librdkafka headers", "librdkafka-dev", "librdkafka-dev"),
    "libxml/": Provider("libxml2 headers", "libxml2-dev", "libxml2-dev"),
    "libxslt/": Provider("libxslt headers", "libxslt-dev", "libxslt1-dev"),
    "zlib.h": Provider("zlib headers", "zlib-dev", "zlib1g-dev"),
    "curl/": Provider("curl headers", "curl-dev", "libcurl4-openssl-dev"),
    "yaml.h": Provider("libyaml headers", "yaml-dev", "libyaml-dev"),
    "ldap.h": Provider("OpenLDAP headers", "openldap-dev", "libldap-dev"),
    "sasl/": Provider("SASL headers", "cyrus-sasl-dev", "libsasl2-dev"),
    "jpeglib.h": Provider("JPEG headers", "jpeg-dev", "libjpeg-dev"),
    "sqlite3.h": Provider("SQLite headers", "sqlite-dev", "libsqlite3-dev"),
}

MORE_HEADERS = {  # those that a compiler misses and no forecast names: every C source includes some of them
    **HEADERS,
    "asm/": HEADERS["linux/"],
    "mtd/": HEADERS["linux/"],
    "Python.h": Provider("Python's headers", "python3-dev", "python3-dev"),
    "pyconfig.h": Provider("Python's headers", "python3-dev", "python3-dev"),
    **dict.fromkeys(
        (
            "stdio.h",
            "stdlib.h",
            "stdint.h",
            "string.h",
            "limits.h",
            "errno.h",
            "assert.h",
            "unistd.h",
            "features.h",
            "sys/",
            "bits/",
        ),
        Provider("the C library's headers", "musl-dev", "libc6-dev", "glibc-dev"),
    ),
    "pcap": Provider("libpcap headers", "libpcap-dev", "libpcap-dev"),
    "gmp.h": Provider("GMP headers", "gmp-dev", "libgmp-dev"),
    "bzlib.h": Provider("bzip2 headers", "bzip2-dev", "libbz2-dev"),
    "lzma.h": Provider("xz headers", "xz-dev", "liblzma-dev"),
    "zstd.h": Provider("zstd headers", "zstd-dev", "libzstd-dev"),
    "lz4.h": Provider("lz4 headers", "lz4-dev", "liblz4-dev"),
    "snappy": Provider("snappy headers", "snappy-dev", "libsnappy-dev"),
    "readline/": Provider("readline headers", "readline-dev", "libreadline-dev"),
    "ncurses.h": Provider("ncurses headers", "ncurses-dev", "libncurses-dev"),
    "uuid/": Provider("libuuid headers", "util-linux-dev", "uuid-dev"),
    "krb5": Provider("Kerberos headers", "krb5-dev", "libkrb5-dev"),
    "gssapi": Provider("Kerberos headers", "krb5-dev", "libkrb5-dev"),
    "zmq.h": Provider("ZeroMQ headers", "zeromq-dev", "libzmq3-dev"),
    "png.h": Provider("PNG headers", "libpng-dev", "libpng-dev"),
    "ft2build.h": Provider("FreeType headers", "freetype-dev", "libfreetype-dev"),
    "sodium.h": Provider("libsodium headers", "libsodium-dev", "libsodium-dev"),
    "sql.h": Provider("ODBC headers", "unixodbc-dev", "unixodbc-dev"),
    "lber.h": HEADERS["ldap.h"],
    "magic.h": Provider("libmagic headers", "file-dev", "libmagic-dev"),
    "expat.h": Provider("expat headers", "expat-dev", "libexpat1-dev"),
    "glib.h": Provider("GLib headers", "glib-dev", "libglib2.0-dev"),
    "geos_c.h": Provider("GEOS headers", "geos-dev", "libgeos-dev"),
    "boost/": Provider("Boost headers", "boost-dev", "libboost-dev"),
    "unicode/": Provider("ICU headers", "icu-dev", "libicu-dev"),
}

_RUST = Provider("Rust", "cargo", "cargo", "rust")
TOOLS = {
    **dict.fromkeys(("gcc", "cc", "clang", "x86_64-linux-gnu-gcc", "aarch64-linux-gnu-gcc"), COMPILER),
    **dict.fromkeys(("g++", "c++", "clang++", "x86_64-linux-gnu-g++", "aarch64-linux-gnu-g++"), CXX_COMPILER),
    "make": Provider("make", "make", "make"),
    "cmake": Provider("CMake", "cmake", "cmake"),
    "ninja": Provider("Ninja", "samurai", "ninja-build", "ninja-build"),
    "pkg-config": Provider("pkg-config", "pkgconf", "pkg-config"),
    "gfortran": Provider("a Fortran compiler", "gfortran", "gfortran"),
    "cargo": _RUST,
    "rustc": _RUST,
    "go": Provider("Go", "go", "golang-go"),
    "swig": Provider("SWIG", "swig", "swig"),
    "autoconf": Provider("autoconf", "autoconf", "autoconf"),
    "patch": Provider("patch", "patch", "patch"),
    "pg_config": Provider("pg_config, which comes with PostgreSQL's headers", "postgresql-dev", "libpq-dev"),
    "mysql_config": Provider("mysql_config, which comes with MySQL's headers", "mariadb-dev", "libmariadb-dev"),
    "xml2-config": Provider("xml2-config, which comes with libxml2's headers", "libxml2-dev", "libxml2-dev"),
    "xslt-config": Provider("xslt-config, which comes with libxslt's headers", "libxslt-dev", "libxslt1-dev"),
    "curl-config": Provider("curl-config, which comes with curl's headers", "curl-dev", "libcurl4-openssl-dev"),
    "krb5-config": Provider("krb5-config, which comes with Kerberos' headers", "krb5-dev", "libkrb5-dev"),
    **dict.fromkeys(("useradd", "groupadd", "usermod"), Provider("shadow's useradd and groupadd", "shadow", "passwd")),
    "git": Provider("git", "git", "git"),
    "curl": Provider("curl", "curl", "curl"),
    "wget": Provider("wget", "wget", "wget"),
    "bash": Provider("bash", "bash", "bash"),
    "python3": Provider("Python", "python3", "python3"),
    "python": Provider("Python", "python3", "python3"),
    "pip": Provider("pip", "py3-pip", "python3-pip"),
    "node": Provider("Node", "nodejs", "nodejs"),
    "npm": Provider("npm", "npm", "npm"),
    "tini": Provider("tini", "tini", "tini"),
    "unzip": Provider("unzip", "unzip", "unzip"),
    "xz": Provider("xz", "xz", "xz-utils"),
    "update-ca-certificates": Provider("update-ca-certificates", "ca-certificates", "ca-certificates"),
}

_GLIB = Provider("GLib", "glib", "libglib2.0-0")
_OPENSSL = Provider("OpenSSL 3", "libssl3 libcrypto3", "libssl3")
_OLD_OPENSSL = Provider("OpenSSL 1.1, which no supported release has", "", "")
LIBRARIES = {  # a shared object's name up to `.so`
    "libstdc++": Provider("the C++ library", "libstdc++", "libstdc++6"),
    "libgcc_s": Provider("gcc's runtime library", "libgcc", "libgcc-s1"),
    "libgomp": Provider("OpenMP", "libgomp", "libgomp1"),
    "libatomic": Provider("libatomic", "libatomic", "libatomic1"),
    "libgfortran": Provider("Fortran's runtime library", "libgfortran", "libgfortran5"),
    "libquadmath": Provider("libquadmath", "libquadmath", "libquadmath0"),
    "libopenblas": Provider("OpenBLAS", "openblas", "libopenblas0"),
    "libssl.so.1.1": _OLD_OPENSSL,
    "libcrypto.so.1.1": _OLD_OPENSSL,
    "libssl": _OPENSSL,
    "libcrypto": _OPENSSL,
    "libffi": Provider("libffi", "libffi", "libffi8"),
    "libz": Provider("zlib", "zlib", "zlib1g"),
    "libbz2": Provider("bzip2's library", "libbz2", "libbz2-1.0"),
    "liblzma": Provider("xz's library", "xz-libs", "liblzma5"),
    "libzstd": Provider("zstd's library", "zstd-libs", "libzstd1"),
    "libxml2": Provider("libxml2", "libxml2", "libxml2"),
    "libxslt": Provider("libxslt", "libxslt", "libxslt1.1"),
    "libexpat": Provider("expat's library", "libexpat", "libexpat1"),
    "libsqlite3": Provider("SQLite's library", "sqlite-libs", "libsqlite3-0"),
    "libcurl": Provider("curl's library", "libcurl", "libcurl4"),
    "libpq": Provider("PostgreSQL's client library", "libpq", "libpq5"),
    "libmariadb": Provider("MariaDB's client library", "mariadb-connector-c", "libmariadb3"),
    "libodbc": Provider("ODBC", "unixodbc", "libodbc2"),
    "librdkafka": Provider("librdkafka", "librdkafka", "librdkafka1"),
    "libzmq": Provider("ZeroMQ", "libzmq", "libzmq5"),
    "libyaml-0": Provider("libyaml", "yaml", "libyaml-0-2"),
    "libsodium": Provider("libsodium", "libsodium", "libsodium23"),
    "libuuid": Provider("libuuid", "libuuid", "libuuid1"),
    "libmagic": Provider("libmagic", "libmagic", "libmagic1"),
    "libzbar": Provider("zbar's library", "zbar", "libzbar0"),
    "libunwind": Provider("libunwind", "libunwind", "libunwind8"),
    "libGL": Provider("OpenGL", "mesa-gl", "libgl1"),
    "libglib-2.0": _GLIB,
    "libgthread-2.0": _GLIB,
    "libgobject-2.0": _GLIB,
    "libjpeg": Provider("JPEG's library", "libjpeg-turbo", "libjpeg62-turbo"),
    "libpng16": Provider("PNG's library", "libpng", "libpng16-16"),
    "libfreetype": Provider("FreeType", "freetype", "libfreetype6"),
    "libreadline": Provider("readline", "readline", "libreadline8"),
    "libncursesw": Provider("ncurses", "libncursesw", "libncursesw6"),
    "libgmp": Provider("GMP", "gmp", "libgmp10"),
    "libXext": Provider("X11's extensions", "libxext", "libxext6"),
    "libSM": Provider("X11's session management", "libsm", "libsm6"),
    "libsystemd": Provider("systemd's library, which Alpine has not", "", "libsystemd0"),
}


def find_header(header: str) -> Provider | None:
    """Find what has a header, by the start of its name."""
    return next((provider for start, provider in MORE_HEADERS.items() if header.startswith(start)), None)


def find_library(name: str) -> Provider | None:
    """Find what has a shared object, by its name with or without a version."""
    return LIBRARIES.get(name) or LIBRARIES.get(name.partition(".so")[0])
