"""What a layer holds, from tars as tools write them and as attackers do."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.layers import index
from orchestrator.layers.index import LayerIndex, make_index
from orchestrator.layers.names import make_key, make_path
from tests.unit.tars import Item, in_parts, index_of, make_tar

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


def lines(found: LayerIndex) -> list[str]:
    """Write an index for people."""
    return [line.replace(b"\0\0", b": ").replace(b"\0", b"/").decode() for line in found.lines()]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("size", [100, 512, 777, 1_000_000])
def test_a_layer_is_read_in_every_form(form: str, size: int) -> None:
    """All three tar formats say the same, long names and links included, wherever the stream is cut into parts."""
    long = "/".join(["a" * 60] * (2 if form == "ustar" else 6))
    tar = make_tar(
        Item("./", kind="dir", mode=0o755),
        Item("./etc/", kind="dir", mode=0o755),
        Item("etc/x", b"x" * 1000),
        Item(long, b"y" * 10),
        Item("bin/su", b"z" * 5, mode=0o4755),
        Item("dev/null", kind="device"),
        Item("pipe", kind="fifo"),
        Item("ln", kind="symlink", target="../" * 20 + "etc/x" if form == "ustar" else "../" * 60 + "etc/x"),
        form=FORMATS[form],
    )
    found = make_index(iter(in_parts(tar, size)))
    assert (found.uncompressed_bytes, found.problem, found.entries, found.file_bytes) == (len(tar), None, 8, 1015)
    assert lines(found) == [
        ": d 755 0",
        f"{long}: f 644 10",
        "bin/su: f 4755 5",
        "dev/null: c 644 0",
        "etc: d 755 0",
        "etc/x: f 644 1000",
        "ln: l 644 0",
        "pipe: p 644 0",
    ]


def test_names_are_made_plain_or_refused() -> None:
    """Absolute names and `..` within the image are its paths; what leads out is refused by name and never indexed."""
    found = index_of(
        Item("/abs", b"1"),
        Item("a/../b/./c//d", b"22"),
        Item("../../etc/shadow", b"333"),
        Item("x/../../y", b"4444"),
        Item("two\nlines\x01", b"5"),
    )
    assert lines(found) == ["abs: f 644 1", "b/c/d: f 644 2", "two\x01nlines\x01\x01: f 644 1"]
    assert (found.refused, found.refused_count) == (("../../etc/shadow", "x/../../y"), 2)
    assert make_path(make_key(b"two\nlines\x01") or b"") == "/two\nlines\x01"


def test_a_name_longer_than_any_path_is_refused() -> None:
    """What no kernel would take is not kept, but counted."""
    found = index_of(Item("a/" * 3000 + "b", b"1"), Item("ok"))
    assert (lines(found), found.refused_count, len(found.refused[0])) == (["ok: f 644 0"], 1, 200)


def test_whiteouts_say_what_they_delete() -> None:
    """A whiteout stands at the path that it deletes, an opaque mark at its folder; what stands for nothing is refused."""
    found = index_of(
        Item("etc/.wh.passwd"),
        Item("opt/.wh..wh..opq"),
        Item(".wh..wh..opq"),
        Item("etc/passwd", b"1"),
        Item("x/.wh."),
        Item("x/.wh..."),
    )
    assert lines(found) == [": o 644 0", "etc/passwd: f 644 1", "etc/passwd: w 644 0", "opt: o 644 0"]
    assert found.refused == ("x/.wh.", "x/.wh...")


def test_hard_links_are_one_file() -> None:
    """Names of one file share its bytes, also by way of another link; a link to another layer's file has none here."""
    found = index_of(
        Item("usr/a", b"12345"),
        Item("usr/b", kind="link", target="usr/a"),
        Item("c", kind="link", target="./usr/b"),
        Item("d", kind="link", target="/elsewhere"),
    )
    assert found.file_bytes == 5
    assert lines(found) == ["c: f 644 0 0", "d: f 644 0", "usr/a: f 644 5 0", "usr/b: f 644 0 0"]
    assert found.groups == (5,)


