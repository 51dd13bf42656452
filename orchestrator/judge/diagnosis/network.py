"""Rules about the network and who is trusted in it: certificates, names, addresses, indices that refuse."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from orchestrator.judge.diagnosis.nouns import Case, Hit, Rule, Said, first, lines_of, make_finding, make_finding_from, search
from orchestrator.providers import WOLFI, Provider, render_install

if TYPE_CHECKING:
    from collections.abc import Iterator

    from orchestrator.verdicts import Finding

_NO_BUNDLE = re.compile(
    r"Could not find a suitable TLS CA certificate bundle, invalid path: \S{1,300}"
    r"|error setting certificate (?:verify locations|file): ?\S{0,300}"
    r"|server certificate verification failed\. CAfile: none"
    r"|the trust store is empty: there is no CA bundle"
    r"|x509: failed to load system roots and no roots provided"
)
_COMPANY = re.compile(
    r"self[- ]signed certificate in certificate chain|SELF_SIGNED_CERT_IN_CHAIN"
    r"|invalid peer certificate: (?:UnknownIssuer|Other\(.{0,40}UnknownIssuer)",
    re.IGNORECASE,
)
_ISSUER = re.compile(
    r"unable to get (?:local )?issuer certificate|UNABLE_TO_GET_ISSUER_CERT(?:_LOCALLY)?|UNABLE_TO_VERIFY_LEAF_SIGNATURE"
    r"|x509: certificate signed by unknown authority|TLS: server certificate not trusted"
    r"|cannot verify \S{1,200}'s certificate, issued by|server certificate verification failed\. CAfile: /",
)
_SERVER = re.compile(
    r"(?:certificate verify failed|SSL certificate problem): self[- ]signed certificate(?! in)|DEPTH_ZERO_SELF_SIGNED_CERT",
    re.IGNORECASE,
)
_EXPIRED = re.compile(
    r"certificate verify failed: certificate has expired|SSL certificate problem: certificate has expired|CERT_HAS_EXPIRED"
)
_NAME = re.compile(
    r"Temporary failure in name resolution|\[Errno -3\] Try again|Name or service not known|Name does not resolve"
    r"|Temporary failure resolving '\S{1,200}'"
    r"|Could not resolve (?:host|proxy)|wget: bad address '|getaddrinfo (?:EAI_AGAIN|ENOTFOUND)"
    r"|failed to lookup address information"
    r"|WARNING: (?:fetching|opening|updating) .{1,300}: DNS ",
)
_UNREACHABLE = re.compile(
    r"\[Errno (?:101|111|113)\]|Connection refused|Failed to connect to remote host"
    r"|Network is unreachable|No route to host|Failed to connect to \S{1,200} port \d+"
    r"|(?:ConnectTimeoutError|NewConnectionError|ReadTimeoutError)\(|(?:connect ECONNREFUSED|ETIMEDOUT|ECONNRESET)\b"
    r"|WARNING: (?:fetching|opening|updating) .{1,300}: (?:temporary error|network error|could not connect)|Connection timed out",
)
_REFUSES = re.compile(
    r"\b40[137]\s{1,3}(?:Client Error|Forbidden|Unauthorized|Proxy Authentication Required)"
    r"|(?:HTTP Error|ERROR|error:|returned error:) 40[137]\b"
    r"|Tunnel connection failed: 40[37]|npm (?:ERR!|error) code E40[13]|status code: 40[137]|remote server returned error \(try '",
    re.IGNORECASE,
)
_BUNDLE_PACKAGES = ("ca-certificates", "ca-certificates-bundle")
_CA = Provider("the CA bundle", "ca-certificates", "ca-certificates", "ca-certificates-bundle")


def find_no_bundle(case: Case) -> Iterator[Finding]:
    """Say that there is no CA bundle at all, so every certificate is refused."""
    hits = first(search(case.said, _NO_BUNDLE))
    packages = _bundle_packages(case)
    if not hits and packages == []:
        hits = first(search(case.checks, _ISSUER))
    if hits:
        also = ["none of the image's packages is a CA bundle"] if packages == [] else []
        remedy = (
            f"Install it: {render_install(_CA, case.system)}; in an image without a package manager, copy "
            "/etc/ssl/certs/ca-certificates.crt from a stage that has it."
        )
        yield make_finding(
            "ca-bundle-missing",
            "there is no CA bundle where it is looked for",
            hits[0].said.where,
            [*lines_of(hits), *also],
            remedy,
        )


def find_company_ca(case: Case) -> Iterator[Finding]:
    """Say that a chain of certificates ends in an authority that the bundle does not know, such as a company's own."""
    hits = first(search(case.said, _COMPANY))
    packages = _bundle_packages(case)
    if not hits and packages:
        hits = [hit for hit in first(search(case.checks, _ISSUER)) if not _NO_BUNDLE.search(hit.said.text)]
    if hits:
        bundle = [f"the image has {packages[0]}: a bundle is there, and this authority is not in it"] if packages else []
        title = "the server's certificate is signed by an authority that is not in the CA bundle, such as a company's own"
        yield make_finding(
            "company-ca-missing", title, hits[0].said.where, [*lines_of(hits), *bundle], _company_remedy(hits[0].said, case)
        )


