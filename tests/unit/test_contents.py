"""What is inside an image, from its layers alone: packages, where they came from, users, an SBOM; and what is its own."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from orchestrator.inside import Package, User
from orchestrator.layers.sbom import render_sbom
from orchestrator.measure.contents import Analysed, analyse
from orchestrator.measure.image import LayerSize, RawImage, make_image
from orchestrator.measure.installs import Origin
from orchestrator.measure.unique import find_unique
from orchestrator.model import Status
from orchestrator.record import CellRecord, Image, Layer
from tests.unit.records import make_cell
from tests.unit.tars import Item, index_of

if TYPE_CHECKING:
    from collections.abc import Mapping

SITE = "usr/lib/python3.12/site-packages"
OS_RELEASE = b'NAME="Alpine Linux"\nID=alpine\nVERSION_ID=3.20.1\n'
APK = b"""C:Q1abc=
P:musl
V:1.2.5-r0
A:x86_64
I:633000
o:musl
L:MIT
F:lib
R:ld-musl-x86_64.so.1
Z:Q1def=
R:libc.musl-x86_64.so.1

P:.build
V:0
I:0

"""
DPKG = b"""Package: libc6
Status: install ok installed
Installed-Size: 12
Architecture: amd64
Source: glibc (2.41)
Version: 2.41-12
Description: a library
 Package: not-a-field

Package: gone
Status: deinstall ok config-files
Version: 1

"""
PASSWD = b"root:x:0:0:root:/root:/bin/sh\nbroken line\nx:x:-1:0::/:/\napp:x:1000:1000::/home/app:/sbin/nologin\n"


def wheel(name: str, version: str, tag: str, *files: str, installer: str = "pip") -> list[Item]:
    """Make what installing a wheel leaves."""
    info = f"{SITE}/{name}-{version}.dist-info"
    record = "".join(f"{file},sha256=abc,9\n" for file in files) + f"{name}-{version}.dist-info/RECORD,,\n"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nLicense-Expression: MIT\n\nName: from the description\n"
    return [
        Item(f"{info}/METADATA", metadata.encode()),
        Item(f"{info}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n".encode()),
        Item(f"{info}/RECORD", record.encode()),
        Item(f"{info}/INSTALLER", f"{installer}\n".encode()),
        *(Item(f"{SITE}/{file}", b"x" * 100) for file in files),
    ]


def image_of(*layers: list[Item], origins: Mapping[str, Origin] | None = None) -> Analysed:
    """Look into an image of these layers."""
    indices = tuple(index_of(*items) for items in layers)
    raw = RawImage(
        "sha256:i",
        tuple(f"sha256:{at}" for at in range(len(layers))),
        tuple(LayerSize(10, index.uncompressed_bytes) for index in indices),
        tuple(f"RUN {at}" for at in range(len(layers))),
        {},
        command=("python", "-m", "app"),
        entrypoint=("python",),
        user="app",
        ports=("8000/tcp",),
        indices=indices,
    )
    return analyse(raw, make_image(raw, None), origins or {})


def python_of(*layers: list[Item], origins: Mapping[str, Origin] | None = None) -> dict[str, Package]:
    """Give an image's Python packages by name."""
    packages = image_of(*layers, origins=origins).image.packages
    assert packages
    return {package.name: package for package in packages.python}


UV = "root/.cache/uv/archive-v0/x1"  # where uv unpacks a wheel, and links it from


def linked(folder: str, name: str = "foo") -> list[Item]:
    """Make what uv leaves by default: what it writes itself is a file, all else a link into its cache."""
    info, record = f"{name}-1.dist-info", f"{name}.py,,\n{name}-1.dist-info/METADATA,,\n"
    return [
        Item(f"{folder}/{info}/METADATA", f"Name: {name}\nVersion: 1\n".encode()),
        Item(f"{folder}/{info}/WHEEL", b"Tag: cp313-cp313-manylinux_2_17_x86_64\n"),
        Item(f"{folder}/{name}.py", b"x" * 100),
        Item(f"{SITE}/{info}/METADATA", kind="link", target=f"{folder}/{info}/METADATA"),
        Item(f"{SITE}/{info}/WHEEL", kind="link", target=f"/{folder}/{info}/WHEEL"),
        Item(f"{SITE}/{info}/RECORD", record.encode()),
        Item(f"{SITE}/{name}.py", kind="link", target=f"{folder}/{name}.py"),
    ]


