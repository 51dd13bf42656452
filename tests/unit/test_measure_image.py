"""An image's history and layers to instructions and sizes."""

from __future__ import annotations

import pytest

from orchestrator.measure.image import (
    LayerSize,
    RawImage,
    clean_history,
    count_base_layers,
    instructions_of,
    make_image,
    makes_layer,
    total,
)

A, B, C = "sha256:a", "sha256:b", "sha256:c"


@pytest.mark.parametrize(
    ("created_by", "instruction"),
    [
        ("RUN /bin/sh -c apt-get update # buildkit", "RUN apt-get update"),
        ("RUN |2 A=b C=d e /bin/sh -c pip install x # buildkit", "RUN pip install x"),
        ("|1 A=b /bin/sh -c foo", "RUN foo"),
        ("/bin/sh -c apk add --no-cache python3", "RUN apk add --no-cache python3"),
        ("/bin/sh -c set -eux; \t\tapt-get update;  echo  done", "RUN set -eux; apt-get update; echo done"),
        ("COPY . . # buildkit", "COPY . ."),
        ("COPY /src /dst # buildkit", "COPY /src /dst"),
        ("WORKDIR /app", "WORKDIR /app"),
        ('CMD ["sh"]', 'CMD ["sh"]'),
        ('/bin/sh -c #(nop)  CMD ["sh"]', 'CMD ["sh"]'),
        ("/bin/sh -c #(nop) ADD file:abc in / ", "ADD file:abc in /"),
        ("# debian.sh --arch 'amd64' out/ 'trixie' '@1'", "# debian.sh --arch 'amd64' out/ 'trixie' '@1'"),
        ("RUN echo '# buildkit'", "RUN echo '# buildkit'"),
        ("", ""),
    ],
)
def test_history_reads_as_the_dockerfile_does(created_by: str, instruction: str) -> None:
    """What BuildKit and the classic builder write into the history becomes the instruction that a person wrote."""
    assert clean_history([created_by]) == [instruction]


def test_what_stands_before_a_command_is_not_taken_for_it() -> None:
    """Build arguments may hold anything, a shell's name, too, and a Dockerfile may have a shell of its own."""
    words = {
        "ARG B": "ARG B",
        "ARG A=x /bin/sh -c  y C=zzz": "ARG A=x /bin/sh -c y C=zzz",
        "RUN |3 B= A=x /bin/sh -c  y C=zzz /bin/sh -c true # buildkit": "RUN true",
        "SHELL [/bin/ash -e -c]": "SHELL [/bin/ash -e -c]",
        "RUN |3 B= A=x /bin/sh -c  y C=zzz /bin/ash -e -c echo 1 # buildkit": "RUN echo 1",
        "RUN |3 B= A=x /bin/sh -c  y C=zzz /bin/busybox true # buildkit": "RUN /bin/busybox true",
        "RUN /bin/sh -c exec # buildkit": "RUN /bin/sh -c exec",
        "ENV A=other": "ENV A=other",
        "RUN |3 B= A=other C=zzz /bin/ash -e -c echo 2 # buildkit": "RUN echo 2",
        "|1 D=1 /bin/ash -e -c foo": "RUN foo",
        "/bin/ash -e -c #(nop)  USER me": "USER me",
        "/bin/ash -e -c #(nop)  SHELL [/bin/sh -c]": "SHELL [/bin/sh -c]",
        "/bin/sh -c bar": "RUN bar",
    }
    assert dict(zip(words, clean_history(words), strict=True)) == words


@pytest.mark.parametrize(
    ("created_by", "made"),
    [
        ("RUN /bin/sh -c true # buildkit", True),
        ("COPY . . # buildkit", True),
        ("ADD file:x in /", True),
        ("/bin/sh -c #(nop) ADD file:x in / ", True),
        ("/bin/sh -c apk add gcc", True),
        ("/bin/sh -c ENV=1 make", True),
        ("WORKDIR /app", True),
        ("ENV PATH=/x", False),
        ("/bin/sh -c #(nop)  ENV LANG=C.UTF-8", False),
        ('/bin/sh -c #(nop)  CMD ["sh"]', False),
        ("LABEL a=b", False),
        ('ENTRYPOINT ["x"]', False),
        ("HEALTHCHECK &{}", False),
        ("EXPOSE map[80/tcp:{}]", False),
        ("USER nobody", False),
        ("ARG A=b", False),
        ("VOLUME [/data]", False),
    ],
)
def test_instructions_that_make_layers_are_told_by_their_words(created_by: str, *, made: bool) -> None:
    """Where the history does not say which entries are empty, the instruction does."""
    assert makes_layer(created_by) is made