def test_a_hard_link_names_the_file_that_was_there_before_it() -> None:
    """A name that is stored again is another file's from then on, for later links, too; what lives on under a link is no waste."""
    found = index_of(
        Item("one", b"1" * 7000),
        Item("two", kind="link", target="one"),
        Item("one", b"2" * 300),
        Item("three", kind="link", target="two"),
        Item("four", kind="link", target="one"),
        Item("none", kind="link", target="later"),
        Item("out", kind="link", target="../out"),
        Item("later", b"3"),
    )
    assert lines(found) == [
        "four: f 644 0 1",
        "later: f 644 1",
        "none: f 644 0",
        "one: f 644 300 1",
        "out: f 644 0",
        "three: f 644 0 0",
        "two: f 644 0 0",
    ]
    assert (found.groups, found.doubled_bytes) == ((7000, 300), 0)
    assert lines(index_of(Item("out", kind="link", target="../out"))) == ["out: f 644 0"]


def test_a_file_is_waste_once_no_link_in_its_layer_names_it() -> None:
    """Links that became something else name it no more."""
    for kind in ("file", "dir", "symlink"):
        found = index_of(Item("a", b"1" * 10), Item("b", kind="link", target="a"), Item("a", b"2"), Item("b", kind=kind))
        assert (found.groups, found.doubled) == ((), (("/a", 10),))


def test_what_lay_in_a_folder_that_its_own_layer_replaced_is_gone() -> None:
    """Only files are kept of it, for what they took; what comes into the folder afterwards stays."""
    found = index_of(
        Item("k/in", b"1" * 900),
        Item("k/deep/in", b"2" * 90),
        Item("k/ln", kind="symlink", target="in"),
        Item("k.x", b"3"),
        Item("k", b"4"),
        Item("k", kind="dir"),
        Item("k/new", b"5"),
    )
    assert lines(found) == ["k: d 644 0", "k: o 0 0", "k/deep/in: g 644 90", "k/in: g 644 900", "k/new: f 644 1", "k.x: f 644 1"]


def test_of_a_name_that_is_there_twice_the_last_one_stands() -> None:
    """What a layer stores and stores again is waste of its own making."""
    found = index_of(Item("a", b"1" * 10), Item("a", b"2" * 3), Item("a", b"3"), Item("b", kind="dir"), Item("b", kind="dir"))
    assert lines(found) == ["a: f 644 1", "b: d 644 0"]
    assert (found.doubled_bytes, found.doubled_count, found.doubled) == (13, 2, (("/a", 10), ("/a", 3)))


def test_a_sparse_file_counts_what_is_stored() -> None:
    """The old GNU form, with a map that goes on in further blocks, as GNU tar writes it."""
    header = bytearray(tarfile.TarInfo("sparse").tobuf(tarfile.GNU_FORMAT))
    header[156:157] = b"S"
    header[124:136] = b"00000001000\0"
    header[482] = 1
    header[483:495] = b"77777777777\0"
    more = bytearray(512)
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    tar = bytes(header) + bytes(more) + b"s" * 512 + make_tar(Item("behind", b"1"))
    found = make_index(iter([tar]))
    assert (found.problem, found.file_bytes) == (None, 513)
    assert lines(found) == ["behind: f 644 1", "sparse: f 644 512"]