@pytest.mark.parametrize("folder", [UV, "srv/cache/unpacked"])
def test_a_package_that_is_linked_from_a_cache_is_installed(folder: str) -> None:
    """An installer links unless told otherwise; with its cache removed, the packages are there all the same."""
    is_removed = Item(f"{folder.partition('/')[0]}/.wh.{folder.split('/')[1]}")
    for layers in ([linked(folder)], [linked(folder), [is_removed]]):
        (package,) = python_of(*layers).values()
        assert (package.name, package.bytes, package.native, package.built_from) == ("foo", 121, True, "wheel")


def test_what_lies_in_a_cache_only_is_not_installed() -> None:
    """A kept cache has the wheels of whatever was ever installed, and each of these once more."""
    packages = image_of([*linked(UV), Item(f"{UV}/bar-2.dist-info/METADATA", b"Name: bar\nVersion: 2\n")]).image.packages
    assert packages
    assert [package.name for package in packages.python] == ["foo"]


def test_what_is_kept_for_a_link_is_bounded() -> None:
    """A layer of files that are only named like metadata takes no more memory, and what is installed is found all the same."""
    large, count = b"Name: foo\n" + b"x" * 60_000, 200
    index = index_of(
        *(Item(f"heap/{at}/METADATA", large) for at in range(count)),
        Item(f"{SITE}/a-1.dist-info/METADATA", b"Name: a\nVersion: 1\n"),
        *(Item(f"{SITE}/{at}-1.dist-info/METADATA", kind="link", target=f"heap/{at}/METADATA") for at in range(count)),
    )
    assert f"/{SITE}/a-1.dist-info/METADATA" in index.captured
    assert 1 < len(index.captured) < count
    assert sum(map(len, index.captured.values())) < 8 * 1024**2 + 100


@pytest.mark.parametrize("name", ["/", "//", " / ", ""])
def test_what_has_no_name_is_no_package(name: str) -> None:
    """Whoever made the image may write anything there: it is passed over, and ends no run."""
    found = image_of(
        [
            Item("etc/os-release", OS_RELEASE),
            Item("lib/apk/db/installed", f"P:{name}\nV:1\n\nP:a\nV:1\n\n".encode()),
            Item("var/lib/dpkg/status", f"Package: {name}\nVersion: 1\n".encode()),
            Item(f"{SITE}/x-1.dist-info/METADATA", f"Name: {name}\nVersion: 1\n".encode()),
        ]
    )
    assert found.image.packages
    assert [package.name for package in (*found.image.packages.os, *found.image.packages.python)] == ["a"]
    assert found.contents
    assert "pkg:apk/alpine/a@1" in render_sbom(found.contents, "x", "sha256:i", datetime.now(UTC))


def test_apk_packages_have_their_bytes_and_what_apk_says() -> None:
    """Bytes are added up from the files, also where their folder is a link; the database's own figure stands beside."""
    for place, files in (("lib/apk/db/installed", "lib"), ("usr/lib/apk/db/installed", "usr/lib")):
        found = image_of(
            [Item(place, APK), Item(f"{files}/ld-musl-x86_64.so.1", b"m" * 70)],
            [Item("etc/os-release", OS_RELEASE), *([Item("lib", kind="symlink", target="usr/lib")] if files != "lib" else [])],
        ).image
        assert found.packages
        assert found.packages.os == (
            Package(".build", "0", bytes=None, installed_bytes=0, installed_by="apk"),
            Package("musl", "1.2.5-r0", bytes=70, installed_bytes=633000, installed_by="apk", layer=0, stored_bytes=1024),
        )
        assert found.inventory
        assert (found.inventory.system, found.inventory.system_version) == ("alpine", "3.20.1")