def _company_remedy(said: Said, case: Case) -> str:
    if said is case.build:
        return (
            "Give the build the company's CA as a secret (`secrets: {ca: {file_env: SSL_CERT_FILE}}`, "
            "`RUN --mount=type=secret,id=ca`) and point the tool at it: PIP_CERT, SSL_CERT_FILE, NODE_EXTRA_CA_CERTS, "
            "or /etc/apk/ca.pem for apk."
        )
    return "Copy the company's CA to /usr/local/share/ca-certificates/NAME.crt and run `update-ca-certificates` in the image" + (
        " (a base without that tool: append it to /etc/ssl/certs/ca-certificates.crt)." if case.system == WOLFI else "."
    )


def find_unknown_issuer(case: Case) -> Iterator[Finding]:
    """Say that a certificate's issuer is not known, and nothing tells whether that is the bundle's want or the issuer's."""
    if _bundle_packages(case) is None or case.build:
        hits = [hit for hit in first(search(case.said, _ISSUER)) if hit.said is case.build or _bundle_packages(case) is None]
        if hits:
            remedy = (
                f"If the image has no CA bundle, install it: {render_install(_CA, case.system)}. If it has one, the authority "
                "is one of your own: give its certificate to the build as a secret, or copy it and run "
                "`update-ca-certificates`."
            )
            title = "a certificate's issuer is not known: either there is no CA bundle, or the authority is a company's own"
            yield make_finding_from("unknown-issuer", title, hits, remedy)


def find_bad_server_certificate(case: Case) -> Iterator[Finding]:
    """Say that the server's own certificate is what is wrong, not the image's bundle."""
    for pattern, what in ((_SERVER, "is signed by nobody but itself"), (_EXPIRED, "has expired")):
        hits = first(search(case.said, pattern))
        if hits:
            remedy = "Mend the server's certificate; where the clock of the machine is wrong, set that first. No CA bundle helps."
            yield make_finding_from("bad-server-certificate", f"the server's certificate {what}", hits, remedy)
            return


def _bundle_packages(case: Case) -> list[str] | None:
    """Give the packages of an image that are CA bundles; None where its packages are not known."""
    packages = case.cell.image.packages if case.cell.image else None
    return None if packages is None or not packages.os else [one.name for one in packages.os if one.name in _BUNDLE_PACKAGES]


def find_refusal(case: Case) -> Iterator[Finding]:
    """Say that an index or a proxy answers, and refuses."""
    hits = first(search(case.said, _REFUSES))
    if hits:
        remedy = (
            "Give the build what the index or the proxy asks for: a pip.conf or .npmrc as a build secret, HTTPS_PROXY with its "
            "credentials as `secret_args`; or ask for access. A package that is blocked by policy answers in the same way."
        )
        yield make_finding_from("index-refuses", "the index, the repository or a proxy refuses the request", hits, remedy)


def find_no_name(case: Case) -> Iterator[Finding]:
    """Say that a host's name does not resolve."""
    yield from _network_finding(case, "name-not-resolved", "a host's name cannot be resolved", _NAME)


def find_unreachable(case: Case) -> Iterator[Finding]:
    """Say that a host cannot be reached."""
    hits = first(search(case.said, _UNREACHABLE))
    if hits and not any(_REFUSES.search(hit.line) or _NAME.search(hit.line) for hit in hits):
        yield from _network_finding(case, "network-unreachable", "a host cannot be reached", _UNREACHABLE)


