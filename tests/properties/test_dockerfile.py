"""The images that a Dockerfile is built from, whatever its lines look like."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.dockerfile import find_build_tools, find_images, plain_ref
from orchestrator.instructions import DockerfileError

REFS = st.from_regex(r"[a-z][a-z0-9]{0,6}(/[a-z][a-z0-9]{0,6})?(:[a-z0-9][a-z0-9.-]{0,6})?", fullmatch=True).filter(
    lambda ref: ref != "scratch"
)
NAMES = st.from_regex(r"stage[a-z]{1,4}", fullmatch=True)


def refs(
    text: str, *, target: str | None = None, platform: str | None = None, contexts: tuple[str, ...] = (), **args: str
) -> list[str]:
    """Give the references that a Dockerfile is built from."""
    return [image.ref for image in find_images(text, args, target=target, platform=platform, contexts=contexts)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("FROM busybox", ["busybox"]),
        ("from busybox as b\nFROM b", ["busybox"]),
        ("ARG V=3.13\nARG B=python:${V}-slim\nFROM ${B} AS x\nFROM $B", ["python:3.13-slim"]),
        ('ARG B="python:3.12"\nFROM "$B"', ["python:3.12"]),
        ("ARG A=1 B=alpine:$A\nFROM $B", ["alpine:1"]),
        ("FROM ${B:-alpine}", ["alpine"]),
        ("ARG B\nFROM ${B:-alpine:${V:-3}}", ["alpine:3"]),
        ("ARG B=x\nFROM a${B:+-full}", ["a-full"]),
        ("FROM scratch\nCOPY --from=busybox:1 /bin /bin", ["busybox:1"]),
        ("FROM a AS one\nFROM scratch\nCOPY --chown=1 --from=0 /x /x", ["a"]),
        ("FROM a AS one\nFROM b AS two\nFROM two", ["b"]),
        ("FROM a\nRUN --mount=type=bind,from=tools,target=/t make", ["a", "tools"]),
        ("# syntax=docker/dockerfile:1\n# escape=`\nFROM `\n  a `\n  AS b\n", ["a"]),
        ("FROM \\\n# a comment\n\n  a\n", ["a"]),
        ("FROM a\nRUN <<EOF\nFROM b\nEOF\nRUN <<-'X' cat <<Y\nFROM c\nX\nFROM d\nY\n", ["a"]),
        ("FROM a\nARG B=z\nFROM ${B:-b}", ["b"]),
        ("FROM python@sha256:ab", ["python@sha256:ab"]),
        ("\ufeffFROM a\r\n", ["a"]),
        ("FROM\tscratch\nCOPY\t--from=b / /", ["b"]),
        ("FROM h2b\\\nase:a", ["h2base:a"]),
        ("FROM a AS x\nRUN echo \\\\\nFROM b\nCOPY --from=x / /", ["a", "b"]),
        ("FROM a\nRUN echo \\  \n # no\n\n  b\nFROM b\n", ["b"]),
        ("FROM a\nLABEL x=\x0cy\x0cFROM=b\nENV y=\u2028FROM\x85z", ["a"]),
        ("ARG V=x\nARG V\nFROM $V", ["x"]),
        ("ARG W=\nFROM a${W-other}${W:-more}${X-x}${W+w}${W:+no}", ["amorexw"]),
        ("ARG V=3.13-slim-x\nFROM p:${V%%-*} AS a\nFROM p:${V%-*}\nCOPY --from=a / /", ["p:3.13", "p:3.13-slim"]),
        ("ARG V=v1.2.3\nFROM p:${V#v}-${V##*.}-${V/./_}-${V//./_}", ["p:1.2.3-3-v1_2.3-v1_2_3"]),
        ("ARG V=aXbXcXd\nFROM ${V#*X}${V##*X}${V%X*}${V%%X*}${V/X*X/-}${V#a?b*c}${V#z}", ["bXcXddaXbXcaa-dXdaXbXcXd"]),
        (f"ARG V={'a' * 300}\nFROM ${{V#{'*a' * 60}b}}:${{V%%b{'a*' * 60}}}", [f"{'a' * 300}:{'a' * 300}"]),
        ("ARG C=c\nFROM ${A:-${B:-${C:-x}}}", ["c"]),
        ('ARG B=\'a$b\'"c"\nFROM x:"$B"', ["x:a$bc"]),
    ],
)
def test_the_images_of_a_dockerfile_are_found(text: str, found: list[str]) -> None:
    """In every way in which a Dockerfile can name them, and only those that the last stage needs."""
    assert refs(text) == found


@pytest.mark.parametrize(
    "step",
    [
        "RUN n=3; echo $((1<<n)) > /n",
        'RUN cat <<< "hello"',
        "RUN python -c 'print(1 <<n)'",
        "RUN echo '<<EOF'",
        "RUN it's <<EOF",
        "RUN cat <<",
        "LABEL a=<<EOF",
        "COPY <<robots.txt <<humans.txt /w/\nFROM no\nrobots.txt\nFROM no\nhumans.txt",
        "RUN <<my-file\nFROM no\nmy-file",
        "RUN 3<<EOF.txt cat\nFROM no\nEOF.txt",
        "RUN <<1EOF\nFROM no\n1EOF",
        "RUN <<E'O'F\n  EOF\nFROM no\n\tEOF\nFROM no\nEOF",
        "RUN <<-EOF\n EOF\nFROM no\n\t\tEOF",
        "RUN << \\EOF\nFROM no\nEOF",
        'RUN cat <<"E F"\nFROM no\nE F',
        "ONBUILD RUN <<EOF\nFROM no\nEOF",
        "RUN x=${y:-z} <<EOF>w\r\nFROM no\r\nEOF>w\r",
    ],
)
def test_here_documents_are_told_from_what_looks_like_one(step: str) -> None:
    """As BuildKit tells them: one that is not seen gives bases that are none, one too many hides those that follow."""
    assert refs(f"FROM a\n{step}\nFROM b") == ["b"]
    assert refs(f"FROM a AS one\n{step}\nFROM b\nCOPY --from=one / /") == ["a", "b"]


def test_a_here_document_without_an_end_is_said() -> None:
    """The builder refuses it; what follows must not be passed over in silence."""
    with pytest.raises(DockerfileError, match="line 2: the here-document has no end: no line that is 'EOF'"):
        refs("FROM a\nRUN <<EOF\n  EOF\nFROM b")


def test_build_arguments_win_over_defaults() -> None:
    """As for BuildKit: an argument that the file does not declare has no effect on FROM."""
    text = "ARG V=3.13\nARG B=python:${V}\nFROM $B"
    assert refs(text, V="3.12") == ["python:3.12"]
    assert refs(text, B="alpine") == ["alpine"]
    with pytest.raises(
        DockerfileError, match="line 1: FROM \\$B names no image; give the argument a default, or a value in `args`"
    ):
        refs("FROM $B", B="alpine")


def test_a_target_needs_its_own_stages_only() -> None:
    """An image of a stage that is not built is no base."""
    text = "FROM a AS one\nFROM b AS two\nFROM c AS three\n"
    assert refs(text, target="two") == ["b"]
    with pytest.raises(DockerfileError, match="has no stage 'four'"):
        refs(text, target="four")


def test_named_contexts_come_from_elsewhere() -> None:
    """A context takes the place of an image, however its name is written, and of a stage."""
    assert refs("FROM docker.io/library/python:latest", contexts=("python",)) == []
    assert refs("FROM a AS requirements\nFROM b\nCOPY --from=requirements / /", contexts=("requirements",)) == ["b"]


def test_a_platform_is_kept() -> None:
    """FROM --platform asks for another platform than the cell's."""
    images = find_images("FROM --platform=$BUILDPLATFORM a AS x\nFROM b\nCOPY --from=x / /\n", {}, platform="linux/arm64")
    assert [(image.ref, image.platform, image.line) for image in images] == [("a", "linux/arm64", 1), ("b", None, 2)]
    images = find_images("FROM --platform=$BUILDPLATFORM a", {}, platform="linux/arm64", here="linux/amd64")
    assert images[0].platform == "linux/amd64"