LISTED = b"".join(
    b"P:%s\nV:1\nF:%s\nR:%s\n\n" % (name, folder, file)
    for name, folder, file in (
        (b"box", b"sbin", b"busybox"),
        (b"elf", b"lib64", b"ld.so"),
        (b"loop", b"round/and", b"x"),
        (b"root", b"self/opt", b"r"),
        (b"tool", b"usr/sbin", b"tool"),
    )
)


def test_bytes_of_packages_are_found_by_way_of_the_images_own_links() -> None:
    """Folders are links in many ways, also by way of each other; a circle leads nowhere, and a link that was replaced no more."""
    links = {"sbin": "usr/sbin", "usr/sbin": "bin", "lib64": "/usr/lib", "round": "round2", "round2": "./round", "self": "/"}
    files = [
        Item("usr/bin/busybox", b"b" * 30),
        Item("usr/lib/ld.so", b"l" * 20),
        Item("opt/r", b"r"),
        Item("usr/bin/tool", b"t" * 5),
    ]
    layer = [Item("usr/lib/apk/db/installed", LISTED), *files]
    layer += [Item(name, kind="symlink", target=target) for name, target in links.items()]

    def bytes_of(*layers: list[Item]) -> dict[str, int | None]:
        packages = image_of(*layers).image.packages
        assert packages
        return {package.name: package.bytes for package in packages.os}

    assert bytes_of(layer) == {"box": 30, "elf": 20, "loop": 0, "root": 1, "tool": 5}
    assert bytes_of(layer, [Item("usr/sbin", kind="dir"), Item("usr/sbin/tool", b"t" * 7)])["tool"] == 7


def test_dpkg_packages_are_those_that_are_installed() -> None:
    """The database of a full system, and the folder that images without a package manager have."""
    found = image_of(
        [
            Item("var/lib/dpkg/status", DPKG),
            Item("var/lib/dpkg/info/libc6:amd64.list", b"/.\n/lib\n/lib/libc.so.6\n"),
            Item("lib", kind="symlink", target="usr/lib"),
            Item("usr/lib/libc.so.6", b"c" * 30),
            Item("var/lib/dpkg/status.d/tzdata", b"Package: tzdata\nVersion: 2026a\n"),
            Item("var/lib/dpkg/status.d/tzdata.md5sums", b"abc  usr/share/zoneinfo/UTC\n"),
            Item("usr/share/zoneinfo/UTC", b"u" * 5),
        ]
    ).image
    assert found.packages
    assert found.packages.os == (
        Package("libc6", "2.41-12", bytes=30, installed_bytes=12 * 1024, installed_by="dpkg", layer=0, stored_bytes=1024),
        Package("tzdata", "2026a", bytes=5, installed_by="dpkg", layer=0, stored_bytes=1024),
    )


def test_python_packages_tell_native_from_pure_and_wheel_from_compiled() -> None:
    """No index takes a wheel for plain linux, so that one was compiled here; of a pure one only the log tells."""
    layer = [
        *wheel("grpcio", "1.85.1", "cp312-cp312-manylinux_2_17_x86_64", "grpc/a.so"),
        *wheel("psutil", "7.0.0", "cp36-abi3-linux_x86_64", "psutil/b.so"),
        *wheel("PyYAML", "6.0", "cp312-cp312-musllinux_1_2_x86_64", "yaml/c.py"),
        *wheel("idna", "3.1", "py3-none-any", "idna/d.py", installer="uv"),
        *wheel("six", "1.17", "py2-none-any", "six.py"),
        *wheel("old", "1", "py3-none-any"),
    ]
    origins = {"psutil": Origin("sdist", None, 12.5), "six": Origin("wheel", "1.17"), "old": Origin("sdist", "2", 3.0)}
    found = python_of(layer, origins=origins)
    assert list(found) == ["grpcio", "idna", "old", "psutil", "PyYAML", "six"]
    facts = {
        name: (one.built_from, one.native, one.bytes is not None and one.bytes > 100, one.compile_s) for name, one in found.items()
    }
    assert facts == {
        "grpcio": ("wheel", True, True, None),
        "psutil": ("sdist", True, True, 12.5),
        "PyYAML": ("wheel", True, True, None),
        "idna": (None, False, True, None),
        "six": ("wheel", False, True, None),
        "old": (None, False, False, None),  # the log speaks of another version
    }
    assert found["idna"].installed_by == "uv"


