"""The few messages of BuildKit's API that matrix speaks, by their names and field numbers."""

from __future__ import annotations

from functools import cache
from typing import Any

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

_TEXT, _FLAG, _NUMBER, _BYTES = (
    FieldDescriptorProto.TYPE_STRING,
    FieldDescriptorProto.TYPE_BOOL,
    FieldDescriptorProto.TYPE_INT64,
    FieldDescriptorProto.TYPE_BYTES,
)
_PACKAGE = "matrix"
_FIELDS: dict[str, dict[str, tuple[int, Any]]] = {
    "Nothing": {},
    "BuildHistoryRequest": {"active_only": (1, _FLAG)},
    "BuildHistoryEvent": {"record": (2, "BuildHistoryRecord")},
    "BuildHistoryRecord": {
        "ref": (1, _TEXT),
        "frontend_attrs": (3, ["Pair"]),
        "error": (5, "Nothing"),  # only whether there is one
        "created_at": (6, "Timestamp"),
        "trace": (13, "Descriptor"),
    },
    "Pair": {"key": (1, _TEXT), "value": (2, _TEXT)},
    "Timestamp": {"seconds": (1, _NUMBER), "nanos": (2, _NUMBER)},
    "Descriptor": {"media_type": (1, _TEXT), "digest": (2, _TEXT), "size": (3, _NUMBER)},
    "UpdateBuildHistoryRequest": {"ref": (1, _TEXT), "finalize": (4, _FLAG)},
    "ReadContentRequest": {"digest": (1, _TEXT)},
    "ReadContentResponse": {"data": (2, _BYTES)},
    "Workers": {"record": (1, ["Worker"])},
    "Worker": {"id": (1, _TEXT)},
}


@cache
def message(name: str) -> type[Any]:
    """Give the class of a message; fields that it does not name are passed over."""
    return GetMessageClass(_pool().FindMessageTypeByName(f"{_PACKAGE}.{name}"))


@cache
def _pool() -> DescriptorPool:
    file = FileDescriptorProto(name="buildkit.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in _FIELDS.items():
        described = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            is_list = isinstance(kind, list)
            label = FieldDescriptorProto.LABEL_REPEATED if is_list else FieldDescriptorProto.LABEL_OPTIONAL
            one = described.field.add(name=field, number=number, label=label)
            if is_list or isinstance(kind, str):
                one.type, one.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".{_PACKAGE}.{kind[0] if is_list else kind}"
            else:
                one.type = kind
    pool = DescriptorPool()
    pool.Add(file)
    return pool