def test_the_arguments_of_platforms_are_known() -> None:
    """Without an ARG, as BuildKit knows them; whoever gives them in `args` is believed."""
    text = "FROM x:$TARGETOS-$TARGETARCH-$TARGETVARIANT-$BUILDOS-$BUILDARCH-$BUILDVARIANT"
    found = find_images(text, {}, platform="linux/arm", here="linux/aarch64")
    assert [image.ref for image in found] == ["x:linux-arm-v7-linux-arm64-"]
    assert refs("FROM x:$TARGETARCH", platform="linux/arm64", TARGETARCH="mine") == ["x:mine"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has no FROM"),
        ("RUN x", "has no FROM"),
        ("FROM a b c", "line 1: FROM a b c: not"),
        ("# why\n\nFROM a b c", "line 3: FROM a b c"),
    ],
)
def test_what_is_no_dockerfile_is_said(text: str, words: str) -> None:
    """With the line, where there is one."""
    with pytest.raises(DockerfileError) as caught:
        refs(text)
    assert words in str(caught.value)


@given(st.lists(st.tuples(NAMES, REFS), min_size=1, max_size=6, unique_by=lambda pair: pair[0]))
def test_a_chain_of_stages_leads_to_its_first_image(stages: list[tuple[str, str]]) -> None:
    """Stages that build on each other need one image; stages that stand alone need theirs when they are the target."""
    names = [name for name, _ in stages]
    chain = [
        f"FROM {stages[0][1]} AS {names[0]}",
        *(f"FROM {before} AS {name}" for before, name in pairwise(names)),
    ]
    assert refs("\n".join(chain)) == [stages[0][1]]
    alone = "\n".join(f"FROM {ref} AS {name}" for name, ref in stages)
    assert {name: refs(alone, target=name) for name in names} == {name: [ref] for name, ref in stages}