def test_each_layer_tells_what_in_it_belongs_to_packages() -> None:
    """So what was installed can be told from the app, and from what the base brought along; nothing installed is no bytes."""
    base = wheel("pip", "25.0", "py3-none-any", "pip/__init__.py")
    found = image_of(base, wheel("grpcio", "1.66.0", "py3-none-any", "grpc/a.py", "grpc/b.py"), [Item("app/main.py", b"x" * 50)])
    assert found.image.packages
    bytes_of = {package.name: package.bytes for package in found.image.packages.python}
    assert [layer.package_bytes for layer in found.image.layers] == [bytes_of["pip"], bytes_of["grpcio"], 0]
    assert (bytes_of["grpcio"] or 0) > 200
    assert [layer.package_bytes for layer in image_of([Item("app/main.py", b"x")]).image.layers] == [0]


def test_a_package_from_an_address_says_what_it_was() -> None:
    """direct_url.json tells a checkout from a wheel."""
    info = f"{SITE}/app-1.dist-info/direct_url.json"
    for text, expected in (
        (b'{"url": "file:///app", "dir_info": {}}', "sdist"),
        (b'{"url": "https://x/app-1-py3-none-any.whl", "archive_info": {}}', "wheel"),
        (b"[" * 5000, None),
        (b'"x"', None),
    ):
        assert python_of([*wheel("app", "1", "py3-none-any"), Item(info, text)])["app"].built_from == expected


def test_a_package_that_a_later_layer_removed_is_not_there() -> None:
    """An upgrade leaves one version, with the bytes that can be seen."""
    old = wheel("app", "1", "py3-none-any", "app/a.py")
    new = [Item(f"{SITE}/.wh.app-1.dist-info"), *wheel("app", "2", "py3-none-any", "app/a.py")]
    found = image_of(old, new).image
    assert found.packages
    assert [(one.name, one.version) for one in found.packages.python] == [("app", "2")]
    assert found.wasted_bytes == sum(len(item.data) for item in old)


def test_older_forms_and_carried_packages() -> None:
    """An egg-info is a package, as a file or a folder; what a package carries for itself is not."""
    found = python_of(
        [
            Item("usr/lib/python3/dist-packages/six-1.16.egg-info", b"Name: six\nVersion: 1.16\n"),
            Item("usr/lib/python3/dist-packages/yaml.egg-info/PKG-INFO", b"Name: yaml\nVersion: 5\n"),
            Item(f"{SITE}/setuptools/_vendor/wheel-1.dist-info/METADATA", b"Name: wheel\nVersion: 1\n"),
            Item(f"{SITE}/broken-1.dist-info/METADATA", b"\xff\xfe no fields"),
        ]
    )
    assert {name: (one.version, one.native, one.bytes) for name, one in found.items()} == {
        "six": ("1.16", None, None),
        "yaml": ("5", None, None),
    }


def test_the_inventory_has_users_shells_and_what_the_image_starts() -> None:
    """Everything else that a reviewer asks of an image."""
    found = image_of(
        [Item("etc/passwd", PASSWD), Item("bin/busybox", b"b", mode=0o4755), Item("bin/sh", kind="symlink", target="busybox")]
    )
    inside = found.image.inventory
    assert inside
    assert inside.users == (User("root", 0, 0, "/root", "/bin/sh"), User("app", 1000, 1000, "/home/app", "/sbin/nologin"))
    assert (inside.user, inside.ports, inside.entrypoint, inside.command) == ("app", ("8000/tcp",), ("python",), ("-m", "app"))
    assert (inside.set_id_files, inside.shells) == (("/bin/busybox",), ("/bin/busybox", "/bin/sh"))
    assert (inside.files, inside.system) == (2, None)


