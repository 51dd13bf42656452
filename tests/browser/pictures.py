"""`python -m tests.browser.pictures REPORT.html FOLDER`: the pictures of a report that the docs show."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab.browser import find_browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser

FLAGS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
)
# name, dark, width, height, which place is shown
PICTURES = (
    ("light", False, 1280, 1100, ""),
    ("dark", True, 1280, 1100, ""),
    ("phone", False, 360, 900, ""),
    ("judged", False, 1280, 1100, "sizes-title"),
    ("cell", False, 1280, 1100, "cell-1"),
    ("site", False, 1280, 700, ""),
)


def main(report: Path, site: Path, folder: Path) -> None:
    """Take each picture anew."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  # a page of the docs needs it, not whoever imports this

    found = find_browser()
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found.executable, env=dict(found.environment), args=FLAGS)
        for name, dark, width, height, place in PICTURES:
            page = site if name == "site" else report
            take_picture(browser, page.resolve().as_uri(), folder / f"report-{name}.png", (dark, width, height, place))
        browser.close()


def take_picture(browser: Browser, address: str, target: Path, how: tuple[bool, int, int, str]) -> None:
    """Open a page in a scheme and a size, at a place, and keep what is seen of it."""
    dark, width, height, place = how
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light")
    page.goto(f"{address}#{place}" if place else address)
    page.screenshot(path=target)
    page.close()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
