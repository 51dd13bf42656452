"""Finds out whether public roots are trusted, strangers refused, and a company's CA accepted once it is added."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
from pathlib import Path

from orchestrator.probes._prelude import ProbeError, Result, failed, last_line, passed, patient, run_probe
from orchestrator.probes._test_ca import CA_CERTIFICATE, SERVER_CERTIFICATE, SERVER_KEY, SERVER_NAME

# Where Debian's and Alpine's tool looks for a company's certificates, and where bases without the tool keep the bundle.
LOCAL_CERTIFICATES = Path("/usr/local/share/ca-certificates")
TOOL_LIMIT_S = 60  # it starts a program for each root, and the machine may be busy
BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


def probe() -> Result:
    """Look at the trust store through Python's default settings, which is what the service gets."""
    roots = count_roots()
    port = serve()
    refusal = connect(port)
    detail = {"public_roots": roots, "stranger": refusal or "accepted"}
    if not roots:
        return failed(
            "the trust store is empty: there is no CA bundle, so every certificate is refused",
            **detail,
        )
    if refusal is None:
        return failed("a server whose CA nobody knows was accepted", **detail)
    detail["way"] = add_ca()
    second = connect(port)
    if second:
        return failed(f"refused although its CA was added with {detail['way']}: {second}", **detail)
    return passed(
        f"{roots} public roots; a company's CA is accepted once added with {detail['way']}",
        **detail,
    )


def count_roots() -> int:
    """Count the trusted authorities; those in a folder are loaded when needed, so they are counted by their links."""
    loaded: int = ssl.create_default_context().cert_store_stats()["x509_ca"]
    folder = ssl.get_default_verify_paths().capath
    names = [entry.name for entry in Path(folder).iterdir()] if folder else []
    return loaded or sum(1 for name in names if re.fullmatch(r"[0-9a-f]{8}\.\d+", name))


def serve() -> int:
    """Start a server with the test CA's certificate on a free port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        certificate, key = Path(folder, "certificate"), Path(folder, "key")
        certificate.write_text(SERVER_CERTIFICATE, encoding="ascii")
        key.write_text(SERVER_KEY, encoding="ascii")
        context.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            connection, _ = listener.accept()
            try:
                context.wrap_socket(connection, server_side=True).close()
            except (ssl.SSLError, OSError):
                connection.close()  # the client refused, which is what it was asked for

    threading.Thread(target=accept, daemon=True).start()
    port: int = listener.getsockname()[1]
    return port


def connect(port: int) -> str | None:
    """Connect as any client would; why the certificate was refused, or None when it was accepted."""
    with socket.create_connection(("127.0.0.1", port), timeout=patient(5)) as connection:
        try:
            ssl.create_default_context().wrap_socket(connection, server_hostname=SERVER_NAME).close()
        except ssl.SSLCertVerificationError as error:
            return error.verify_message
    return None


def add_ca() -> str:
    """Add the test CA the way this base wants it, and say which way that was."""
    tool = shutil.which("update-ca-certificates")
    try:
        if tool is None:
            with bundle().open("a", encoding="ascii") as file:
                file.write(f"\n{CA_CERTIFICATE}")  # the bundle's last line may have no end
            return f"an entry in {bundle()}"
        LOCAL_CERTIFICATES.mkdir(parents=True, exist_ok=True)
        (LOCAL_CERTIFICATES / "matrix-probe.crt").write_text(CA_CERTIFICATE, encoding="ascii")
    except OSError as error:
        message = f"adding a CA is not allowed here: {error}"
        raise ProbeError(message) from error
    limit_s = patient(TOOL_LIMIT_S)
    run = subprocess.run([tool], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit_s, check=False)  # noqa: S603
    if run.returncode:
        message = f"{tool} ended with {run.returncode}: {last_line(run.stderr)}"
        raise ProbeError(message)
    return tool


def bundle() -> Path:
    """Find the file with all trusted certificates that this Python reads."""
    paths = ssl.get_default_verify_paths()
    return next(Path(path) for path in (paths.cafile, BUNDLE) if path and Path(path).exists())


if __name__ == "__main__":
    run_probe("tls", probe)
