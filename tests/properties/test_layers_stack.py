"""Layers upon each other: what is wasted by whom, and what is large, against a model that really applies them."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.inside import SizedPath, WastedBy, WastedPath
from orchestrator.layers.stack import Room, Stack, stack_layers, sum_by_owner
from tests.unit.tars import Item, index_of


def stack_of(*layers: list[Item]) -> Stack:
    """Put layers upon each other."""
    return stack_layers([index_of(*items) for items in layers])


def test_what_a_later_layer_deletes_is_wasted_by_the_layer_that_stored_it() -> None:
    """The single-stage image: compilers installed by one step and deleted by another take their room all the same."""
    found = stack_of(
        [Item("bin", kind="dir"), Item("bin/sh", b"s" * 10)],
        [Item("usr/gcc", b"g" * 1000), Item("usr/cc1", b"c" * 5000), Item("app", b"a")],
        [Item("usr/.wh.gcc"), Item("usr/.wh.cc1")],
    )
    assert found.wasted_bytes == (0, 6000, 0)
    assert found.wasted == (WastedPath("/usr/cc1", 5000, 1, 2), WastedPath("/usr/gcc", 1000, 1, 2))
    assert found.flows == (WastedBy(1, 2, 6000, 2),)
    assert (found.files, found.file_bytes, found.shells) == (2, 11, ("/bin/sh",))


def test_a_deleted_folder_and_one_that_hides_what_was_in_it_waste_all_below() -> None:
    """Whiteouts of folders and opaque folders reach as deep as the tree, but not what their own layer or a later one puts there."""
    found = stack_of(
        [Item("a/b/c/1", b"1"), Item("a2/x", b"22"), Item("o/1", b"333"), Item("o", kind="dir"), Item("a.x", b"4444")],
        [Item(".wh.a"), Item("o/.wh..wh..opq"), Item("o/2", b"55555"), Item("a/b/new", b"666666")],
        [Item("o/3", b"7777777")],
    )
    assert found.wasted_bytes == (4, 0, 0)
    assert {(one.path, one.by_layer) for one in found.wasted} == {("/a/b/c/1", 1), ("/o/1", 1)}
    assert found.file_bytes == 2 + 4 + 5 + 6 + 7


def test_an_opaque_root_hides_all_there_was() -> None:
    """The outermost folder can hide everything, too."""
    assert stack_of([Item("a", b"1"), Item("b/c", b"22")], [Item(".wh..wh..opq"), Item("d", b"333")]).wasted_bytes == (3, 0)


def test_a_file_that_only_changed_its_mode_is_stored_twice() -> None:
    """A chmod in a step of its own doubles the file: the older copy is wasted."""
    found = stack_of([Item("f", b"12345")], [Item("f", b"12345", mode=0o755)])
    assert (found.wasted_bytes, found.wasted) == ((5, 0), (WastedPath("/f", 5, 0, 1),))


def test_a_folder_that_changed_wastes_nothing() -> None:
    """A folder that is there again is the same folder; a file in its place hides all that was below."""
    below = [Item("d", kind="dir"), Item("d/f", b"12")]
    assert stack_of(below, [Item("d", kind="dir", mode=0o700)]).wasted_bytes == (0, 0)
    assert stack_of(below, [Item("d", b"now a file")]).wasted_bytes == (2, 0)
    assert stack_of(below, [Item("d", kind="symlink", target="x")]).wasted == (WastedPath("/d/f", 2, 0, 1),)


def test_the_first_layer_that_hides_a_file_is_the_one_named() -> None:
    """What is deleted twice, or changed and then deleted, is charged step by step."""
    found = stack_of([Item("f", b"1")], [Item("f", b"22")], [Item(".wh.f")], [Item("f", b"333")])
    assert set(found.wasted) == {WastedPath("/f", 1, 0, 1), WastedPath("/f", 2, 1, 2)}
    assert found.file_bytes == 3


def test_a_file_of_several_names_is_wasted_when_the_last_is_gone() -> None:
    """Bytes that one name still shows are not wasted, and count once wherever they are added up."""
    names = [Item("a/1", b"x" * 100), Item("b/2", kind="link", target="a/1"), Item("b/3", kind="link", target="a/1")]
    kept = stack_of(names, [Item("a/.wh.1"), Item("b/.wh.2")])
    assert (kept.wasted_bytes, kept.file_bytes, kept.largest_files) == ((0, 0), 100, (SizedPath("/b/3", 100),))
    gone = stack_of(names, [Item("a/.wh.1")], [Item(".wh.b")])
    assert (gone.wasted_bytes, gone.wasted) == ((100, 0, 0), (WastedPath("/a/1", 100, 0, 2),))
    whole = stack_of(names)
    assert (whole.files, whole.file_bytes) == (3, 100)
    owners = {b"b\x002": 0, b"b\x003": 0}
    assert sum_by_owner([index_of(*names)], owners) == {0: Room(Counter({0: 100}), 1024)}


def test_a_layer_can_waste_by_itself() -> None:
    """A path that a layer stores twice is there once."""
    found = stack_of([Item("f", b"12345"), Item("f", b"1")])
    assert (found.wasted_bytes, found.wasted) == ((5,), (WastedPath("/f", 5, 0, 0),))


def test_every_file_that_is_stored_twice_is_counted() -> None:
    """Only the largest are named."""
    found = stack_of([Item(str(at), b"x" * (at + 1)) for at in [*range(25), *range(25)]])
    assert found.flows == (WastedBy(0, 0, 325, 25),)
    assert len(found.wasted) == 20


def test_a_link_keeps_the_file_that_it_was_made_from() -> None:
    """Its target's name may be another file's by the end of the layer."""
    found = stack_of([Item("h/one", b"1" * 7000), Item("h/two", kind="link", target="h/one"), Item("h/one", b"2" * 300)])
    assert (found.wasted_bytes, found.file_bytes) == ((0,), 7300)
    assert found.largest_files == (SizedPath("/h/two", 7000), SizedPath("/h/one", 300))


def test_a_folder_that_its_own_layer_replaced_wastes_what_was_in_it() -> None:
    """Unpacked, only the file is there; what has another name elsewhere is there, too."""
    found = stack_of([Item("k/in", b"1" * 900), Item("k", b"2")])
    assert (found.wasted, found.files, found.file_bytes) == ((WastedPath("/k/in", 900, 0, 0),), 1, 1)
    linked = stack_of([Item("k/in", b"1" * 900), Item("z", kind="link", target="k/in"), Item("k", b"2")])
    assert (linked.wasted_bytes, linked.file_bytes) == ((0,), 901)


def test_largest_folders_say_something_new() -> None:
    """A folder that is little more than one of its sub-folders is left out in favour of that."""
    found = stack_of(
        [Item("usr/lib/python/a/x", b"x" * 500), Item("usr/lib/python/b/y", b"y" * 400), Item("usr/lib/z", b"z" * 50)],
        [Item("opt/app/main", b"m" * 300)],
    )
    assert found.largest_folders == (
        SizedPath("/usr/lib/python", 900),
        SizedPath("/usr/lib/python/a", 500),
        SizedPath("/usr/lib/python/b", 400),
        SizedPath("/opt/app", 300),
    )
    assert [one.path for one in found.largest_files] == [
        "/usr/lib/python/a/x",
        "/usr/lib/python/b/y",
        "/opt/app/main",
        "/usr/lib/z",
    ]


def test_set_user_id_files_and_captured_files_are_those_that_can_be_seen() -> None:
    """A deleted or replaced file is no part of the inventory."""
    found = stack_of(
        [Item("bin/su", b"1", mode=0o4755), Item("bin/mount", b"1", mode=0o4755), Item("etc/passwd", b"old")],
        [Item("bin/.wh.mount"), Item("etc/passwd", b"new")],
    )
    assert (found.set_id, found.captured) == (("/bin/su",), {"/etc/passwd": b"new"})


PARTS = st.sampled_from(["a", "b", "a.x", "é"])
PATHS = st.lists(PARTS, min_size=1, max_size=3).map("/".join)
ITEMS = st.one_of(
    st.builds(Item, PATHS, st.binary(min_size=1, max_size=4)),
    st.builds(lambda path: Item(path, kind="dir"), PATHS),
    st.builds(lambda path: Item(path, kind="symlink", target="x"), PATHS),
    st.builds(lambda path, target: Item(path, kind="link", target=target), PATHS, PATHS),
    st.builds(lambda path: Item("/".join([*path.split("/")[:-1], f".wh.{path.split('/')[-1]}"])), PATHS),
    st.builds(lambda path: Item(f"{path}/.wh..wh..opq"), PATHS),
)


class Stored:
    """A file as a file system has it, whatever its names are; of anything else, nothing."""

    def __init__(self, layer: int, item: Item) -> None:
        """Give it no more than it has in the archive."""
        self.layer, self.size, self.is_file = layer, len(item.data), item.kind in ("file", "link")


Tree = dict[str, Stored]
Flows = Counter[tuple[int, int]]


def unpack(layer: int, items: list[Item]) -> tuple[Tree, list[Stored]]:
    """Put a layer's entries one after the other; give what is there in the end, and all that was stored."""
    puts: Tree = {}
    latest: Tree = {}
    stored = []
    for item in items:
        if item.name.rpartition("/")[2].startswith(".wh."):
            continue
        new = Stored(layer, item)
        if item.kind == "link" and item.target in latest and latest[item.target].is_file:
            new = latest[item.target]
        if item.kind != "dir":
            puts = {path: one for path, one in puts.items() if not path.startswith(f"{item.name}/")}
        puts[item.name] = latest[item.name] = new
        stored.append(new)
    return puts, stored


