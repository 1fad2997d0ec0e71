"""The checked walk: what tomllib read, against the structs of the schema, every fault noted and nothing given up.

msgspec's own conversion stops at the first fault and loses the keys of tables, so this goes through the types itself.
A value with a fault is left out: its field keeps the default and the rest of the file is still checked.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from routerd.config import schema
from routerd.config.faults import Faults, did_you_mean
from routerd.config.lines import Path
from routerd.config.units import Reader, Unreadable, Whole, kind, quoted, text

S = TypeVar("S", bound=msgspec.Struct)

FAULTY: Any = msgspec.UNSET
"""Stands for a value that had a fault, which is noted already."""


def build(kind_of: type[S], table: Mapping[str, object], faults: Faults, *, path: Path = ()) -> S | None:
    """The struct that a table describes; None where a required field is missing or faulty."""
    fields = _fields(kind_of)
    hints = _hints(kind_of)
    for key in table:
        if key not in fields:
            faults.add((*path, key), _unknown(kind_of, key, known=fields))
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in table:
            value = _value(hints[name], table[name], faults, path=(*path, name), owner=(kind_of, name))
            if value is not FAULTY:
                values[name] = value
        elif field.required:
            faults.add((*path, name), "is missing")
    if any(field.required and name not in values for name, field in fields.items()):
        return None
    return kind_of(**values)


@functools.cache
def _fields(kind_of: type[msgspec.Struct]) -> dict[str, msgspec.structs.FieldInfo]:
    return {field.name: field for field in msgspec.structs.fields(kind_of)}


@functools.cache
def _hints(kind_of: type[msgspec.Struct]) -> dict[str, Any]:
    return get_type_hints(kind_of, include_extras=True)


def _unknown(kind_of: type[msgspec.Struct], key: str, *, known: Mapping[str, object]) -> str:
    """What to say of a key that the struct has not."""
    if key in schema.LATER.get(kind_of, ()):
        return "unknown key, not in this version"
    return "unknown key" + did_you_mean(key, known)


def _value(hint: Any, value: object, faults: Faults, *, path: Path, owner: tuple[type, str] | None = None) -> Any:  # noqa: ANN401  (a type as data)
    """`value` read as `hint` says, or FAULTY."""
    reader = schema.READERS.get(owner) if owner else None
    hint, marks = _unwrapped(hint)
    reader = reader or next((mark for mark in marks if isinstance(mark, Reader)), None)
    if reader is not None:
        return _noted(reader, value, faults, path=path)
    origin, arguments = get_origin(hint), get_args(hint)
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return _table(hint, value, faults, path=path)
    if origin is dict:
        return _named(arguments[1], value, faults, path=path)
    if origin is tuple:
        return _list(arguments[0], value, faults, path=path)
    if origin is Literal:
        return _noted(Reader(functools.partial(_choice, choices=arguments)), value, faults, path=path)
    bounds = next((mark for mark in marks if isinstance(mark, Whole)), None)
    plain: Mapping[type, Callable[[object], Any]] = {
        bool: _truth,
        str: _any_text,
        int: functools.partial(_whole, bounds=bounds),
    }
    return _noted(Reader(plain[hint]), value, faults, path=path)


def _unwrapped(hint: Any) -> tuple[Any, tuple[Any, ...]]:  # noqa: ANN401  (a type as data)
    """A type without `| None` (TOML has no null) and without its annotations, and those annotations."""
    if get_origin(hint) in {Union, types.UnionType}:
        hint = next(part for part in get_args(hint) if part is not types.NoneType)
    if get_origin(hint) is Annotated:
        return hint.__origin__, hint.__metadata__
    return hint, ()


def _noted(reader: Reader, value: object, faults: Faults, *, path: Path) -> Any:  # noqa: ANN401  (whatever is read)
    """What the reader reads; its ValueError becomes a fault."""
    try:
        return reader.read(value)
    except ValueError as error:
        faults.add(path, str(error))
        return FAULTY


def _table(kind_of: type[S], value: object, faults: Faults, *, path: Path) -> S | Any:  # noqa: ANN401  (or FAULTY)
    if not isinstance(value, dict):
        faults.add(path, f"must be a table, not {kind(value)}")
        return FAULTY
    built = build(kind_of, value, faults, path=path)
    return FAULTY if built is None else built


def _named(hint: Any, value: object, faults: Faults, *, path: Path) -> Any:  # noqa: ANN401  (a type as data)
    """A table whose keys are the user's own names; one faulty entry leaves the others."""
    if not isinstance(value, dict):
        faults.add(path, f"must be a table, not {kind(value)}")
        return FAULTY
    read = {}
    for name, item in value.items():
        if not name or not name.isprintable() or name != name.strip():
            faults.add((*path, name), "a name must not be empty, begin or end with a blank, or hold control characters")
            continue
        entry = _value(hint, item, faults, path=(*path, name))
        if entry is not FAULTY:
            read[name] = entry
    return read


def _list(hint: Any, value: object, faults: Faults, *, path: Path) -> Any:  # noqa: ANN401  (a type as data)
    """A list without repetitions; one faulty item makes the whole faulty, for a shortened list means something else."""
    if not isinstance(value, list):
        faults.add(path, f"must be a list, not {kind(value)}")
        return FAULTY
    read: list[Any] = []
    for place, item in enumerate(value):
        entry = _value(hint, item, faults, path=(*path, place))
        if entry is not FAULTY and entry in read:
            faults.add((*path, place), f"{quoted(str(item))} is listed twice")
            entry = FAULTY
        read.append(entry)
    return FAULTY if any(entry is FAULTY for entry in read) else tuple(read)


def _choice(value: object, *, choices: tuple[str, ...]) -> str:
    wanted = " or ".join(quoted(choice) for choice in choices)
    if not isinstance(value, str):
        raise Unreadable(f"must be {wanted}, not {kind(value)}")
    if value not in choices:
        raise Unreadable(f"must be {wanted}, not {quoted(value)}{did_you_mean(value, choices)}")
    return value


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise Unreadable(f"must be true or false, not {kind(value)}")
    return value


def _any_text(value: object) -> str:
    """Text that may be empty, where empty means the default."""
    return "" if value == "" else text(value)


def _whole(value: object, *, bounds: Whole | None) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Unreadable(f"must be a whole number, not {value if isinstance(value, float) else kind(value)}")
    if bounds and not bounds.least <= value <= bounds.most:
        raise Unreadable(f"must be from {bounds.least} to {bounds.most}")
    return value
