"""The parts of the probes that need no container."""

import importlib.machinery
import ssl
import struct
import sys
from pathlib import Path

import pytest

from orchestrator.probes import _otlp, dns, native, timezone, tls
from orchestrator.probes._elf import DamagedElf, Elf, is_elf, load_elf
from orchestrator.probes._prelude import last_line, run_python
from orchestrator.probes._test_ca import CA_CERTIFICATE


def make_query(name: str, kind: int = dns.ADDRESS) -> bytes:
    """Make the question that a resolver would send."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack("!HH", kind, 1)


def parse_answer(answer: bytes) -> tuple[int, bool, int]:
    """Read the response code, whether it was cut off, and the number of records."""
    number, flags, questions, records, _, _ = struct.unpack_from("!HHHHHH", answer)
    assert (number, questions) == (7, 1)
    return flags & 0xF, bool(flags & 0x0200), records


@pytest.mark.parametrize(
    ("name", "code", "records"),
    [
        ("otel-collector.matrix.test", 0, 1),
        ("OTEL-Collector.matrix.test", 0, 1),
        ("otel-collector", dns.NAME_ERROR, 0),
        ("otel-collector.broken.test", dns.SERVER_FAILURE, 0),
    ],
)
def test_the_resolver_answers_from_its_zone(name: str, code: int, records: int) -> None:
    """The resolver answers from its zone."""
    assert parse_answer(dns.make_answer(make_query(name), dns.UDP_LIMIT)) == (code, False, records)


def test_a_known_name_without_an_address_of_the_wanted_kind_is_an_empty_answer() -> None:
    """A known name without an address of the wanted kind is an empty answer."""
    query = make_query("otel-collector.matrix.test", kind=28)
    assert parse_answer(dns.make_answer(query, dns.UDP_LIMIT)) == (0, False, 0)


def test_a_large_answer_is_cut_off_over_udp_and_whole_over_tcp() -> None:
    """A large answer is cut off over udp and whole over tcp."""
    query = make_query("large.matrix.test")
    cut = dns.make_answer(query, dns.UDP_LIMIT)
    assert len(cut) <= dns.UDP_LIMIT
    assert parse_answer(cut)[1]
    assert parse_answer(dns.make_answer(query, 0xFFFF)) == (0, False, dns.LARGE)


@pytest.mark.parametrize(
    ("protocol", "environ", "wrong"),
    [
        ("grpc", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ("grpc", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317"}, False),
        ("grpc", {}, False),
        (
            "http/protobuf",
            {
                "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317",
            },
            True,
        ),
        ("http/protobuf", {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4317"}, False),
    ],
)
def test_a_protocol_that_does_not_fit_its_port_is_said_to_be_wrong(protocol: str, environ: dict[str, str], *, wrong: bool) -> None:
    """A protocol that does not fit its port is said to be wrong."""
    found = _otlp.find_misdirection(protocol, "grpc", environ)
    assert (found is not None) == wrong
    assert found is None or found.startswith(f"{protocol} is sent to the wrong port: http://collector:")


def test_the_interpreter_and_the_libraries_of_a_program_are_read() -> None:
    """The interpreter and the libraries of a program are read."""
    elf = load_elf(Path(sys.executable).resolve())
    assert elf.interpreter
    assert Path(elf.interpreter).exists()
    assert any(name.startswith("libc.") for name in elf.needed)


def make_elf_32() -> bytes:
    """Make a big-endian 32-bit file with an interpreter, one library and a search path: what a small board would have."""
    strings = b"\0libfoo.so.1\0$ORIGIN/../lib:/opt/lib\0"
    interpreter = b"/lib/ld-musl-armeb.so.1\0"
    headers_end = 52 + 3 * 32
    strings_at, interpreter_at = headers_end, headers_end + len(strings)
    dynamic_at = interpreter_at + len(interpreter)
    dynamic = b"".join(struct.pack(">iI", tag, value) for tag, value in ((5, 0x1000 + strings_at), (1, 1), (29, 13), (0, 0)))
    size = dynamic_at + len(dynamic)
    segments = [(1, 0, 0x1000, size), (3, interpreter_at, 0, len(interpreter)), (2, dynamic_at, 0, len(dynamic))]
    header = bytearray(52)
    header[:6] = b"\x7fELF\x01\x02"
    struct.pack_into(">I", header, 28, 52)
    struct.pack_into(">HH", header, 42, 32, len(segments))
    table = b"".join(struct.pack(">IIIIIIII", kind, at, to, to, n, n, 0, 0) for kind, at, to, n in segments)
    return bytes(header) + table + strings + interpreter + dynamic


def test_files_of_another_word_size_and_byte_order_are_read_too() -> None:
    """Files of another word size and byte order are read too."""
    elf = Elf(make_elf_32())
    assert elf.interpreter == "/lib/ld-musl-armeb.so.1"
    assert elf.needed == ["libfoo.so.1"]
    assert elf.search_path == ["$ORIGIN/../lib", "/opt/lib"]


def test_text_is_no_native_file(tmp_path: Path) -> None:
    """Text is no native file."""
    (tmp_path / "text").write_text("ELF", encoding="ascii")
    assert not is_elf(tmp_path / "text")
    assert not is_elf(tmp_path / "missing")


def test_only_files_with_an_init_function_and_a_name_of_this_python_are_modules(tmp_path: Path) -> None:
    """Only files with an init function and a name of this python are modules."""
    extension = tmp_path / "fast.abi3.so"
    extension.write_bytes(b"..PyInit_fast..")
    assert native.module_name(("pkg", "fast.abi3.so"), extension) == "pkg.fast"
    library = tmp_path / "libfast.so"
    library.write_bytes(b"..")
    assert native.module_name(("pkg", "libfast.so"), library) is None
    assert native.module_name(("pkg.libs", "libfast-1.so.1"), library) is None


def test_an_extension_of_another_python_or_c_library_is_foreign_unless_this_one_has_its_own(tmp_path: Path) -> None:
    """An extension of glibc is loaded by musl's loader, and never imported; some packages bring one for each."""
    own = importlib.machinery.EXTENSION_SUFFIXES[0]
    names = ["fast.cpython-299-x86_64-linux-gnu.so", f"good{own}", "both.cpython-299-x86_64-linux-gnu.so", f"both{own}"]
    names += [
        "slow.pypy310-pp73-x86_64-linux-gnu.so",
        "pure.cpython-299-darwin.so",
        "pure.py",
        "libfast-1234abcd.so",
        "any.abi3.so",
    ]
    for name in names:
        (tmp_path / name).touch()
    files = [native.NativeFile(tmp_path / name, "pkg", None) for name in names if name.endswith(".so")]
    assert native.find_foreign(files) == {"pkg": ["fast.cpython-299-x86_64-linux-gnu.so", "slow.pypy310-pp73-x86_64-linux-gnu.so"]}