def test_a_sparse_file_in_pax_form_has_its_own_name() -> None:
    """Newer GNU tars put a placeholder's name into the header."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        entry = tarfile.TarInfo("GNUSparseFile.0/x")
        entry.size = 3
        entry.pax_headers = {"GNU.sparse.name": "real/x", "GNU.sparse.major": "1", "GNU.sparse.realsize": "99999999999"}
        archive.addfile(entry, io.BytesIO(b"abc"))
    assert lines(make_index(iter([file.getvalue()]))) == ["real/x: f 644 3"]


GOOD = make_tar(Item("a", b"x" * 600), Item("b", b"y"))
LIES = {
    "a damaged header": (GOOD[:1536] + b"\xff" * 512 + GOOD[2048:], "is damaged: a number in a header is out of range"),
    "another damaged header": (GOOD[:1537] + b"c" + GOOD[1538:], "is damaged: no tar header at byte 1536"),
    "cut in a file": (GOOD[:1000], "is cut off: it ends in the data of a file"),
    "cut in a header": (GOOD[:1600], "is cut off: it ends in a header"),
    "a size that lies": (tarfile.TarInfo("f").tobuf()[:0] + make_tar(Item("f"))[:512], None),
}


def test_what_is_no_tar_at_all_has_no_length() -> None:
    """It may be packed in a way that nobody here knows: its packed length would be taken for what it unpacks to."""
    found = make_index(iter([b"hello" * 1000]))
    assert (found.uncompressed_bytes, found.problem) == (None, "is damaged: a header has no number where one must be")


@pytest.mark.parametrize("lie", LIES)
def test_what_is_damaged_is_named_and_still_weighed(lie: str) -> None:
    """A stream that is damaged somewhere has its length and a reason, and no half of an index; no end mark is no damage."""
    data, reason = LIES[lie]
    found = make_index(iter([data]))
    assert (found.uncompressed_bytes, found.problem) == (len(data), reason)
    if reason:
        assert (found.entries, found.packed) == (0, b"")


def test_a_size_beyond_the_end_is_named() -> None:
    """A file that claims 8 GB and has none is cut off, and nothing is allocated for it."""
    entry = tarfile.TarInfo("f")
    entry.size = 8 * 1024**3 + 1
    assert make_index(iter([entry.tobuf(tarfile.GNU_FORMAT)])).problem == "is cut off: it ends in the data of a file"


def test_an_extended_header_is_bounded() -> None:
    """A header that claims gigabytes is refused before it is read."""
    entry = tarfile.TarInfo("x")
    entry.type, entry.size = tarfile.XHDTYPE, 2**31
    assert make_index(iter([entry.tobuf(tarfile.GNU_FORMAT)])).problem == "has an extended header of 2147483648 bytes"


def test_too_many_entries_are_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries and hard links have a bound; the layer's length is known all the same."""
    monkeypatch.setattr(index, "MAX_ENTRIES", 3)
    monkeypatch.setattr(index, "MAX_LINKS", 1)
    many = make_tar(*(Item(str(at)) for at in range(4)))
    found = make_index(iter([many]))
    assert (found.uncompressed_bytes, found.problem) == (len(many), "has more than 3 entries")
    links = index_of(Item("a"), Item("b", kind="link", target="a"), Item("c", kind="link", target="a"))
    assert links.problem == "has more than 1 hard links"


def test_a_large_layer_is_sorted_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is merged from many pieces is what one sort gives."""
    items = [Item(f"{at * 7919 % 1000:03}/f", b"x" * (at % 5)) for at in range(1000)]
    items += [Item("000/f", b"last"), Item("zzz", kind="link", target="001/f")]
    whole = index_of(*items)
    monkeypatch.setattr(index, "_RUN", 64)
    assert list(index_of(*items).lines()) == list(whole.lines())
    assert lines(whole)[0] == "000/f: f 644 4"


@given(
    st.binary(max_size=3000)
    | st.tuples(st.integers(0, len(GOOD) - 1), st.binary(max_size=600)).map(lambda one: GOOD[: one[0]] + one[1])
)
@example(b"")
def test_no_bytes_raise_anything(data: bytes) -> None:
    """Whatever comes is an index or a named problem, of the right length; of what does not even begin as a tar, of none."""
    found = make_index(iter([data] if data else []))
    assert found.uncompressed_bytes == len(data) or (found.problem and found.uncompressed_bytes is None)


@given(st.text(max_size=12, alphabet="ab./\n\x01é") | st.binary(max_size=8).map(lambda raw: raw.decode("latin-1")))
def test_a_key_is_one_path_and_stays_within(name: str) -> None:
    """Equal keys are equal paths, no part of one leads up, and it can stand on a line."""
    key = make_key(name.encode())
    if key is not None:
        assert b"\n" not in key
        assert b".." not in key.split(b"\0")
        assert make_key(make_path(key).encode()) == key
