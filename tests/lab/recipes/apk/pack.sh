# Sourced by the recipes' pack scripts: turns files into the packages that the stand-in apk installs.
# A package is first a tree in /pkg/NAME; `seal` makes it an archive and an entry of the index.
shelf=/out/usr/share/standin-apk
mkdir -p /pkg "$shelf" /sealed

# The upstream version of a Debian package, in apk's form.
version_of() {
    dpkg-query -W -f '${source:Upstream-Version}' "$1" | sed 's/.*really//; s/^\([0-9.]*[0-9][a-z]\{0,1\}\).*/\1-r0/'
}

tree() {
    mkdir -p "/pkg/$1"
    echo "/pkg/$1"
}

# Copy what Debian's packages installed, without what slim images leave out as well.
from_debs() {
    into=$(tree "$1")
    shift
    dpkg -L "$@" | sort -u |
        grep -v -E '^/usr/share/(doc|man|info|lintian|locale|bug|gcc|python3)(/|$)|/__pycache__|^diverted' |
        while read -r path; do
            if [ -L "$path" ] || [ -f "$path" ]; then echo "${path#/}"; fi
        done | tar -C / -cf - --no-recursion -T - | tar -C "$into" -xf -
}

programs_of() {
    find "$1" -type f \( -perm /111 -o -name '*.so*' \) -exec sh -c 'for f; do [ "$(head -c 4 "$f" | od -An -c | tr -d " ")" = "177ELF" ] && echo "$f"; done; true' - {} +
}

# The shared libraries that the programs in a folder need, as they lie in this Debian.
libraries_of() {
    for program in $(programs_of "$1"); do
        ldd "$program" 2>/dev/null | sed -n 's/.*=> \(\/[^ ]*\) .*/\1/p'
    done | sort -u
}

