"""What is wrong with a matrix.yaml is said with file, line and key, and what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from orchestrator.config.parse import parse_matrix
from tests.unit.folders import HEAD, make_files, problems_of

if TYPE_CHECKING:
    from pathlib import Path

AXES = HEAD + "axes: {base: [alpine, slim], python: ['3.12', '3.13']}\n"
PROBES = "'otlp-grpc', 'otlp-http', 'telemetry', 'tls', 'timezone', 'locale', 'dns', 'native' or 'pyroscope'"
NAMES_CELLS = "cannot name a cell; use letters (a to z), digits and _ . + : @ / -, not a mark in front"
CHECK_KEYS = "a check has one of the keys import, run, http, healthy, probe, structure"

ONE_PROBLEM = {
    "unknown key at the top": ("axis: {}", "4: axis: unknown key; did you mean 'axes'?"),
    "unknown setting": ("defaults: {dockerfil: D}", "4: defaults.dockerfil: unknown key; did you mean 'dockerfile'?"),
    "unknown setting of a value": (
        "settings:\n  base:\n    slim:\n      contex: .",
        "7: settings.base.slim.contex: unknown key; did you mean 'context'?",
    ),
    "a Dockerfile within the file": (
        'defaults: {dockerfile_inline: "FROM x"}',
        "4: defaults.dockerfile_inline: unknown key; a Dockerfile is a file here: dockerfile names it",
    ),
    "tags as others have them": (
        "settings: {base: {slim: {tags: [x]}}}",
        "4: settings.base.slim.tags: unknown key; push names the reference that a cell's image is pushed to",
    ),
    "settings without their axis": (
        "settings: {slim: {args: {A: 1}}}",
        "4: settings.slim: 'slim' is a value of axis 'base', and settings name the axis first: settings: {base: {slim: …}}",
    ),
    "a plain setting without its axis": (
        "settings: {slim: {target: x, retries: 1}}",
        "4: settings.slim: 'slim' is a value of axis 'base', and settings name the axis first: settings: {base: {slim: …}}",
    ),
    "settings without their value": (
        "settings: {base: {args: {A: 1}}}",
        "4: settings.base.args: 'args' is a setting, not a value of axis 'base'; write it below a value, or in defaults",
    ),
    "unknown key of a secret": (
        "defaults: {secrets: {s: {fil: x}}}",
        "4: defaults.secrets.s.fil: unknown key; did you mean 'file'?",
    ),
    "unknown key with an alias": ("defaults: {cache: {frm: [x]}}", "4: defaults.cache.frm: unknown key; did you mean 'from'?"),
    "unknown key of a request": (
        "defaults: {smoke: [{http: {port: 80, hedder: {}}}]}",
        "4: defaults.smoke[0].http.hedder: unknown key; did you mean 'header'?",
    ),
    "unknown key far from any": (
        "builder: {zzz: 1}",
        "4: builder.zzz: unknown key; known here: name, driver, image, network, endpoint, ",
    ),
    "a remote builder without an address": (
        "builder: {driver: remote}",
        "4: builder.driver: remote needs an endpoint, such as tcp://build.example:1234",
    ),
    "a node without an address": (
        "builder: {driver: remote, endpoint: 'tcp://a:1', nodes: [{platforms: [linux/arm64]}]}",
        "4: builder.nodes[0]: needs an endpoint, such as tcp://build.example:1234",
    ),
    "nodes of the engine's own builder": (
        "builder: {driver: docker, nodes: [{endpoint: 'tcp://a:1'}]}",
        "4: builder.nodes: needs a driver that has nodes: docker-container, kubernetes or remote, not docker",
    ),
    "platforms of a builder that is chosen later": (
        "builder: {platforms: [linux/arm64]}",
        "4: builder.platforms: needs a driver that has nodes: docker-container, kubernetes or remote, not auto",
    ),
    "no such way to run checks": (
        "builder: {smoke: contaner}",
        "4: builder.smoke: 'contaner' must be 'auto', 'container' or 'graph'; did you mean 'container'?",
    ),
    "unknown axis in settings": ("settings: {bas: {slim: {}}}", "4: settings.bas: 'bas' is not an axis; did you mean 'base'?"),
    "unknown axis without a near one": (
        "settings: {os: {slim: {}}}",
        "4: settings.os: 'os' is not an axis; the axes are base, python",
    ),
    "unknown axis in exclude": (
        "exclude: [{pyton: '3.12'}]",
        "4: exclude[0].pyton: 'pyton' is not an axis; did you mean 'python'?",
    ),
    "unknown axis in expect": (
        "expect: [{bse: slim, outcome: timeout}]",
        "4: expect[0].bse: 'bse' is not an axis; did you mean 'base'?",
    ),
    "unknown axis in include": (
        "include: [{base: slim, python: '3.14', deps: x}]",
        "4: include[0].deps: 'deps' is not an axis; the axes are base, python",
    ),
    "unknown axis in a claim": (
        "claims: [{say: s, left: {os: x}, right: {base: slim}, is: smaller}]",
        "4: claims[0].left.os: 'os' is not an axis; the axes are base, python",
    ),
    "unknown axis in a budget": (
        "budgets: [{where: {bas: slim}, size: 1MB}]",
        "4: budgets[0].where.bas: 'bas' is not an axis; did you mean 'base'?",
    ),
    "unknown axis to decide": ("decide: {between: bass}", "4: decide.between: 'bass' is not an axis; did you mean 'base'?"),
    "a metric that is none": (
        "claims: [{say: s, metric: sise, left: {base: slim}, right: {base: alpine}, is: smaller}]",
        "4: claims[0].metric: 'sise' must be 'size', 'uncompressed', 'base', 'over_base', 'unique', 'wasted', ",
    ),
    "a relation that is none": (
        "claims: [{say: s, left: {base: slim}, right: {base: alpine}, is: small}]",
        (
            "4: claims[0].is: 'small' must be 'smaller', 'larger', 'faster', 'slower', 'equal', 'fails' or 'passes'; "
            "did you mean 'smaller'?"
        ),
    ),
    "a requirement that is none": (
        "decide: {between: base, require: [smoked]}",
        "4: decide.require[0]: 'smoked' must be 'build', 'smoke' or 'expected'; did you mean 'smoke'?",
    ),
    "sides that name the same cell": (
        "claims: [{say: s, left: {base: slim}, right: {base: 's*'}, is: smaller}]",
        "4: claims[0].right: both sides name the cell slim-3.12; a claim compares different cells",
    ),
    "sides on different axes": (
        "claims: [{say: s, left: {base: slim}, right: {python: '3.13'}, is: smaller}]",
        "4: claims[0].right: both sides name the cell slim-3.13; a claim compares different cells",
    ),
    "a size that is faster": (
        "claims: [{say: s, left: {base: slim}, right: {base: alpine}, is: faster}]",
        "4: claims[0].is: 'faster' does not go with size, which is no time; write smaller",
    ),
    "a time that is larger": (
        "claims: [{say: s, metric: build_time, left: {base: slim}, right: {base: alpine}, is: larger}]",
        "4: claims[0].is: 'larger' does not go with build_time, which is a time; write slower",
    ),
    "an outcome that is smaller": (
        "claims: [{say: s, metric: outcome, left: {base: slim}, right: {base: alpine}, is: smaller}]",
        "4: claims[0].is: 'smaller' says nothing about an outcome; write fails, passes or equal",
    ),
    "an outcome by a share": (
        "claims: [{say: s, metric: outcome, left: {base: slim}, right: {base: alpine}, is: equal, by: 5%}]",
        "4: claims[0].by: an outcome is no figure: nothing can be compared with it but an outcome",
    ),
    "a failure of a size": (
        "claims: [{say: s, metric: size, left: {base: slim}, is: fails}]",
        "4: claims[0].metric: 'fails' is about the outcome, not size; leave the metric out",
    ),
    "a failure by a share": (
        "claims: [{say: s, left: {base: slim}, is: passes, by: 10%}]",
        "4: claims[0].by: 'passes' takes no `by`: a cell passes or it does not",
    ),
    "a claim without a right side": (
        "claims: [{say: s, left: {base: slim}, is: smaller}]",
        "4: claims[0]: lacks what is to the right of 'smaller': cells as `right`, or a figure as `value`",
    ),
    "a claim with two right sides": (
        "claims: [{say: s, left: {base: slim}, right: {base: alpine}, value: 5MB, is: smaller}]",
        "4: claims[0].value: there are cells to the right already; write `right` or `value`",
    ),
    "a claimed size that is none": (
        "claims: [{say: s, left: {base: slim}, value: 5s, is: smaller}]",
        "4: claims[0].value: '5s' is not a size in whole bytes; write 250MB or 1.5GiB",
    ),
    "a claimed time that is none": (
        "claims: [{say: s, metric: cached, left: {base: slim}, value: soon, is: faster}]",
        "4: claims[0].value: 'soon' is not a duration; write 90s, 1m30s or 2h (more than 0, up to 7 days)",
    ),
    "a claimed number that is none": (
        "claims: [{say: s, metric: packages, left: {base: slim}, value: few, is: smaller}]",
        "4: claims[0].value: 'few' is not a count; write 12",
    ),
    "a claimed share that is none": (
        "claims: [{say: s, metric: longest_step, left: {base: slim}, value: 5, is: larger}]",
        "4: claims[0].value: '5' is not a share; write 50%",
    ),
    "smaller by all": (
        "claims: [{say: s, left: {base: slim}, right: {base: alpine}, is: smaller, by: 100%}]",
        "4: claims[0].by: nothing is smaller by 100%; write less than 100%",
    ),
    "an outcome to prefer": (
        "decide: {between: base, prefer: [{metric: outcome}]}",
        "4: decide.prefer[0].metric: an outcome is no figure to weigh; `require: [smoke]` takes only cells that passed",
    ),
    "a metric preferred twice": (
        "decide: {between: base, prefer: [{metric: size}, {metric: size, weight: 2}]}",
        "4: decide.prefer[1].metric: 'size' is there twice",
    ),
    "unknown value in exclude": (
        "exclude: [{base: alpin}]",
        "4: exclude[0].base: 'alpin' is not a value of axis 'base'; did you mean 'alpine'?",
    ),
    "unknown value in a claim": (
        "claims: [{say: s, left: {base: slim}, right: {base: wolfi}, is: smaller}]",
        "4: claims[0].right.base: 'wolfi' is not a value of axis 'base'",
    ),
    "a glob that fits nothing": ("exclude: [{base: zz*}]", "4: exclude[0].base: 'zz*' fits no value of axis 'base'"),
    "a glob beside a value": (
        "expect: [{base: [slim, 'alpin?n'], outcome: build-failed}]",
        "4: expect[0].base: 'alpin?n' fits no value of axis 'base'; did you mean 'alpine'?",
    ),
    "a glob of a claim that fits nothing": (
        "claims: [{say: s, left: {base: slim}, right: {base: wolf*}, is: smaller, must: true}]",
        "4: claims[0].right.base: 'wolf*' fits no value of axis 'base'",
    ),
    "an exclusion of what is excluded": (
        "exclude: [{base: slim}, {base: s*, python: '3.12'}]",
        "4: exclude[1]: excludes no cell that those before it have left; remove it",
    ),
    "an exclusion of a combination that is not there": (
        "include: [{base: wolfi, python: '3.13'}]\nexclude: [{base: wolfi, python: '3.12'}]",
        "5: exclude[0]: names no cell of the matrix; remove it",
    ),
    "an expectation of what is excluded": (
        "exclude: [{base: slim}]\nexpect: [{base: slim, outcome: timeout}]",
        "5: expect[0]: names only cells that are excluded",
    ),
    "a claim on what is excluded": (
        "exclude: [{base: slim}]\nclaims: [{say: s, left: {base: alpine}, right: {base: slim}, is: smaller, must: true}]",
        "5: claims[0].right: names only cells that are excluded",
    ),
    "a claim on a combination that is not there": (
        "include: [{base: wolfi, python: '3.13'}]\nclaims: [{say: s, left: {base: wolfi, python: '3.12'}, is: passes}]",
        "5: claims[0].left: names no cell of the matrix",
    ),
    "a budget of what is excluded": (
        "exclude: [{base: slim}]\nbudgets: [{where: {base: slim}, size: 1MB}]",
        "5: budgets[0].where: names only cells that are excluded",
    ),
    "settings of an unknown value": (
        "settings: {base: {wolfi: {}}}",
        "4: settings.base.wolfi: 'wolfi' is not a value of axis 'base'",
    ),
    "an included cell that lacks an axis": (
        "include: [{base: wolfi}]",
        "4: include[0]: an included cell has a value on every axis; this one lacks python",
    ),
    "unknown placeholder": (
        "defaults: {args: {BASE: 'python:{pyton}'}}",
        "4: defaults.args.BASE: '{pyton}' names no axis (the text itself is written '{{pyton}}'); did you mean 'python'?",
    ),
    "unknown placeholder without a near one": (
        "settings: {base: {slim: {target: '{os}'}}}",
        "4: settings.base.slim.target: '{os}' names no axis (the text itself is written '{{os}}'); the axes are base, python",
    ),
    "a pattern for output that is none": (
        "defaults: {smoke: [{run: [a], stdout: 'a('}]}",
        "4: defaults.smoke[0].stdout: 'a(' is not a regular expression: missing ), unterminated subpattern at position 1",
    ),
    "a pattern for a header that is none": (
        "defaults: {smoke: [{http: {port: 80, header: {Server: '*'}}}]}",
        "4: defaults.smoke[0].http.header.Server: '*' is not a regular expression: nothing to repeat at position 0",
    ),
    "a pattern for a body that is none": (
        "defaults: {smoke: [{http: {port: 80, body: '[z-a]'}}]}",
        "4: defaults.smoke[0].http.body: '[z-a]' is not a regular expression: bad character range z-a at position 1",
    ),
    "missing Dockerfile with a near one": (
        "defaults: {dockerfile: Dockerfil}",
        "4: defaults.dockerfile: no such file: 'Dockerfil'; did you mean 'Dockerfile'? (cell alpine-3.12)",
    ),
    "missing requirements": (
        "settings: {python: {'3.13': {requirements: deps.txt}}}",
        "4: settings.python.3.13.requirements: no such file: 'deps.txt' (cell alpine-3.13)",
    ),
    "missing structure file": (
        "defaults: {smoke: [{structure: cst.yaml}]}",
        "4: defaults.smoke[0].structure: no such file: 'cst.yaml' (cell alpine-3.12)",
    ),
    "a secret without a source": (
        "defaults: {secrets: {tok: {optional: true}}}",
        "4: defaults.secrets.tok: a secret has one of the keys file, env, file_env, and one only",
    ),
    "a secret with two sources": (
        "defaults: {secrets: {tok: {file: a, env: B}}}",
        "4: defaults.secrets.tok: a secret has one of the keys file, env, file_env, and one only",
    ),
    "no value to exclude": ("exclude: [{base: []}]", "4: exclude[0].base: must not be empty"),
    "no value in a claim": ("budgets: [{where: {base: []}, size: 1MB}]", "4: budgets[0].where.base: must not be empty"),
    "an empty sentence": (
        "claims: [{say: '', left: {base: slim}, value: 1MB, is: smaller}]",
        "4: claims[0].say: must not be empty",
    ),
    "a flag that is a word": (
        "defaults: {secrets: {tok: {file: a, optional: yes}}}",
        "4: defaults.secrets.tok.optional: 'yes' is neither true nor false",
    ),
    "a flag that is a number": (
        "claims: [{say: s, left: {base: slim}, value: 1MB, is: smaller, must: 1}]",
        "4: claims[0].must: '1' is",
    ),
    "a flag for a number": ("defaults: {retries: true}", "4: defaults.retries: 'true' is not a whole number"),
    "a number with a 0 in front": (
        "defaults: {smoke: [{http: {port: 012}}]}",
        "4: defaults.smoke[0].http.port: '012' is a text; write a plain number, without quotes, _ or a 0 in front",
    ),
    "a share that is a flag": (
        "defaults: {smoke: [{run: [a], cpus: true}]}",
        "4: defaults.smoke[0].cpus: 'true' is not a number; write 2 or 0.5",
    ),
    "a key by its name in Python": (
        "claims: [{say: s, left: {base: slim}, value: 1MB, is_: smaller, is: smaller}]",
        "4: claims[0].is_: unknown key; did you mean 'is'?",
    ),
    "a builder's name that is none": ("builder: {name: -x}", "4: builder.name: '-x' cannot name a builder; use letters"),
    "a network that is none": (
        "defaults: {network: bridge}",
        "4: defaults.network: 'bridge' is not a network of a build; write default",
    ),
    "two platforms of one cell": (
        "defaults: {platform: 'linux/amd64,linux/arm64'}",
        "4: defaults.platform: 'linux/amd64,linux/arm64' is more than one platform; give each its own cell: a platform axis",
    ),
    "two platforms, one of them an axis": (
        "settings: {base: {slim: {platform: '{base},linux/arm64'}}}",
        "4: settings.base.slim.platform: '{base},linux/arm64' is more than one platform; give each its own cell: a platform axis",
    ),
    "no platform": ("defaults: {platform: ''}", "4: defaults.platform: must not be empty"),
    "no target": ("defaults: {target: ''}", "4: defaults.target: must not be empty"),
    "nowhere to push to": ("defaults: {push: ''}", "4: defaults.push: must not be empty"),
    "a library that is none": (
        "defaults: {libc: uclibc}",
        "4: defaults.libc: 'uclibc' is not a C library; write musl, glibc or an axis",
    ),
    "a path that is none": (
        "defaults: {smoke: [{http: {port: 80, path: x}}]}",
        "4: defaults.smoke[0].http.path: 'x' is not a path of a request; it begins with /",
    ),
    "a share that is none": (
        "budgets: [{growth: {size: 5}}]",
        "4: budgets[0].growth.size: '5' is not a share; write 10%",
    ),
    "a share without its mark": ("budgets: [{growth: {size: '5'}}]", "4: budgets[0].growth.size: '5' is not a share; write 10%"),
    "a page that is none": ("traces: {ui: x}", "4: traces.ui: 'x' is not a page; write http:// or https:// and a host"),
    "a POSIX class": (
        "defaults: {smoke: [{run: [a], stdout: '^[[:alpha:]_]+$'}]}",
        "4: defaults.smoke[0].stdout: '[[:alpha:]]' is no class of letters here; write [A-Za-z], \\w, \\d or \\s",
    ),
    "a folder too long for any disk": (
        f"defaults: {{dockerfile: {'a' * 300}/Dockerfile}}",
        f"4: defaults.dockerfile: no such file: '{'a' * 300}/Dockerfile' (cell alpine-3.12)",
    ),
    "a further context that is not there": (
        "settings: {python: {'3.13': {contexts: {more: gone, base: 'docker-image://x'}}}}",
        "4: settings.python.3.13.contexts.more: no such folder: 'gone' (cell alpine-3.13)",
    ),
    "a network that an axis brings": (
        "defaults: {network: '{base}'}",
        "4: defaults.network: 'alpine' must be 'default', 'none' or 'host' (cell alpine-3.12)",
    ),
    "missing outcome": ("expect: [{base: slim}]", "4: expect[0].outcome: is missing"),
    "missing port": ("defaults: {smoke: [{http: {path: /}}]}", "4: defaults.smoke[0].http.port: is missing"),
    "a word that is not one of a few": (
        "expect: [{base: slim, outcome: build-fail}]",
        (
            "4: expect[0].outcome: 'build-fail' must be 'passed', 'build-failed', 'smoke-failed', 'timeout' or 'error'; "
            "did you mean 'build-failed'?"
        ),
    ),
    "a probe that is not there": (
        "defaults: {smoke: [{probe: otlp-grcp}]}",
        f"4: defaults.smoke[0].probe: 'otlp-grcp' must be {PROBES}; did you mean 'otlp-grpc'?",
    ),
    "a command as a shell takes it": (
        "defaults: {smoke: [{run: python -V}]}",
        "4: defaults.smoke[0].run: must be a list, not the text 'python -V'; write [python, -V]",
    ),
    "a command that only a shell can read": (
        "defaults: {smoke: [{run: 'x | y'}]}",
        "4: defaults.smoke[0].run: must be a list, not the text 'x | y'",
    ),
    "a check of two kinds": (
        "defaults: {smoke: [{import: [ssl], run: [true]}]}",
        "4: defaults.smoke[0].run: a check is of one kind; write a check of its own: - run: …",
    ),
    "a check of no kind": ("defaults: {smoke: [{rum: [a]}]}", f"4: defaults.smoke[0]: {CHECK_KEYS}; did you mean 'run'?"),
    "a check that is a word": ("defaults: {smoke: [run]}", f"4: defaults.smoke[0]: {CHECK_KEYS}"),
    "a list where a mapping belongs": ("defaults: [a]", "4: defaults: must be a mapping, not a list"),
    "a number where a mapping belongs": ("defaults: 3", "4: defaults: must be a mapping, not a number"),
    "nothing where a mapping belongs": ("defaults:", "4: defaults: must be a mapping, not nothing"),
    "a word where a mapping belongs": ("defaults: {timeout: 3m}", "4: defaults.timeout: must be a mapping, not the text '3m'"),
    "a boolean where a mapping belongs": ("builder: true", "4: builder: must be a mapping, not true or false"),
    "a mapping where a list belongs": ("exclude: {base: slim}", "4: exclude: must be a list, not a mapping"),
    "a word where a list belongs": (
        "defaults: {smoke: [{import: json}]}",
        "4: defaults.smoke[0].import: must be a list, not the text 'json'; write [json]",
    ),
    "a mapping where a text belongs": ("defaults: {target: {a: b}}", "4: defaults.target: must be a text, not a mapping"),
    "nothing where a value belongs": ("exclude: [{base: }]", "4: exclude[0].base: must be a text, not nothing"),
    "a mapping among values": ("exclude: [{base: [slim, {b: c}]}]", "4: exclude[0].base[1]: must be a text, not a mapping"),
    "a number that is a word": ("defaults: {retries: two}", "4: defaults.retries: 'two' is not a whole number"),
    "a number that is not whole": ("defaults: {retries: 1.5}", "4: defaults.retries: '1.5' is not a whole number"),
    "a number in hexadecimal": ("defaults: {retries: 0x10}", "4: defaults.retries: '0x10' is not a whole number"),
    "a number out of range": ("defaults: {retries: 99}", "4: defaults.retries: must be less than or equal to 10"),
    "a duration that is none": (
        "defaults: {timeout: {build: soon}}",
        "4: defaults.timeout.build: 'soon' is not a duration; write 90s, 1m30s or 2h (more than 0, up to 7 days)",
    ),
    "a size with a share of a byte": (
        "budgets: [{size: 1.5}]",
        "4: budgets[0].size: '1.5' is not a size in whole bytes; write 250MB or 1.5GiB",
    ),
    "a size that is none": (
        "budgets: [{size: big}]",
        "4: budgets[0].size: 'big' is not a size in whole bytes; write 250MB or 1.5GiB",
    ),
    "a key that is there twice": ("name: other", "4: key 'name' is there twice; the first is on line 2"),
    "an included value that names no cell": (
        "include: [{base: 'a b', python: '3.12'}]",
        f"4: include[0].base: 'a b' {NAMES_CELLS}",
    ),
}


@pytest.mark.parametrize(("text", "problem"), ONE_PROBLEM.values(), ids=ONE_PROBLEM)
def test_an_error_names_file_line_and_key_and_says_what_to_do(text: str, problem: str, tmp_path: Path) -> None:
    """Each thing that can be wrong is one sentence, with the nearest name where there is one, and nothing besides."""
    problems = problems_of(AXES + text + "\n", tmp_path)
    assert [found[: len(f"matrix.yaml:{problem}")] for found in problems] == [f"matrix.yaml:{problem}"]


def test_a_version_in_quotes_is_a_text(tmp_path: Path) -> None:
    """`'1' must be 1` would say nothing."""
    (problem,) = problems_of('version: "1"\nname: m\naxes: {a: [x]}\n', tmp_path)
    assert problem == "matrix.yaml:1: version: '1' is a text; write 1, without quotes"


IN_AXES = {
    "empty": ("axes: {a: []}", "3: axes.a: "),
    "none": ("axes: {}", "3: axes: "),
    "not a list": ("axes: {a: b}", "3: axes.a: must be a list, not the text 'b'; write [b]"),
    "a list": ("axes: [a]", "3: axes: must be a mapping, not a list"),
    "missing": ("", "1: axes: is missing"),
    "a value with no settings": (
        "axes: {base: [slim, alpin]}\nsettings: {base: {alpine: {}}}",
        "3: axes.base[1]: 'alpin' has no settings; did you mean 'alpine'?",
    ),
    "a value that is nothing": ("axes: {a: [x, ~]}", "3: axes.a[1]: must be a text, not nothing"),
    "a value that is a list": ("axes: {a: [[x]]}", "3: axes.a[0]: must be a text, not a list"),
    "several platforms": ("axes: {a: ['linux/amd64,linux/arm64']}", f"3: axes.a[0]: 'linux/amd64,linux/arm64' {NAMES_CELLS}"),
    "a hidden file": ("axes: {a: [.x]}", f"3: axes.a[0]: '.x' {NAMES_CELLS}"),
    "a leading mark": ("axes: {a: [-x]}", f"3: axes.a[0]: '-x' {NAMES_CELLS}"),
    "a line break": ('axes: {a: ["x\\ny"]}', f"3: axes.a[0]: 'x\ny' {NAMES_CELLS}"),
    "a blank": ("axes:\n  a:\n    - ok\n    - 'x y'", f"6: axes.a[1]: 'x y' {NAMES_CELLS}"),
    "the name of a key": ("axes: {reason: [x]}", "3: axes.reason: 'reason' cannot name an axis: exclude and expect have a key of"),
    "the name of another key": ("axes: {outcome: [x]}", "3: axes.outcome: 'outcome' cannot name an axis: expect has a key of"),
    "a long value": (f"axes: {{base: [{'a' * 101}]}}", "3: axes.base[0]: must have at most 100 characters"),
    "a long name": (f"axes: {{{'a' * 61}: [x]}}", f"3: axes.{'a' * 61}: must have at most 60 characters"),
    "a name with a blank": (
        "axes: {a b: [x]}",
        "3: axes.a b: 'a b' cannot name an axis; use letters (a to z), digits, _ and -, with",
    ),
    "a value twice": ("axes: {b: [x, x]}", "3: axes.b[1]: 'x' is there twice"),
    "two cells with one id": (
        "axes: {a: [x-y, x], b: [z, y-z]}",
        "3: axes: two cells have the id 'x-y-z' (a=x-y, b=z and a=x, b=y-z); rename a value",
    ),
    "the same cell included twice": (
        "axes: {a: [x]}\ninclude: [{a: z}, {a: z}]",
        "4: include[1]: is there twice; remove one",
    ),
}


@pytest.mark.parametrize(("text", "problem"), IN_AXES.values(), ids=IN_AXES)
def test_axes_must_be_able_to_name_cells(text: str, problem: str, tmp_path: Path) -> None:
    """Axes have values, values name folders and images, and no two cells share an id."""
    problems = problems_of(HEAD + text + "\n", tmp_path)
    assert [found[: len(f"matrix.yaml:{problem}")] for found in problems] == [f"matrix.yaml:{problem}"]


def test_a_value_that_is_there_twice_is_named(tmp_path: Path) -> None:
    """A value given twice on one axis is pointed at where it stands the second time."""
    problems = problems_of(HEAD + "axes:\n  a:\n    - x\n    - y\n    - x\n", tmp_path)
    assert "matrix.yaml:7: axes.a[2]: 'x' is there twice" in problems


def test_an_empty_axis_says_that_it_needs_a_value(tmp_path: Path) -> None:
    """An axis without a value has no cells, so it is refused where it stands."""
    assert problems_of(HEAD + "axes:\n  a: [x]\n  b: []\n", tmp_path) == ["matrix.yaml:5: axes.b: must not be empty"]


def test_all_errors_of_a_file_are_said_at_once_in_file_order(tmp_path: Path) -> None:
    """One run of the tool is enough to see all that is to be mended, from the schema to missing files."""
    text = """\