def test_the_loader_is_asked_whether_a_library_can_be_found() -> None:
    """The loader is asked whether a library can be found."""
    assert native.can_load("libc.so.6")
    assert not native.can_load("libmatrix-nobody-has-this.so.1")


def test_a_file_that_needs_a_loader_and_a_library_which_are_not_there_is_named_by_package(
    tmp_path: Path,
) -> None:
    """A file that needs a loader and a library which are not there is named by package."""
    file = tmp_path / "tool"
    file.write_bytes(make_elf_32())
    found = native.find_unresolved([native.NativeFile(file, "pkg", None)])
    assert found == {"pkg": ["/lib/ld-musl-armeb.so.1", "libfoo.so.1"]}


def test_a_native_file_that_is_cut_off_spoils_nothing(tmp_path: Path) -> None:
    """Packages bring such files for their own tests: what the others need is found all the same."""
    whole = make_elf_32()
    for end in (*range(4, 52, 3), 60, 100, len(whole) - 40, len(whole) - 1):
        with pytest.raises(DamagedElf, match="cut off or damaged"):
            Elf(whole[:end])
    (tmp_path / "cut").write_bytes(whole[:60])
    (tmp_path / "tool").write_bytes(whole)
    files = [native.NativeFile(tmp_path / name, "pkg", None) for name in ("cut", "tool")]
    assert native.find_unresolved(files) == {"pkg": ["/lib/ld-musl-armeb.so.1", "libfoo.so.1"]}


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("Europe/Berlin", True),
        (":Europe/Berlin", True),
        ("UTC0", True),
        ("CET-1CEST,M3.5.0,M10.5.0/3", True),
        ("<+03>-3<+04>,M3.2.0/2:00,M11.1.0/2", True),
        ("Europe/Nowhere", False),
        ("Europe/", False),
        ("/usr/share/zoneinfo/Europe/Nowhere", False),
        (":/etc/passwd", False),
    ],
)
def test_a_time_zone_is_known_or_not(name: str, *, known: bool) -> None:
    """By its name, spelt out, or at a path: all that the C library takes for TZ."""
    assert timezone.knows(name) is known


def test_a_time_zone_at_a_path_is_known(tmp_path: Path) -> None:
    """As in `TZ=:/etc/localtime`, which many systems set."""
    (tmp_path / "localtime").write_bytes(b"TZif2...")
    assert timezone.knows(f":{tmp_path}/localtime")
    assert timezone.knows(f"{tmp_path}/localtime")


def test_a_ca_is_added_to_a_bundle_whose_last_line_has_no_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else its beginning and the end before it are one line, and nobody can read the bundle any more."""
    file = tmp_path / "bundle.crt"
    file.write_text(CA_CERTIFICATE.rstrip("\n"), encoding="ascii")
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr(tls, "bundle", lambda: file)
    assert tls.add_ca() == f"an entry in {file}"
    ssl.create_default_context(cafile=str(file))
    assert file.read_text(encoding="ascii").count("\n-----BEGIN") == 1


def test_a_stranger_is_refused_by_the_default_trust_store() -> None:
    """A stranger is refused by the default trust store."""
    assert tls.connect(tls.serve()) == "unable to get local issuer certificate"


def test_the_last_line_of_a_traceback_says_what_went_wrong() -> None:
    """The last line of a traceback says what went wrong."""
    assert last_line("Traceback:\n  File\nValueError: no\n\n") == "ValueError: no"
    assert last_line("") == ""


def test_code_runs_in_a_process_of_its_own_with_its_own_environment() -> None:
    """Code runs in a process of its own with its own environment."""
    run = run_python("import os, sys; print(os.environ['A'], sys.argv[1])", "two", A="one")
    assert (run.returncode, run.stdout) == (0, "one two\n")