seal() {
    name=$1 version=$2 origin=$3 text=$4
    shift 4
    folder=$(tree "$name")
    find "$folder" -mindepth 1 ! -type d -printf '%P\n' |
        awk '{ n = match($0, /[^\/]*$/); print substr($0, 1, n - 2) "\t" substr($0, n) }' |
        LC_ALL=C sort |
        awk -F '\t' '$1 != last { print "F:" $1; last = $1 } { print "R:" $2 }' >"/sealed/$name.files"
    archive=$shelf/$name.tar.xz
    : >"/sealed/$name.sum"
    bytes=0
    if [ -s "/sealed/$name.files" ]; then
        find "$folder" -mindepth 1 -printf '%P\n' | LC_ALL=C sort |
            tar -C "$folder" -cf - --owner=0 --group=0 --numeric-owner --mtime=@0 --no-recursion -T - |
            xz -2 -T1 >"$archive"
        bytes=$(stat -c %s "$archive")
        cp "$archive" "/sealed/$name.sum"
        xz -c "/sealed/$name.files" >"$shelf/$name.files.xz"
    fi
    {
        echo "C:Q1$(openssl dgst -sha1 -binary "/sealed/$name.sum" | base64)"
        echo "P:$name"
        echo "V:$version"
        echo "A:x86_64"
        echo "S:$bytes"
        echo "I:$(find "$folder" -type f -printf '%s\n' | awk '{ sum += $1 } END { print sum + 0 }')"
        echo "T:$text"
        echo "o:$origin"
        [ $# -eq 0 ] || echo "D:$*"
    } >"/sealed/$name.entry"
    rm "/sealed/$name.sum"
    { cat "/sealed/$name.entry" && echo; } >>"$shelf/INDEX"
}

# The base has these from the start: in its files, in apk's database and world, not on the shelf.
install_base() {
    root=$1
    shift
    mkdir -p "$root/lib/apk/db" "$root/etc/apk" "$root/var/cache/apk"
    for name; do
        cp -a "/pkg/$name/." "$root/"
        { cat "/sealed/$name.entry" "/sealed/$name.files" && echo; } >>"$root/lib/apk/db/installed"
        echo "$name" >>"$root/etc/apk/world"
        rm -f "$shelf/$name.tar.xz" "$shelf/$name.files.xz"
    done
}

# What every system of this kind has beside its libc: accounts, folders, a shell, apk itself.
# The last two say where programs lie: Alpine has /bin and /sbin, Wolfi a merged /usr.
seal_system() {
    id=$1 pretty=$2 programs=$3 tools=$4
    layout=$id-baselayout
    into=$(tree "$layout")
    mkdir -p "$into/etc/apk" "$into/etc/profile.d"
    cat >"$into/etc/passwd" <<'END'
root:x:0:0:root:/root:/bin/sh
bin:x:1:1:bin:/bin:/sbin/nologin
daemon:x:2:2:daemon:/sbin:/sbin/nologin
nobody:x:65534:65534:nobody:/:/sbin/nologin
END
    cat >"$into/etc/group" <<'END'
root:x:0:root
bin:x:1:root,bin,daemon
daemon:x:2:root,bin,daemon
tty:x:5:
users:x:100:
nogroup:x:65533:
nobody:x:65534:
END
    if [ "$id" = wolfi ]; then
        echo nonroot:x:65532:65532:Account for containers:/home/nonroot:/bin/sh >>"$into/etc/passwd"
        echo nonroot:x:65532: >>"$into/etc/group"
    fi
    sed 's/:.*/:*:0:0:99999:7:::/' "$into/etc/passwd" >"$into/etc/shadow"
    chmod 640 "$into/etc/shadow"
    cat >"$into/etc/profile" <<'END'
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LANG=${LANG:-C.UTF-8}
for script in /etc/profile.d/*.sh; do
    [ ! -r "$script" ] || . "$script"
done
unset script
END
    printf '127.0.0.1\tlocalhost\n::1\tlocalhost\n' >"$into/etc/hosts"
    printf '/bin/sh\n/bin/ash\n' >"$into/etc/shells"
    cat >"$into/etc/os-release" <<END
ID=$id
NAME="$pretty"
PRETTY_NAME="$pretty"
VERSION_ID=0.0.0
END
    seal "$layout" 0.0.0-r0 "$layout" "Accounts, folders and settings of this stand-in"

    into=$(tree apk-tools)
    mkdir -p "$into/$tools"
    cp /apk/apk "$into/$tools/apk"
    seal apk-tools 2.14-r0 apk-tools "The stand-in's apk, a script" busybox

    into=$(tree busybox)
    mkdir -p "$into/$programs"
    cp -L /usr/bin/busybox "$into/$programs/busybox"
    for applet in $(busybox --list); do
        case $applet in
        # Names that would pretend to be tools which the real base has not.
        busybox | dpkg | dpkg-deb | rpm | rpm2cpio | ar | init | linuxrc | run-init | nuke | resume | ubirename) ;;
        *) ln -s busybox "$into/$programs/$applet" ;;
        esac
    done
    cp /apk/adduser /apk/addgroup "$into/$programs/"
    seal busybox "$(version_of busybox-static)" busybox "Debian's busybox, linked statically with glibc"

    into=$(tree ca-certificates-bundle)
    mkdir -p "$into/etc/ssl/certs"
    cp /etc/ssl/certs/ca-certificates.crt "$into/etc/ssl/certs/"
    ln -s certs/ca-certificates.crt "$into/etc/ssl/cert.pem"
    seal ca-certificates-bundle "$(version_of ca-certificates)" ca-certificates "Debian's bundle of public roots"

    into=$(tree ca-certificates)
    mkdir -p "$into/usr/share/ca-certificates" "$into/usr/sbin"
    cp -r /usr/share/ca-certificates/mozilla "$into/usr/share/ca-certificates/"
    cp /apk/update-ca-certificates "$into/usr/sbin/"
    seal ca-certificates "$(version_of ca-certificates)" ca-certificates "Debian's public roots and update-ca-certificates" ca-certificates-bundle
}

seal_common() {
    into=$(tree tzdata)
    mkdir -p "$into/usr/share"
    cp -a /usr/share/zoneinfo "$into/usr/share/"
    rm -rf "$into/usr/share/zoneinfo/right" "$into/usr/share/zoneinfo/posix"
    # Debian's link to the machine's own zone would dangle.
    rm -f "$into/usr/share/zoneinfo/localtime"
    seal tzdata "$(version_of tzdata)" tzdata "Debian's time zones"

    into=$(tree linux-headers)
    mkdir -p "$into/usr/include"
    for each in linux asm-generic mtd rdma x86_64-linux-gnu/asm; do
        cp -rL "/usr/include/$each" "$into/usr/include/"
    done
    seal linux-headers "$(version_of linux-libc-dev)" linux-headers "Debian's kernel headers (linux-libc-dev)"
}
