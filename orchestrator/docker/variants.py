"""An image once more with another configuration: the same layers, so nothing of it has to be moved."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

from orchestrator.disk import disk_errors

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.model import Pairs

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # what a container has when its image names none


def make_variant(config: dict[str, Any], env: Pairs, user: str | None) -> dict[str, Any]:
    """Give an image's configuration with more variables and another user, and without what `FROM` would set off."""
    inner = dict(config.get("config") or {})
    variables = dict(pair.partition("=")[::2] for pair in inner.get("Env") or ()) | dict(env)
    inner["Env"] = [f"{name}={value}" for name, value in ({"PATH": PATH} | variables).items()]
    inner.pop("OnBuild", None)
    if user:
        inner["User"] = user
    return {**config, "config": inner}


def save_variant(layout: Path, manifest: dict[str, Any], config: dict[str, Any]) -> str:
    """Put a configuration, and a manifest that names it, into a layout; give the manifest's digest."""
    with disk_errors(layout):
        layout.joinpath("oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    config_digest, size = _save_blob(layout, config)
    digest, _ = _save_blob(layout, {**manifest, "config": {**manifest["config"], "digest": config_digest, "size": size}})
    return digest


def _save_blob(layout: Path, document: dict[str, Any]) -> tuple[str, int]:
    text = json.dumps(document).encode()
    digest = hashlib.sha256(text).hexdigest()
    path = layout / "blobs" / "sha256" / digest
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)
    return f"sha256:{digest}", len(text)
