"""Platforms as people write them, in the one form in which Docker compares them."""

from __future__ import annotations

_ARCHITECTURES = {
    "x86_64": "amd64",
    "x86-64": "amd64",
    "aarch64": "arm64",
    "i386": "386",
    "i686": "386",
    "armhf": "arm/v7",
    "armel": "arm/v6",
}
_SYSTEMS = ("linux", "windows", "darwin", "freebsd")
_SAME = {"arm64/v8": "arm64", "amd64/v1": "amd64", "arm": "arm/v7"}  # what is meant where no variant is said


def normal_platform(text: str) -> str:
    """Write a platform as Docker compares it: `aarch64` and `linux/arm64/v8` are `linux/arm64`, `linux/arm` is `linux/arm/v7`."""
    parts = text.strip().lower().split("/")
    system = parts.pop(0) if parts[0] in _SYSTEMS else "linux"
    if not parts:
        return system
    machine = "/".join([_ARCHITECTURES.get(parts[0], parts[0]), *(f"v{one}" if one.isdecimal() else one for one in parts[1:])])
    return f"{system}/{_SAME.get(machine, machine)}"


def fitting_platforms(platform: str) -> tuple[str, ...]:
    """Give the platforms whose images run on one, the best first: its own, then those of lesser variants, then that of none."""
    machine, mark, number = platform.rpartition("/v")
    if not mark or not number.isdecimal() or len(number) > 1:
        return (platform,)
    lesser = [normal_platform(f"{machine}/v{one}") for one in range(int(number), 0, -1)]
    return tuple(dict.fromkeys([*lesser, machine]))