def test_one_layer_that_cannot_be_read_leaves_all_of_it_unknown() -> None:
    """The unread layer may delete anything: nothing is said, and why is said at the layer."""
    whole = index_of(Item("a", b"1"))
    broken = replace(whole, problem="has more than 2000000 entries")
    raw = RawImage("sha256:i", ("a", "b"), (LayerSize(1, 2), LayerSize(3, 4)), (None, None), {}, indices=(whole, broken))
    found, contents = analyse(raw, make_image(raw, None), {})
    assert (found.wasted_bytes, found.packages, found.inventory, contents) == (None, None, None, None)
    assert [layer.problem for layer in found.layers] == [None, "has more than 2000000 entries"]
    assert found.uncompressed_bytes == 6


def test_an_sbom_names_packages_as_scanners_look_them_up() -> None:
    """Package addresses with system, architecture and source; a package that is there twice is there twice."""
    layer = [Item("lib/apk/db/installed", APK), Item("etc/os-release", OS_RELEASE), *wheel("PyYAML", "6.0", "py3-none-any")]
    second = [Item(item.name.replace("usr/lib", "opt/lib"), item.data) for item in wheel("PyYAML", "6.0", "py3-none-any")]
    contents = image_of(layer, second).contents
    assert contents
    made_at = datetime(2026, 11, 21, tzinfo=UTC)
    text = render_sbom(contents, "alpine-3.12", "sha256:i", made_at)
    assert text == render_sbom(contents, "alpine-3.12", "sha256:i", made_at)
    sbom = json.loads(text)
    assert (sbom["bomFormat"], sbom["specVersion"], sbom["metadata"]["component"]["name"]) == ("CycloneDX", "1.6", "alpine-3.12")
    assert sorted(part.get("purl", part["name"]) for part in sbom["components"]) == [
        "alpine",
        "pkg:apk/alpine/.build@0?distro=alpine-3.20.1",
        "pkg:apk/alpine/musl@1.2.5-r0?arch=x86_64&distro=alpine-3.20.1&upstream=musl",
        "pkg:pypi/pyyaml@6.0",
        "pkg:pypi/pyyaml@6.0",
    ]


def test_an_sbom_of_hostile_names_is_still_an_sbom() -> None:
    """Names that hold markup, slashes or control characters do not break it."""
    apk = b"P:<script>/../x\x1b[31m\nV:1 2?a=b\nA:\xff\n\n"
    contents = image_of([Item("lib/apk/db/installed", apk), Item("etc/os-release", b"ID=a/b c\n")]).contents
    assert contents
    sbom = json.loads(render_sbom(contents, "x", "sha256:i", datetime(2026, 11, 21, tzinfo=UTC)))
    assert len(sbom["components"]) == 2


def test_what_is_unique_is_what_no_other_cell_has() -> None:
    """Layers in common are nobody's own; an unknown layer of one's own leaves the sum unknown."""

    def cell(base: str, *layers: Layer) -> CellRecord:
        return replace(make_cell(base, "3.12", Status.PASSED), image=Image("sha256:i", layers=layers))

    common = Layer("sha256:c", None, 10, 100)
    found = find_unique(
        [
            cell("alpine", common, Layer("sha256:1", None, 1, 5)),
            cell("slim", common, Layer("sha256:2", None, None, 7)),
            cell("wolfi", common),
            make_cell("node", "3.12", Status.ERROR),
        ]
    )
    images = [one.image for one in found]
    assert [(one.unique_compressed_bytes, one.unique_bytes) for one in images if one] == [(1, 5), (None, 7), (0, 0)]
    assert images[3] is None