def _network_finding(case: Case, code: str, title: str, pattern: re.Pattern[str]) -> Iterator[Finding]:
    hits: list[Hit] = first(search(case.said, pattern))
    if not hits:
        return
    if hits[0].said is case.build:
        where = " in the build"
        remedy = (
            "See that the builder has a network: no `--network=none` on the step, `network: host` for the cell where the machine "
            "itself reaches the host, HTTPS_PROXY among `args` where only a proxy does."
        )
    else:
        where = " in the check's container"
        remedy = (
            "A check's container has no network unless it asks for one: set `network: bridge` on this check. At localhost there "
            "is only what the image starts; a name that only your cluster knows is known in no check."
        )
    yield make_finding_from(code, title + where, hits, remedy)


def find_dns_search(case: Case) -> Iterator[Finding]:
    """Say that the resolver does not search as glibc's does: what the probe dns found."""
    for said in case.checks:
        resolved = said.detail.get("resolved")
        if said.where != "check probe dns" or said.detail.get("libc") != "musl" or not isinstance(resolved, dict):
            continue
        failed = [str(name) for name, good in resolved.items() if good is False]
        if failed and resolved.get("qualified name with final dot") is True:
            lines = [f"does not resolve: {name}" for name in failed]
            remedy = (
                "Use fully qualified names (`otel-collector.monitoring.svc.cluster.local`, with a final dot where ndots is high): "
                "musl tries a name with a dot as it is and asks no search domain; no package changes that, libc6-compat neither."
            )
            yield make_finding("dns-search", "musl's resolver does not search domains as glibc's does", said.where, lines, remedy)


RULES = (
    Rule(
        "ca-bundle-missing",
        "There is no CA bundle, so every certificate is refused.",
        "A tool's word that the bundle's file is not there, the probe tls, or an unknown issuer in an image none of "
        "whose packages is a bundle.",
        "The package with the bundle.",
        find_no_bundle,
        hides=("unknown-issuer", "company-ca-missing", "nothing-offered", "network-unreachable"),
    ),
    Rule(
        "company-ca-missing",
        "A bundle is there, and does not know the authority that signed: a company's own CA.",
        "`self-signed certificate in certificate chain`, or an unknown issuer in an image that has a bundle's package.",
        "The CA as a build secret; in the image, `update-ca-certificates`.",
        find_company_ca,
        hides=("unknown-issuer", "nothing-offered", "network-unreachable", "bad-server-certificate"),
    ),
    Rule(
        "unknown-issuer",
        "A certificate's issuer is unknown, and nothing tells which of the two above it is.",
        "`unable to get local issuer certificate` in a build, or in an image whose packages are unknown.",
        "The bundle, or the company's CA.",
        find_unknown_issuer,
        hides=("nothing-offered", "network-unreachable"),
    ),
    Rule(
        "bad-server-certificate",
        "The server's own certificate is wrong: self-signed or expired.",
        "The tool's words, without a chain.",
        "The server's certificate.",
        find_bad_server_certificate,
        hides=("nothing-offered", "network-unreachable"),
    ),
    Rule(
        "index-refuses",
        "An index, a repository or a proxy refuses: 401, 403, 407.",
        "The status in a line of the step or the check that failed.",
        "Credentials as a build secret, or access.",
        find_refusal,
        hides=("nothing-offered", "network-unreachable", "no-system-package"),
    ),
    Rule(
        "name-not-resolved",
        "A host's name cannot be resolved.",
        "The resolver's words in a step or a check that failed.",
        "A network for the step or the check, or a proxy.",
        find_no_name,
        hides=("nothing-offered", "network-unreachable", "no-system-package"),
    ),
    Rule(
        "network-unreachable",
        "A host cannot be reached.",
        "The connection's error in a step or a check that failed.",
        "A network for the step or the check, or a proxy.",
        find_unreachable,
        hides=("nothing-offered", "no-system-package"),
    ),
    Rule(
        "dns-search",
        "musl's resolver does not use search domains as glibc's does.",
        "The probe dns on musl: short names fail that a fully qualified name does not.",
        "Fully qualified names.",
        find_dns_search,
    ),
)
