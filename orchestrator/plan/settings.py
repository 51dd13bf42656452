"""A cell's merged settings, from plain data to the frozen Settings, and back."""

from __future__ import annotations

from typing import Any

from orchestrator.model import (
    Check,
    HealthyCheck,
    HttpCheck,
    ImportCheck,
    Limits,
    Pairs,
    ProbeCheck,
    RunCheck,
    Secret,
    Settings,
    StructureCheck,
    Timeouts,
)
from orchestrator.units import render_span

MERGED_LISTS = frozenset({"smoke"})
MERGED_MAPPINGS = frozenset({"args", "secret_args", "secrets", "env", "labels", "contexts", "timeout"})

_PLAIN = ("dockerfile", "context", "target", "platform", "network", "requirements", "source", "libc", "push", "retries")
_PAIRS = ("contexts", "args", "secret_args", "env", "labels")


def make_settings(data: dict[str, Any]) -> Settings:
    """Freeze checked, merged and filled settings."""
    found: dict[str, Any] = {name: data[name] for name in _PLAIN if name in data}
    found |= {name: _pairs(data[name]) for name in _PAIRS if name in data}
    if "secrets" in data:
        found["secrets"] = tuple(Secret(id=name, **spec) for name, spec in data["secrets"].items())
    if "cache" in data:
        found["cache_from"] = tuple(data["cache"].get("from", ()))
        found["cache_to"] = tuple(data["cache"].get("to", ()))
    if "smoke" in data:
        found["smoke"] = tuple(_make_check(check) for check in data["smoke"])
    if "timeout" in data:
        found["timeout"] = Timeouts(**{f"{part}_s": value for part, value in data["timeout"].items() if value})
    return Settings(**found)


def _make_check(data: dict[str, Any]) -> Check:
    limits = _make_limits(data)
    match data:
        case {"import": modules}:
            return ImportCheck(tuple(modules), limits)
        case {"run": argv}:
            return RunCheck(tuple(argv), data.get("exit", 0), data.get("stdout"), limits)
        case {"http": http}:
            known = {name: http[name] for name in ("port", "path", "status", "body") if name in http}
            within = {"within_s": http["within"]} if "within" in http else {}
            return HttpCheck(**known, **within, header=_pairs(http.get("header", {})), limits=limits)
        case {"healthy": healthy}:
            within = {"within_s": healthy["within"]} if "within" in healthy else {}
            return HealthyCheck(**within, limits=limits)
        case {"probe": name}:
            return ProbeCheck(name, limits)
    return StructureCheck(data["structure"], limits)


def _make_limits(data: dict[str, Any]) -> Limits:
    names = {
        "timeout": "timeout_s",
        "memory": "memory_bytes",
        "pids": "pids",
        "cpus": "cpus",
        "network": "network",
        "writable": "writable",
    }
    found = {ours: data[theirs] for theirs, ours in names.items() if data.get(theirs) is not None}
    return Limits(**found, capabilities=tuple(data.get("capabilities") or ()))


def _pairs(data: dict[str, str]) -> Pairs:
    return tuple(data.items())


def render_settings(settings: Settings) -> dict[str, Any]:
    """Write settings as matrix.yaml would, with the defaults that apply."""
    found: dict[str, Any] = {name: getattr(settings, name) for name in _PLAIN}
    found |= {name: dict(getattr(settings, name)) for name in _PAIRS}
    found["secrets"] = {
        secret.id: {name: value for name in ("file", "env", "file_env") if (value := getattr(secret, name))}
        | ({"optional": True} if secret.optional else {})
        for secret in settings.secrets
    }
    if settings.cache_from or settings.cache_to:
        found["cache"] = {"from": list(settings.cache_from), "to": list(settings.cache_to)}
    found["smoke"] = [_render_check(check) for check in settings.smoke]
    found["timeout"] = {"build": render_span(settings.timeout.build_s), "smoke": render_span(settings.timeout.smoke_s)}
    return {key: value for key, value in found.items() if value not in (None, {}, [])}


def _render_check(check: Check) -> dict[str, Any]:
    match check:
        case ImportCheck():
            found: dict[str, Any] = {"import": list(check.modules)}
        case RunCheck():
            found = {"run": list(check.argv), "exit": check.exit}
            if check.stdout is not None:
                found["stdout"] = check.stdout
        case HttpCheck():
            http = {"port": check.port, "path": check.path, "status": check.status, "within": render_span(check.within_s)}
            http |= {"header": dict(check.header)} if check.header else {}
            http |= {"body": check.body} if check.body is not None else {}
            found = {"http": http}
        case HealthyCheck():
            found = {"healthy": {"within": render_span(check.within_s)}}
        case ProbeCheck():
            found = {"probe": check.probe}
        case StructureCheck():
            found = {"structure": check.file}
    return found | _render_limits(check.limits)


def _render_limits(limits: Limits) -> dict[str, Any]:
    defaults = Limits()
    names = {"memory": "memory_bytes", "pids": "pids", "cpus": "cpus", "network": "network"}
    found: dict[str, Any] = {"timeout": render_span(limits.timeout_s)} if limits.timeout_s else {}
    found |= {theirs: getattr(limits, ours) for theirs, ours in names.items() if getattr(limits, ours) != getattr(defaults, ours)}
    found |= {"capabilities": list(limits.capabilities)} if limits.capabilities else {}
    return found | ({"writable": True} if limits.writable else {})