def test_each_layer_has_its_instruction() -> None:
    """Entries without a layer are passed over."""
    history: list[dict[str, object]] = [
        {"created_by": "/bin/sh -c #(nop) ADD file:x in / "},
        {"created_by": 'CMD ["sh"]', "empty_layer": True},
        {"created_by": "RUN /bin/sh -c true # buildkit", "comment": "buildkit.dockerfile.v0"},
    ]
    assert instructions_of(history, 2) == ("ADD file:x in /", "RUN true")


def test_a_history_that_does_not_fit_says_nothing() -> None:
    """With more or fewer entries than layers, no layer is given an instruction that may be another's."""
    assert instructions_of([{"created_by": "RUN x"}], 2) == (None, None)
    assert instructions_of([], 1) == (None,)
    assert instructions_of([{}], 1) == ("",)


def test_a_base_without_a_history_leaves_the_dockerfiles_instructions_to_its_own_layers() -> None:
    """BuildKit fills such a history up at its end, and the base's layer would be the Dockerfile's first."""
    copied = {"created_by": "COPY a /a # buildkit", "comment": "buildkit.dockerfile.v0"}
    filled = {"created_by": "[2/2] COPY a /a", "comment": "buildkit.exporter.image.v0"}
    assert instructions_of([copied, filled], 2) == (None, "COPY a /a")
    built_on = {"created_by": "RUN /bin/sh -c true # buildkit", "comment": "buildkit.dockerfile.v0"}
    assert instructions_of([copied, filled, built_on], 3) == (None, "COPY a /a", "RUN true")
    assert instructions_of([filled], 1) == ("[2/2] COPY a /a",), "of an image that is no Dockerfile's it is all there is"


@pytest.mark.parametrize(
    ("bases", "count"),
    [
        ([], 0),
        ([[A]], 1),
        ([[A], [A, B]], 2),
        ([[A, B], [A]], 2),
        ([[B]], 0),
        ([[A, C]], 0),
        ([[A, B, C, "sha256:d"]], 0),
        ([[]], 0),
    ],
)
def test_an_image_starts_with_the_longest_base_that_fits(bases: list[list[str]], count: int) -> None:
    """A base counts when the image starts with all of its layers; other stages' bases do not."""
    assert count_base_layers([A, B, C], bases) == count


def raw(*sizes: LayerSize) -> RawImage:
    """Make an image of layers with these sizes."""
    return RawImage("sha256:i", (A, B, C)[: len(sizes)], sizes, ("FROM x", "RUN y", "COPY z")[: len(sizes)], {})


def test_sizes_add_up_and_what_came_on_top_of_the_base_is_told() -> None:
    """An image weighs the sum of its layers; over its base, the sum of those that are not the base's."""
    image = make_image(raw(LayerSize(10, 100), LayerSize(20, 200), LayerSize(30, 300)), 1)
    assert (image.compressed_bytes, image.uncompressed_bytes, image.over_base_bytes) == (60, 600, 500)
    assert (image.digest, image.compressed_estimated) == ("sha256:i", False)
    assert [(layer.digest, layer.instruction) for layer in image.layers] == [(A, "FROM x"), (B, "RUN y"), (C, "COPY z")]


def test_a_base_that_is_unknown_leaves_what_came_on_top_unknown() -> None:
    """Without a base to compare with, the figure is None; an image that is its base has 0 over it."""
    assert make_image(raw(LayerSize(1, 2)), None).over_base_bytes is None
    assert make_image(raw(LayerSize(1, 2)), 1).over_base_bytes == 0
    assert make_image(raw(LayerSize(1, 2)), 0).over_base_bytes == 2
    assert make_image(raw(LayerSize(1, 2)), 1).base_layers == 1


def test_a_sum_with_an_unknown_part_is_unknown() -> None:
    """One layer that cannot be unpacked makes the image's size unknown, never smaller."""
    image = make_image(raw(LayerSize(10, None), LayerSize(None, 200, estimated=True)), 1)
    assert (image.compressed_bytes, image.uncompressed_bytes, image.over_base_bytes) == (None, None, 200)
    assert image.compressed_estimated
    assert total([]) == 0
    assert total([1, None]) is None
