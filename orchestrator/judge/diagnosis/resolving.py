"""Rules about what is pinned: versions that exclude one another, other hashes, locks older than what they lock."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.judge.diagnosis.nouns import Case, Rule, first, lines_of, make_finding, make_finding_from, search

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.judge.diagnosis.nouns import Hit
    from orchestrator.verdicts import Finding

_UV = re.compile(r"No solution found when resolving dependencies[^\n]{0,300}(?P<why>(?:\n[ \t]+[^\n]{0,2000}){1,40})")
_UV_BEGINS = re.compile(r"^(?:cause: |\u2570\u2500\u25b6 )")
_PIP = re.compile(
    r"^ERROR: Cannot install (?P<what>[^\n]{1,2000}?) because these package versions have conflicting dependencies\."
    r"(?:\n+The conflict is caused by:(?P<why>(?:\n[ \t]+[^\n]{1,500}){1,40}))?",
    re.MULTILINE,
)
_POETRY = re.compile(r"^[ \t]*(?P<why>Because [^\n]{1,2000}?(?:\n[^\n]{1,2000}?){0,30}?version solving failed\.)$", re.MULTILINE)
POETRY_NONE = re.compile(r" (?P<name>\S{1,200}) \((?P<range>[^)\n]{1,200})\) which doesn't match any versions")
_OTHER_HASH = re.compile(
    r"^ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE\.[^\n]*\n[ \t]+(?P<pip>\S{1,200})"
    r"(?P<pip_hashes>[^\n]{0,2000}(?:\n[ \t]+(?:Expected|Got|or)[ \t][^\n]{1,200}){0,8})"
    r"|Hash mismatch for `(?P<uv>[^`\n]{1,200})`(?P<uv_hashes>(?:\n[ \t]*(?:Expected:|Computed:|\w+:[0-9a-f]{32,128})?[ \t]*){0,9})"
    r"|^npm (?:error|ERR!) code (?P<npm>EINTEGRITY)$",
    re.MULTILINE,
)
_HASH = re.compile(r"\b(?:Expected|Got|or|Computed):?\s+(?:\w+[:\s]\s*)?[0-9a-f]{32,128}")
_NO_HASH = re.compile(
    r"^ERROR: Hashes are required in --require-hashes mode, but they are missing from some requirements[^\n]*"
    r"\n[ \t]+(?P<pip>\S{1,200})"
    r"|^ERROR: In --require-hashes mode, all requirements must have their versions pinned with ==[^\n]*\n[ \t]+(?P<loose>\S{1,200})"
    r"|In `--require-hashes` mode, all requirements must have a hash, but none were provided for: (?P<uv>[^\n]{1,200})",
    re.MULTILINE,
)
_OLD_LOCK = re.compile(
    r"[Tt]he lockfile (?:at `(?P<uv>[^`\n]{1,200})` )?needs to be updated, but `--(?:locked|frozen|check)` was provided"
    r"|^[ \t]*pyproject\.toml changed significantly since (?P<poetry>poetry\.lock) was last generated"
    r"|^[ \t]*Your (?P<pipenv>Pipfile\.lock) \([^)\n]{1,80}\) is out of date"
    r"|`npm ci` can only install packages when your package\.json and (?P<npm>package-lock\.json)[^\n]{0,60} are in sync",
    re.MULTILINE,
)
_LOCKS = {
    "poetry.lock": "poetry lock",
    "Pipfile.lock": "pipenv lock",
    "package-lock.json": "npm install --package-lock-only",
}
_NO_FILE = re.compile(
    r"^ERROR: Could not open (?:requirements|constraints) file: \[Errno 2\] No such file or directory: '(?P<pip>[^'\n]{1,300})'"
    r"|^error: File not found: `(?P<uv>[^`\n]{1,300})`",
    re.MULTILINE,
)


def find_uv_cause(case: Case) -> tuple[Hit, str] | None:
    """Give where uv says that it finds no solution, and its sentences in one line."""
    for hit in search([case.build] if case.build else [], _UV):
        return hit, _UV_BEGINS.sub("", " ".join(hit.found["why"].split()))
    return None


def find_conflict(case: Case) -> Iterator[Finding]:
    """Say that what is asked for excludes one another."""
    parts = [case.build] if case.build else []
    hits = first(search(parts, _PIP)) or [hit for hit in search(parts, _POETRY) if not POETRY_NONE.search(hit.found["why"])]
    what, where, lines = None, "", list[str]()
    if hits:
        what = hits[0].found.groupdict().get("what")
        lines = [hits[0].line, *(hits[0].found["why"] or "").strip().splitlines()]
        where = hits[0].said.where
    elif (uv := find_uv_cause(case)) and " depends on " in uv[1]:
        where = uv[0].said.where
        lines = [one.strip() for one in re.split(r"(?<=\.) (?=And because |Because )", uv[1])]
    if lines:
        remedy = (
            "Loosen one of the pins that it names, or take the versions that go together: `pip-compile`, `uv pip compile` or the "
            "project's own lock find them once, for all builds."
        )
        title = f"versions that exclude one another are asked for{f': {what}' if what else ''}"
        yield make_finding("version-conflict", title, where, lines, remedy)


def find_other_hash(case: Case) -> Iterator[Finding]:
    """Say that a file is not the one that was pinned."""
    for hit in first(search([case.build] if case.build else [], _OTHER_HASH))[:1]:
        found = hit.found
        what = found["pip"] or found["uv"] or "a package"
        hashes = _HASH.findall(f"{found['pip_hashes'] or ''}\n{found['uv_hashes'] or ''}")
        remedy = (
            "Find out why before pinning anew: an index that rebuilds its wheels, a mirror with a file of its own, or somebody "
            "who has replaced it. If only the version was raised by hand, write the hashes anew (`pip-compile "
            "--generate-hashes`, `uv lock`)."
        )
        lines = [hit.line, *(" ".join(one.split()) for one in hashes)]
        yield make_finding(
            "hash-mismatch", f"the hash of {what} is not one of those that are pinned", hit.said.where, lines, remedy
        )


def find_no_hash(case: Case) -> Iterator[Finding]:
    """Say that one requirement has no hash, or no version, where others have."""
    hits = first(search([case.build] if case.build else [], _NO_HASH))
    if hits:
        what = next((value for value in hits[0].found.groupdict().values() if value), "a requirement")
        lacks = "is not pinned by ==" if hits[0].found["loose"] else "has no hash"
        remedy = (
            "One hash in a file asks for the hashes of all, and of all that they depend on: write the file with `pip-compile "
            "--generate-hashes`, `uv pip compile --generate-hashes` or `poetry export`, for this Python."
        )
        yield make_finding_from("hash-missing", f"{what} {lacks}, and other requirements have hashes", hits, remedy)


def find_old_lock(case: Case) -> Iterator[Finding]:
    """Say that a lock is older than what it locks."""
    hits = first(search([case.build] if case.build else [], _OLD_LOCK))
    if hits:
        lock = next((value for value in hits[0].found.groupdict().values() if value), "uv.lock")
        remedy = (
            f"Type `{_LOCKS.get(lock, 'uv lock')}` and commit {lock}; see that the build gets both files as they are in the "
            "repository (a COPY of one alone, a line of .dockerignore)."
        )
        yield make_finding_from("lock-outdated", f"{lock} does not fit what it locks", hits, remedy)


def find_no_file(case: Case) -> Iterator[Finding]:
    """Say that the file that is to be installed from is not there."""
    hits = first(search([case.build] if case.build else [], _NO_FILE))
    if hits:
        path = hits[0].found["pip"] or hits[0].found["uv"]
        remedy = (
            f"Copy or mount {path} before this step (`COPY`, `--mount=type=bind,source=…`); a path that does not begin with / "
            "begins at WORKDIR, and what a file includes by -r or -c has to be there as well."
        )
        yield make_finding("requirements-missing", f"{path} is not in the image", hits[0].said.where, lines_of(hits), remedy)


RULES = (
    Rule(
        "version-conflict",
        "What is asked for excludes one another.",
        "pip's `conflicting dependencies`, uv's `No solution found` with who depends on what, Poetry's `version solving failed`.",
        "Loosening a pin, or versions that go together.",
        find_conflict,
    ),
    Rule(
        "hash-mismatch",
        "A file is not the one whose hash was pinned.",
        "pip's `DO NOT MATCH THE HASHES`, uv's `Hash mismatch`, or npm's EINTEGRITY.",
        "Finding out why; then new hashes.",
        find_other_hash,
    ),
    Rule(
        "hash-missing",
        "A requirement has no hash, or no version, where others have.",
        "pip's or uv's word about `--require-hashes`, with the requirement.",
        "A file with the hashes of all.",
        find_no_hash,
    ),
    Rule(
        "lock-outdated",
        "A lock file is older than what it locks.",
        "uv's, Poetry's, Pipenv's or npm's own words.",
        "Locking anew; copying both files.",
        find_old_lock,
    ),
    Rule(
        "requirements-missing",
        "The file that is to be installed from is not there.",
        "pip's `Could not open requirements file`, or uv's `File not found`.",
        "Copying or mounting it before the step.",
        find_no_file,
    ),
)
