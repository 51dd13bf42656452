"""YAML text to plain data with the line of everything, within bounds."""

from __future__ import annotations

import re
from typing import Any

import yaml
from msgspec import Struct, field

from orchestrator.errors import ConfigError

Path = tuple[str | int, ...]

MAX_NODES = 200_000  # aliases may repeat a node; past this the file is a bomb, not a matrix
MAX_DEPTH = 40

_HALVES = re.compile("[\ud800-\udfff]")
_SPECIAL = yaml.SafeLoader.NON_PRINTABLE  # what YAML has no place for


_MEANT = (
    ("'<stream end>'", "the end of the file"),
    ("unexpected end of stream", "the end of the file"),
    ("'<block sequence start>'", "'-'"),
    ("'<block mapping start>'", "'?'"),
    ("expected <block end>, but found '-'", "found an item of a list that is not indented as those above it"),
    ("expected <block end>, but found '?'", "found a key that is not indented as those above it"),
    ("expected <block end>", "expected the next key"),
    ("'<scalar>'", "a text"),
    (
        "mapping values are not allowed here",
        "a second ': ' cannot stand here; put a text that has one in quotes, or see how the line is indented",
    ),
)
_MERGE = "tag:yaml.org,2002:merge"
_COLLECTIONS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core words, and no numbers but plain integers.

    Python versions are the reason: to YAML 1.1 the words 3.10, 1:30 and no are
    a float, a sexagesimal and a boolean. Here they stay as they are written.
    """

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  # PyYAML's own shape


_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^-?(?:0|[1-9][0-9]{0,17})$"), list("-0123456789"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""])
_Loader.add_implicit_resolver(_MERGE, re.compile(r"^<<$"), ["<"])


class Source(Struct):
    """A file's data and where each part of it stands."""

    name: str
    data: Any
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[tuple[int, str]] = field(default_factory=list)

    def line_of(self, path: Path) -> int:
        """Give the line of a part, or of the nearest part around it that exists."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def parse_source(text: str, name: str) -> Source:
    """Read one YAML document; an unreadable one is a ConfigError with its line."""
    if bad := _SPECIAL.search(text):
        line = text.count("\n", 0, bad.start()) + 1
        raise ConfigError([f"{name}:{line}: a control character (U+{ord(bad[0]):04X}) cannot be in YAML; remove it"])
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        raise ConfigError([f"{name}:{line}: not YAML: {_say(error)}"]) from error
    except (yaml.YAMLError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ConfigError([f"{name}:1: not YAML: {reason}"]) from error
    source = Source(name, None)
    if node is not None:
        source.data = _Reader(source).read(node, (), 0)
    return source


def _say(error: yaml.MarkedYAMLError) -> str:
    """Say what is not YAML in PyYAML's words, but for those that only its makers know, and with the most likely cause."""
    problem = error.problem or ""
    if "'\\t'" in problem:
        return "a tab cannot stand here; use spaces"
    for words, meant in _MEANT:
        problem = problem.replace(words, meant)
    return ", ".join(filter(None, (error.context, problem)))


class _Reader:
    """Walks the nodes once, expanding aliases and merge keys within bounds."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.seen = 0

    def read(self, node: yaml.Node, path: Path, depth: int) -> Any:  # noqa: ANN401  # YAML data is anything
        line = node.start_mark.line + 1
        self.seen += 1
        if self.seen > MAX_NODES:
            raise ConfigError([f"{self.source.name}:{line}: more than {MAX_NODES} values once aliases are expanded"])
        if depth > MAX_DEPTH:
            raise ConfigError([f"{self.source.name}:{line}: nested deeper than {MAX_DEPTH} levels"])
        self.source.lines.setdefault(path, line)
        if not isinstance(node, yaml.ScalarNode) and node.tag not in _COLLECTIONS:
            self._refuse_tag(node.tag, line)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.read(item, (*path, at), depth + 1) for at, item in enumerate(node.value)]
        return self._scalar(node, line)

    def _scalar(self, node: yaml.Node, line: int) -> str | int | bool | None:
        text = self._text(node)
        match node.tag.removeprefix("tag:yaml.org,2002:"):
            case "str" | "merge":
                return text
            case "null":
                return None
            case "bool":
                return text.lower() == "true"
            case "int" if re.fullmatch(r"-?[0-9]{1,18}", text):
                return int(text)
        self._refuse_tag(node.tag, line)
        return text

    def _refuse_tag(self, tag: str, line: int) -> None:
        self.source.problems.append((line, f"tag {tag} is not known here; matrix.yaml holds plain values only"))

    def _text(self, node: yaml.Node) -> str:
        """Give the text of a value or a key, without what no command could be given."""
        text = str(node.value)
        line = node.start_mark.line + 1
        if _HALVES.search(text):
            self.source.problems.append((line, "half of a surrogate pair is no character; write the whole one"))
        if "\0" in text:
            self.source.problems.append((line, "a NUL (\\0) can be in no argument, name or variable; remove it"))
        return _HALVES.sub("?", text).replace("\0", "")

    def _mapping(self, node: yaml.MappingNode, path: Path, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merged: list[tuple[yaml.Node, yaml.Node]] = []
        first: dict[str, int] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if not isinstance(key_node, yaml.ScalarNode):
                self.source.problems.append((line, "a key must be a plain word"))
            elif (key := self._text(key_node)) in first:
                self.source.problems.append((line, f"key '{key}' is there twice; the first is on line {first[key]}"))
            elif key_node.tag == _MERGE:
                first[key] = line
                merged += self._merged_pairs(value_node, depth)
            else:
                first[key] = self.source.lines[(*path, key)] = line
                found[key] = self.read(value_node, (*path, key), depth + 1)
        for key_node, value_node in merged:
            key = self._text(key_node)
            if key not in found:
                self.source.lines[(*path, key)] = key_node.start_mark.line + 1
                found[key] = self.read(value_node, (*path, key), depth + 1)
        return found

    def _merged_pairs(self, value: yaml.Node, depth: int) -> list[tuple[yaml.Node, yaml.Node]]:
        """Give the pairs of the mappings that a merge key names, the nearest first: a mapping's own come before those it merges."""
        line = value.start_mark.line + 1
        if depth > MAX_DEPTH:
            raise ConfigError([f"{self.source.name}:{line}: merge keys nested deeper than {MAX_DEPTH} levels"])
        pairs: list[tuple[yaml.Node, yaml.Node]] = []
        for parent in value.value if isinstance(value, yaml.SequenceNode) else [value]:
            if not isinstance(parent, yaml.MappingNode):
                self.source.problems.append((line, "'<<' takes a mapping or a list of mappings"))
                continue
            inherited: list[tuple[yaml.Node, yaml.Node]] = []
            for key, item in parent.value:
                self.seen += 1
                if not isinstance(key, yaml.ScalarNode):
                    self.source.problems.append((key.start_mark.line + 1, "a key must be a plain word"))
                elif key.tag == _MERGE:
                    inherited += self._merged_pairs(item, depth + 1)
                else:
                    pairs.append((key, item))
            pairs += inherited
            if self.seen > MAX_NODES:
                raise ConfigError([f"{self.source.name}:{line}: more than {MAX_NODES} values once merged"])
        return pairs