def deleted(tree: Tree, items: list[Item]) -> set[str]:
    """Give what a layer's whiteouts delete."""
    gone: set[str] = set()
    for item in items:
        folder, _, last = item.name.rpartition("/")
        if last == ".wh..wh..opq":
            gone |= {path for path in tree if path.startswith(f"{folder}/")}
        elif last.startswith(".wh."):
            path = f"{folder}/{last[4:]}".lstrip("/")
            gone |= {one for one in tree if one == path or one.startswith(f"{path}/")}
    return gone


def apply(layers: list[list[Item]]) -> tuple[Tree, Flows]:
    """Apply layers to a dictionary, one after the other: first what they delete, then what they put there."""
    tree: Tree = {}
    flows: Flows = Counter()
    for at, items in enumerate(layers):
        puts, stored = unpack(at, items)
        files = {item.name for item in items if ".wh." not in item.name and item.kind != "dir"}
        gone = deleted(tree, items)
        gone |= {one for one in tree for path in files if one.startswith(f"{path}/")}
        before = [*tree.values(), *stored]
        tree = {path: one for path, one in tree.items() if path not in gone} | puts
        for lost in {id(one): one for one in before if one not in tree.values()}.values():
            flows[lost.layer, at] += lost.size
    return tree, flows


def check_against_model(layers: list[list[Item]]) -> None:
    """Compare the stack of layers with the model."""
    tree, flows = apply(layers)
    found = stack_of(*layers)
    wasted: Counter[int] = Counter()
    for (layer, _), size in flows.items():
        wasted[layer] += size
    assert found.wasted_bytes == tuple(wasted[at] for at in range(len(layers)))
    assert {(flow.layer, flow.by_layer): flow.bytes for flow in found.flows} == {
        place: size for place, size in flows.items() if size
    }
    files = {f"/{path}": one for path, one in tree.items() if one.is_file}
    assert (found.files, found.file_bytes) == (len(files), sum({id(one): one.size for one in files.values()}.values()))
    assert {one.path: one.bytes for one in found.largest_files}.items() <= {path: one.size for path, one in files.items()}.items()
    stored = sum(len(item.data) for items in layers for item in items)
    assert sum(found.wasted_bytes) + found.file_bytes == stored


@given(st.lists(st.lists(ITEMS, max_size=8), max_size=4))
def test_the_stack_is_what_applying_the_layers_gives(layers: list[list[Item]]) -> None:
    """Every byte that a layer stores is either seen in the image or wasted, by the layer that the model names."""
    check_against_model(layers)