@given(st.text(max_size=200), st.dictionaries(st.sampled_from(["A", "B"]), st.text(max_size=10)))
def test_any_text_is_read_or_refused(text: str, args: dict[str, str]) -> None:
    """Nothing but our own words comes out of a file that is no Dockerfile."""
    for whole in (text, f"ARG A={text}\nFROM ${{A:-x}}\nRUN {text}"):
        try:
            find_images(whole, args)
            find_build_tools(whole)
        except DockerfileError:
            pass


def test_compilers_are_found_where_they_are_installed() -> None:
    """In RUN lines, the lists that ARG and ENV hold for them, and arguments, as words of their own; not in comments."""
    text = "FROM a\n# gcc\nRUN apk add gcc \\\n  g++ # rust\nRUN echo libgcc gcc-doc\nCOPY cargo /x\n"
    assert find_build_tools(text) == ("g++", "gcc", "rust")
    assert find_build_tools('FROM a\nARG APT="gcc libc6-dev"\nENV MORE=cmake\nRUN apt-get install -y $APT $MORE\n') == (
        "cmake",
        "gcc",
    )
    assert find_build_tools("FROM a\nARG APT\nRUN apt-get install -y $APT\n", ["build-essential libpq-dev"]) == ("build-essential",)
    assert find_build_tools("FROM a\nRUN <<EOF\napk add build-base\nEOF\n") == ("build-base",)


def test_references_are_compared_as_buildx_does() -> None:
    """Docker Hub's own names and the tag that everything has are left out."""
    same = ("docker.io/library/python:latest", "library/python", "python:latest", "index.docker.io/library/python")
    assert {plain_ref(ref) for ref in same} == {"python"}
    assert plain_ref("docker.io/team/app:1") == "team/app:1"
    assert plain_ref("cgr.dev/x/y:latest") == "cgr.dev/x/y"
