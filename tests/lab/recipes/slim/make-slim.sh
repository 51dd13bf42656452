#!/bin/sh
# Turns a debootstrapped Debian into what python:SERIES-slim offers: python, pip, headers, apt.
set -eu
series=$1
export DEBIAN_FRONTEND=noninteractive

# The slim images leave documentation out, now and in every later apt-get install.
cat >/etc/dpkg/dpkg.cfg.d/slim <<'END'
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/info/*
path-exclude /usr/share/lintian/*
path-exclude /usr/share/linda/*
path-exclude /usr/share/locale/*
path-exclude /usr/share/man/*
END
# A layer that keeps the downloaded packages would not compare with the real images.
cat >/etc/apt/apt.conf.d/slim <<'END'
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb /var/cache/apt/*.bin || true"; };
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Acquire::GzipIndexes "true";
Acquire::Languages "none";
Apt::AutoRemove::SuggestsImportant "false";
END

apt-get update
apt-get install -y --no-install-recommends ca-certificates netbase tzdata python3 python3-venv

# The official image is free of the rule against installing outside a virtual environment.
rm -f "/usr/lib/python${series}/EXTERNALLY-MANAGED"
# pip from the wheel that venv uses: Debian's python3-pip would bring setuptools and more along.
pip_wheel=$(ls /usr/share/python-wheels/pip-*.whl)
python3 "${pip_wheel}/pip" install --no-index --no-compile --root-user-action=ignore "${pip_wheel}"
ln -s /usr/bin/python3 /usr/local/bin/python3
ln -s python3 /usr/local/bin/python
ln -s "/usr/bin/python${series}" "/usr/local/bin/python${series}"

# The official image has Python's headers, without which nothing builds from an sdist;
# Debian's package of them would pull in libc6-dev and a static libpython.
mkdir /tmp/headers
(cd /tmp/headers && apt-get download "libpython${series}-dev" && dpkg -x ./*.deb .)
cp -a /tmp/headers/usr/include/. /usr/include/

find / -xdev -depth -type d \( -name __pycache__ -o -path '/tmp/*' \) -exec rm -rf {} +
# The official image has no bytecode; here a check would spend most of its time compiling the library.
python3 -m compileall -q -j 2 --invalidation-mode unchecked-hash "/usr/lib/python${series}" /usr/local/lib
find /usr/share/doc -type f ! -name copyright -delete
find /usr/share/doc -depth -type d -empty -delete
rm -rf /usr/share/info /usr/share/lintian /usr/share/linda /usr/share/locale /usr/share/man
rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/debconf/*-old /var/lib/dpkg/*-old
rm -rf /var/cache/ldconfig/aux-cache /var/log/apt /var/log/dpkg.log /var/log/bootstrap.log /var/log/alternatives.log
apt-get clean