version: 1
name: UPPER
axes:
  base: [alpin, slim]
  python: ["3.12", "3 12"]
defaults:
  dockerfile: Dockerfil
  retries: often
  smoke:
    - {run: [a], stdout: '('}
settings:
  base:
    alpine: {arg: {}}
  pyton: {}
exclude:
  - {base: wolfi}
typo: 1
"""
    assert problems_of(text, tmp_path) == [
        "matrix.yaml:2: name: 'UPPER' cannot be a name; use small letters (a to z), digits and _ . -, not a mark in front",
        "matrix.yaml:4: axes.base[0]: 'alpin' has no settings; did you mean 'alpine'?",
        f"matrix.yaml:5: axes.python[1]: '3 12' {NAMES_CELLS}",
        "matrix.yaml:7: defaults.dockerfile: no such file: 'Dockerfil'; did you mean 'Dockerfile'? (cell alpin-3.12)",
        "matrix.yaml:8: defaults.retries: 'often' is not a whole number",
        (
            "matrix.yaml:10: defaults.smoke[0].stdout: '(' is not a regular expression: "
            "missing ), unterminated subpattern at position 0"
        ),
        "matrix.yaml:13: settings.base.alpine.arg: unknown key; did you mean 'args'?",
        "matrix.yaml:14: settings.pyton: 'pyton' is not an axis; did you mean 'python'?",
        "matrix.yaml:16: exclude[0].base: 'wolfi' is not a value of axis 'base'",
        (
            "matrix.yaml:17: typo: unknown key; known here: version, name, axes, defaults, settings, exclude, "
            "include, expect, claims, "
            "decide, budgets, builder, traces"
        ),
    ]


def test_what_follows_a_refused_list_item_keeps_its_own_line(tmp_path: Path) -> None:
    """An item that the schema refused does not move the places of those behind it."""
    text = AXES + "exclude:\n  - {base: [[]]}\n  - {base: slim}\n  - {bas: slim}\n"
    assert problems_of(text, tmp_path) == [
        "matrix.yaml:5: exclude[0].base[0]: must be a text, not a list",
        "matrix.yaml:7: exclude[2].bas: 'bas' is not an axis; did you mean 'base'?",
    ]


def test_a_wrong_key_beside_a_checks_kind_is_named_itself(tmp_path: Path) -> None:
    """What is wrong with a check's limits is said of that key, not of the check's kind."""
    text = AXES + "defaults:\n  smoke:\n    - run: [a]\n      timeout: soon\n    - import: [json]\n      pid: 3\n"
    assert problems_of(text, tmp_path) == [
        "matrix.yaml:7: defaults.smoke[0].timeout: 'soon' is not a duration; write 90s, 1m30s or 2h (more than 0, up to 7 days)",
        "matrix.yaml:9: defaults.smoke[1].pid: unknown key; did you mean 'pids'?",
    ]


@pytest.mark.parametrize(
    ("setting", "problem"),
    [
        ("memory: '" + "9" * 400 + "MB'", "is not a size in whole bytes; write 250MB or 1.5GiB"),
        ("timeout: '" + "9" * 400 + "ms'", "is not a duration; write 90s, 1m30s or 2h"),
        ("timeout: '" + "9" * 5000 + "ms'", "is not a duration; write 90s, 1m30s or 2h"),
        ("timeout: '" + "9" * 400 + "h'", "is not a duration; write 90s, 1m30s or 2h"),
        ("memory: 0", "0"),
        ("stdout: '" + "(" * 3000 + "'", "is not a regular expression"),
    ],
    ids=["size", "milliseconds", "very many digits", "hours", "no memory at all", "deep pattern"],
)
def test_figures_and_patterns_beyond_all_bounds_are_refused(setting: str, problem: str, tmp_path: Path) -> None:
    """A figure or a pattern that no machine can take is an error of the file, not of the tool."""
    (found,) = problems_of(AXES + f"defaults: {{smoke: [{{run: [a], {setting}}}]}}\n", tmp_path)
    assert found.startswith("matrix.yaml:4: defaults.smoke[0]")
    assert problem in found


def test_only_what_is_a_pattern_is_read_as_one(tmp_path: Path) -> None:
    """A variable that happens to be called `body` or `stdout` holds text, not a regular expression."""
    text = HEAD + "axes: {suite: [smoke]}\nsettings: {suite: {smoke: {labels: {body: '(x'}}}}\n"
    text += "defaults: {env: {body: '('}, args: {stdout: '*'}}\n"
    _, plan = parse_matrix(text, "matrix.yaml", make_files(tmp_path, "Dockerfile"))
    assert plan.cells[0].settings.env == (("body", "("),)


def test_a_refused_value_is_not_reported_as_missing_besides(tmp_path: Path) -> None:
    """One mistake is one error: what the schema refused is not said to be lacking or unknown as well."""
    text = HEAD + "axes: {base: [alpine, 'b d']}\nsettings: {base: {'b d': {target: x}}}\n"
    assert problems_of(text, tmp_path) == [f"matrix.yaml:3: axes.base[1]: 'b d' {NAMES_CELLS}"]


ONE_MISTAKE = {
    "a list forgotten": (
        (
            "axes: {b: alpine, py: ['3.12']}\ndefaults: {args: {B: '{b}'}}\nsettings: {b: {alpine: {}}}\nexclude: [{b: x}]\n"
            "expect: [{b: alpine, outcome: timeout}]\ninclude: [{b: y, py: '3.13'}]\ndecide: {between: b}"
        ),
        "3: axes.b: must be a list, not the text 'alpine'; write [alpine]",
    ),
    "a value that names no cell": (
        (
            "axes: {b: [x, 'b d']}\nsettings: {b: {'b d': {}}}\nexclude: [{b: 'b d'}]\n"
            "expect: [{b: [x, 'b d'], outcome: timeout}]\nclaims: [{say: s, left: {b: 'b d'}, value: 1MB, is: smaller}]"
        ),
        f"3: axes.b[1]: 'b d' {NAMES_CELLS}",
    ),
    "an included value that names no cell": (
        "axes: {b: [x]}\ninclude: [{b: 'b d'}]\nexclude: [{b: 'b d'}]",
        f"4: include[0].b: 'b d' {NAMES_CELLS}",
    ),
    "a limit that is none": ("axes: {b: [x]}\nbudgets: [{step: '*x', max: soon}]", "4: budgets[0].max: 'soon' is not a duration"),
    "a side that is none": (
        "axes: {b: [x]}\nclaims: [{say: s, left: {b: x}, right: [x], is: smaller}]",
        "4: claims[0].right: must be a mapping, not a list",
    ),
    "an address that is none": (
        "axes: {b: [x]}\nbuilder: {driver: remote, endpoint: [x]}",
        "4: builder.endpoint: must be a text, not a list",
    ),
}


@pytest.mark.parametrize(("text", "problem"), ONE_MISTAKE.values(), ids=ONE_MISTAKE)
def test_one_mistake_is_one_error(text: str, problem: str, tmp_path: Path) -> None:
    """What only follows from a refused part is not said besides, wherever the part is used."""
    problems = problems_of(HEAD + text + "\n", tmp_path)
    assert [found[: len(f"matrix.yaml:{problem}")] for found in problems] == [f"matrix.yaml:{problem}"]


def test_no_error_hides_another(tmp_path: Path) -> None:
    """A refused part beside, below or above one that is wrong in its own right does not hide it until the next time."""
    text = "axes: {base: [x]}\nsettings: {bse: {x: {retries: 99}}}\n"
    assert problems_of(HEAD + text, tmp_path) == [
        "matrix.yaml:4: settings.bse.x.retries: must be less than or equal to 10",
        "matrix.yaml:4: settings.bse: 'bse' is not an axis; did you mean 'base'?",
    ]
    text = (
        "axes: {base: [x, 'bad one']}\n"
        "settings: {base: {x: {dockerfile: nope.Dockerfile, args: {A: '{nope}'}}, zz: {target: q}}}\n"
        "defaults: {retries: often, smoke: [{rum: x}, {structure: gone.yaml}]}\n"
    )
    found = problems_of(HEAD + text, tmp_path)
    assert [problem.partition(": ")[2].partition(": ")[0] for problem in found] == [
        "axes.base[1]",
        "settings.base.x.args.A",
        "settings.base.x.dockerfile",
        "settings.base.zz",
        "defaults.retries",
        "defaults.smoke[0]",
        "defaults.smoke[1].structure",
    ]


@pytest.mark.filterwarnings("error")
def test_a_pattern_is_read_without_a_word_of_pythons(tmp_path: Path) -> None:
    """What Python may read otherwise some day is no concern of whoever looks at a plan."""
    parse_matrix(AXES + "defaults: {smoke: [{run: [a], stdout: '[[x]'}]}\n", "matrix.yaml", make_files(tmp_path, "Dockerfile"))


def test_an_escaped_half_character_is_refused(tmp_path: Path) -> None:
    """Half a surrogate pair is no text: no plan could be printed and no build started with it."""
    (problem,) = problems_of(AXES + 'defaults:\n  args: {A: "\\ud800"}\n', tmp_path)
    assert problem.startswith("matrix.yaml:5: ")
    problem.encode()
