"""A Chromium for the tests: the one on the PATH, or the distribution's, run from the cache."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from tests.lab.cache import LabError, cache_folder, whole_file
from tests.lab.debian import release, unpacked

_ON_PATH = ("chromium", "google-chrome", "google-chrome-stable", "chromium-headless-shell")
_PACKAGES = ("chromium-headless-shell", "fonts-dejavu-core")
_BY_HAND = "there is no Chromium on the PATH, and none can be brought up here; type: apt-get install chromium"


@dataclass(frozen=True, slots=True)
class Browser:
    """A Chromium that can be started, and the variables it needs."""

    executable: Path
    environment: dict[str, str]


def find_browser() -> Browser:
    """Find a Chromium; as root on Debian it is unpacked into the cache, and nothing of the system is touched."""
    for name in _ON_PATH:
        if found := shutil.which(name):
            return Browser(Path(found), dict(os.environ))
    if release().get("ID") != "debian" or os.geteuid() != 0:  # Ubuntu's package is an empty one that asks for a snap
        raise LabError(_BY_HAND)
    tree = unpacked("chromium", *_PACKAGES, with_needs=True)
    libraries = sorted({str(path.parent) for path in tree.glob("usr/lib/**/*.so*")})
    environment = {
        **os.environ,
        "LD_LIBRARY_PATH": os.pathsep.join(libraries),
        "FONTCONFIG_FILE": str(_describe_fonts(tree)),
    }
    return Browser(tree / "usr/lib/chromium/chromium-headless-shell", environment)


def _describe_fonts(tree: Path) -> Path:
    """Let fontconfig find the fonts beside the browser: the machine may have none, nor a configuration."""
    path = cache_folder() / "chromium-fonts.conf"
    folders = (tree / "usr/share/fonts", Path("/usr/share/fonts"))
    lines = [f"<dir>{escape(str(folder))}</dir>" for folder in folders]
    lines.append(f"<cachedir>{escape(str(cache_folder() / 'chromium-fonts'))}</cachedir>")
    with whole_file(path) as temporary:
        temporary.write_text(f"<?xml version='1.0'?>\n<fontconfig>{''.join(lines)}</fontconfig>\n", encoding="utf-8")
    return path
