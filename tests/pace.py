"""How much longer than usual this machine takes just now: limits of time are for one that nothing else slows down."""

from __future__ import annotations

import json
import time

_OBJECTS = 60_000
_USUAL_S = 0.2


def slowness() -> float:
    """Give by what a limit is to be multiplied: 1 where a fixed piece of such work as ours takes no longer than usual."""
    began = time.process_time()
    made = [{"id": str(at), "pair": [at, at * 2], "text": ("a" * at)[:20]} for at in range(_OBJECTS)]
    sorted(json.loads(json.dumps(made)), key=lambda one: str(one["id"]))
    return max(1.0, (time.process_time() - began) / _USUAL_S)
