"""A builder that does not answer: buildx waits and says nothing, so what is wrong with its TLS is found out by asking there."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from contextlib import contextmanager, suppress
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple

import pytest

from orchestrator.docker.process import Exit, Output
from orchestrator.docker.silence import explain_silence

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MOST_BYTES = 64 * 1024
LATE = Output(Exit(1), "", "#1 waiting\nERROR: context deadline exceeded\n")


class Certificates(NamedTuple):
    """A folder with certificates that two authorities have signed, and their keys."""

    folder: Path

    def options(self, authority: str, owner: str) -> dict[str, str]:
        """Give the options of a node."""
        return {"cacert": self._file(f"{authority}.pem"), "cert": self._file(f"{owner}.pem"), "key": self._file(f"{owner}.key")}

    def make(self, name: str, subject: str, *more: str) -> None:
        """Have a certificate made."""
        argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        files = ["-keyout", self._file(f"{name}.key"), "-out", self._file(f"{name}.pem")]
        subprocess.run([*argv, *files, "-subj", f"/CN={subject}", *more], capture_output=True, check=True)

    def _file(self, name: str) -> str:
        return str(self.folder / name)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Make certificates: each is an authority of its own that signs itself."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make certificates")
    made = Certificates(tmp_path_factory.mktemp("certificates"))
    made.make("server", "server", "-addext", "subjectAltName=IP:127.0.0.1")
    made.make("elsewhere", "elsewhere", "-addext", "subjectAltName=DNS:builder.example")
    made.make("client", "client")
    made.make("stranger", "stranger")
    made.folder.joinpath("junk.pem").write_text("no certificate")
    made.folder.joinpath("junk.key").write_text("no key")
    shutil.copy(made.folder / "client.pem", made.folder / "mixed.pem")
    shutil.copy(made.folder / "stranger.key", made.folder / "mixed.key")
    return made


@contextmanager
def answering(certificates: Certificates, owner: str | None) -> Iterator[str]:
    """Answer one caller, by TLS as the owner of a certificate if there is one, to the holder of the client's only."""
    context = None
    if owner is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.folder / f"{owner}.pem", certificates.folder / f"{owner}.key")
        context.load_verify_locations(certificates.folder / "client.pem")
        context.verify_mode = ssl.CERT_REQUIRED
    with socket.create_server(("127.0.0.1", 0)) as door:

        def answer() -> None:
            with suppress(OSError):
                line, _ = door.accept()
                with line, context.wrap_socket(line, server_side=True) if context else line as heard:
                    if context is None:
                        heard.recv(_MOST_BYTES)  # what is left unread when it is closed would take the answer with it
                    heard.sendall(b"hello")

        thread = Thread(target=answer)
        thread.start()
        yield f"tcp://127.0.0.1:{door.getsockname()[1]}"
        thread.join()


@pytest.mark.parametrize(
    ("owner", "authority", "mine", "reason"),
    [
        ("server", "stranger", "client", "the certificate of ENDPOINT is not accepted: self-signed certificate"),
        ("elsewhere", "elsewhere", "client", "the certificate of ENDPOINT is not accepted: IP address mismatch"),
        ("server", "server", "stranger", "ENDPOINT and builder.options cacert, cert, key do not go together: tls"),
        (None, "server", "client", "ENDPOINT speaks no TLS; leave out builder.options cacert, cert, key"),
    ],
)
def test_certificates_that_do_not_fit_are_named(
    certificates: Certificates, owner: str | None, authority: str, mine: str, reason: str
) -> None:
    """Whose they are is said: the builder's, or those of matrix.yaml."""
    with answering(certificates, owner) as endpoint:
        said = explain_silence(LATE, [(endpoint, certificates.options(authority, mine))])
    assert said.startswith(reason.replace("ENDPOINT", endpoint)), said


def test_a_builder_that_wants_tls_is_told_from_one_that_is_away(certificates: Certificates) -> None:
    """Where matrix.yaml gives no certificates."""
    with answering(certificates, "server") as endpoint:
        assert explain_silence(LATE, [(endpoint, {})]) == f"{endpoint} speaks TLS; give builder.options cacert, cert, key"
    with answering(certificates, None) as endpoint:
        said = f"nothing that speaks BuildKit's protocol answers at {endpoint} (context deadline exceeded)"
        assert explain_silence(LATE, [(endpoint, {})]) == said


def test_certificates_that_fit_are_not_blamed(certificates: Certificates) -> None:
    """Also those of a server under another name."""
    for owner, name in (("server", {}), ("elsewhere", {"servername": "builder.example"})):
        with answering(certificates, owner) as endpoint:
            said = explain_silence(LATE, [(endpoint, certificates.options(owner, "client") | name)])
        assert said.startswith("nothing that speaks BuildKit's protocol answers at ")


@pytest.mark.parametrize("mine", ["junk", "mixed"])
def test_files_that_hold_no_certificate_and_its_key_are_named(certificates: Certificates, mine: str) -> None:
    """Without asking anybody."""
    said = explain_silence(LATE, [("tcp://127.0.0.1:9", certificates.options("server", mine))])
    assert said.startswith("the files of builder.options cacert, cert, key are no certificates and keys that fit: ")
