"""Schemas: frozen dataclasses as the form of a TOML table, read strictly and written back. Standard library only.

The annotations say what a key takes: bool, int, float, str, a Literal, tuples, mappings of strings, further
dataclasses, and unions of these. `key` adds what it means and the range it lies in.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

from mapgen.errors import UsageError, Words, one_line

T = TypeVar("T")

Check = Callable[[Any], str | None]
"""What was expected of a value, None where it is right."""


def key(
    about: str,
    default: Any = dataclasses.MISSING,
    *,
    name: str | None = None,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    check: Check | None = None,
) -> Any:
    """A field that is a key: what it is about in one line, its default, and what its values may be.

    Numbers lie in `low` … `high` and beyond `above`; `name` is the key where Python cannot spell it.
    """
    facts = {"about": about, "name": name, "low": low, "high": high, "above": above, "check": check}
    if isinstance(default, Mapping) or dataclasses.is_dataclass(default):
        return dataclasses.field(default_factory=lambda: default, metadata=facts)
    return dataclasses.field(default=default, metadata=facts)


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One key of a schema, for its reference: the table it is in, and how its type and default are written."""

    table: str
    name: str
    kind: str
    default: str
    about: str


def read_table(kind: type[T], table: Mapping[str, Any], source: str, path: str = "") -> T:
    """The dataclass `kind` with the values of a table; keys left out keep their defaults.

    Raises `UsageError` naming the file `source`, the key and the value: for unknown keys with the nearest known one,
    for wrong types, values out of range, and missing keys without a default.
    """
    fields = {_name(field): field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = [name for name in table if name not in fields]
    if unknown:
        raise UsageError(source, f"{_joined(path, unknown[0])} is not a key", _nearest(unknown[0], list(fields), path))
    hints = typing.get_type_hints(kind)
    values = {}
    for name, field in fields.items():
        at = _joined(path, name)
        if name in table:
            values[field.name] = _read(hints[field.name], table[name], source, at)
            _check_range(values[field.name], field.metadata, source, at)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            where = f"[{path}]" if path else "the file"
            raise UsageError(source, f"{at} is missing", f"add {name} = … to {where}")
    return kind(**values)


def _read(hint: Any, value: Any, source: str, path: str) -> Any:
    try:
        return _converted(hint, value, source, path)
    except _Mismatch:
        raise UsageError(source, f"{path} is {_shown(value)}, expected {_kind(hint)}", "correct it") from None


class _Mismatch(Exception):
    """A value of another type than the annotation says."""


def _converted(hint: Any, value: Any, source: str, path: str) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        if not _writable(value):  # dates are all that TOML has besides
            raise _Mismatch
        return value
    if origin in (Union, types.UnionType):
        return _one_of(arguments, value, source, path)
    if origin is Literal:
        return _choice(arguments, value, source, path)
    if origin is tuple:
        return _tuple(arguments, value, source, path)
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            raise _Mismatch
        return {k: _read(arguments[1], v, source, f"{path}.{k}") for k, v in value.items()}
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, dict):
            raise _Mismatch
        return read_table(typing.cast(type[Any], hint), value, source, path)
    return _plain(hint, value)


def _one_of(arguments: tuple[Any, ...], value: Any, source: str, path: str) -> Any:
    for one in arguments:
        if one is type(None):
            continue
        try:
            return _converted(one, value, source, path)
        except _Mismatch:
            continue
    raise _Mismatch


def _choice(choices: tuple[Any, ...], value: Any, source: str, path: str) -> Any:
    if value in choices and isinstance(value, str):
        return value
    names = [str(c) for c in choices]
    near = get_close_matches(str(value), names, 1)
    remedy = f"did you mean {_shown(near[0])}?" if near else "correct it"
    raise UsageError(source, f"{path} is {_shown(value)}, expected {' or '.join(map(_shown, names))}", remedy)


def _tuple(arguments: tuple[Any, ...], value: Any, source: str, path: str) -> tuple[Any, ...]:
    many = len(arguments) == 2 and arguments[1] is ...
    if many and not isinstance(value, list) and not dataclasses.is_dataclass(arguments[0]):
        value = [value]  # one may come without brackets
    if not isinstance(value, list) or not (many or len(value) == len(arguments)):
        raise _Mismatch
    hints = [arguments[0]] * len(value) if many else list(arguments)
    if many and len(value) == 1:
        return (_converted(hints[0], value[0], source, f"{path}[1]"),)
    return tuple(_read(h, v, source, f"{path}[{i}]") for i, (h, v) in enumerate(zip(hints, value, strict=True), 1))


def _plain(hint: Any, value: Any) -> Any:
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        if not abs(value) <= sys.float_info.max:  # NaN, infinite, or a whole number of hundreds of digits
            raise _Mismatch
        return float(value)
    if hint in (int, str, bool) and type(value) is hint:
        return value
    raise _Mismatch


def _check_range(value: Any, facts: Mapping[str, Any], source: str, path: str) -> None:
    low, high, above, check = (facts.get(k) for k in ("low", "high", "above", "check"))
    for one in value if isinstance(value, tuple) else value.values() if isinstance(value, dict) else (value,):
        if isinstance(one, bool) or not isinstance(one, int | float):
            continue
        wrong = (low is not None and one < low) or (high is not None and one > high)
        if wrong or (above is not None and one <= above):
            raise UsageError(source, f"{path} is {_shown(one)}, expected {_range(low, high, above)}", "correct it")
    expected = check(value) if check is not None and value is not None else None
    if expected is not None:
        raise UsageError(source, f"{path} is {_shown(value)}, expected {expected}", "correct it")


def _written(value: float) -> str:
    """A bound as a person would write it: whole numbers with all their digits."""
    return str(int(value)) if float(value).is_integer() else f"{value:g}"


def _range(low: float | None, high: float | None, above: float | None) -> str:
    least = f"more than {_written(above)}" if above is not None else ""
    if above is None and low is not None:
        least = f"{_written(low)} or more"
    if high is None:
        return least
    if above is None and low is not None:
        return f"{_written(low)} to {_written(high)}"
    return f"{least} and at most {_written(high)}" if least else f"at most {_written(high)}"


def _name(field: dataclasses.Field[Any]) -> str:
    return field.metadata.get("name") or field.name


def _joined(path: str, name: str) -> str:
    return f"{path}.{one_line(name)}" if path else one_line(name)


def _nearest(name: str, known: list[str], path: str) -> str:
    near = get_close_matches(name.casefold(), known, 1, 0.5)
    if near:
        return f"did you mean {_joined(path, near[0])}?"
    return f"{f'[{path}]' if path else 'the file'} takes {', '.join(known)}"


def _shown(value: Any) -> str:
    text = toml_value(value) if _writable(value) else str(value)
    return one_line(text if len(text) <= 60 else text[:57] + "…")


def _kind(hint: Any) -> str:
    """The type as people call it."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(_kind(a) for a in arguments if a is not type(None)))
    if origin is Literal:
        return " or ".join(f'"{c}"' for c in arguments)
    if origin is tuple:
        if arguments[-1] is ...:
            return (
                f"a list of tables [[{_table_word(arguments[0])}]]"
                if dataclasses.is_dataclass(arguments[0])
                else (f"a list of {_plural(arguments[0])}")
            )
        return f"a list of {len(arguments)} {_plural(arguments[0])}"
    if origin is not None and issubclass(origin, Mapping):
        return "a table" if arguments[1] is Any else f"a table of {_plural(arguments[1])}"
    if dataclasses.is_dataclass(hint):
        return "a table"
    return {bool: "true or false", int: "a whole number", float: "a number", str: "a string"}.get(hint, "a value")


def _table_word(kind: Any) -> str:
    return str(kind.__name__).removesuffix("Config").lower()


def _plural(hint: Any) -> str:
    words = {int: "whole numbers", float: "numbers", str: "strings", bool: "true or false"}
    arguments = get_args(hint)
    if arguments and all(a in words for a in arguments):
        return " or ".join(words[a] for a in arguments)
    return words.get(hint, f"lists, each {_kind(hint)}" if get_origin(hint) is tuple else "values")


# --- writing ---------------------------------------------------------------------------------------------------------


def table_of(value: Any) -> Any:
    """The plain values (dictionaries, lists, numbers, texts) that a dataclass was read from; keys that are None left
    out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        pairs = ((_name(f), getattr(value, f.name)) for f in dataclasses.fields(value))
        return {name: table_of(one) for name, one in pairs if one is not None}
    if isinstance(value, Mapping):
        return {str(k): table_of(v) for k, v in value.items()}
    return [table_of(v) for v in value] if isinstance(value, list | tuple) else value


def to_toml(value: Any) -> str:
    """The TOML document of a dataclass, which `read_table` reads back as it was."""
    return "\n".join(_tables("", table_of(value))).strip() + "\n"


def _tables(path: str, table: Mapping[str, Any]) -> Iterator[str]:
    later = []
    for name, value in table.items():
        if isinstance(value, dict) and not (path and _inline(value)):
            later.append((name, [value], f"[{_dotted(path, name)}]"))
        elif _is_tables(value):
            later.append((name, value, f"[[{_dotted(path, name)}]]"))
        else:
            yield f"{_bare(name)} = {toml_value(value)}"
    for name, values, head in later:
        for one in values:
            yield from ("", head, *_tables(_dotted(path, name), one))


def _inline(table: Mapping[str, Any]) -> bool:
    return len(toml_value(table)) < 90 and not any(isinstance(v, dict) for v in table.values())


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


def _dotted(path: str, name: str) -> str:
    return f"{path}.{_bare(name)}" if path else _bare(name)


def _bare(name: str) -> str:
    plain = name and all(c.isascii() and (c.isalnum() or c in "_-") for c in name)
    return name if plain else json.dumps(name, ensure_ascii=False)


def _writable(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_writable(v) for v in value.values())
    return (
        all(map(_writable, value)) if isinstance(value, list | tuple) else isinstance(value, bool | int | float | str)
    )


def toml_value(value: Any) -> str:
    """A plain value as TOML writes it on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)  # inf and nan too are spelt as TOML wants them
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_bare(str(k))} = {toml_value(v)}" for k, v in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml_value, value))}]"
    raise TypeError(f"{value!r} has no form in TOML")


def _quoted(text: str) -> str:
    # JSON's escapes are TOML's, but for DEL, which TOML wants escaped too
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def in_toml(table: str, names: Mapping[str, str] | None = None) -> Words:
    """How a TOML table calls options: `table.window`, or `window = 512`; `names` are those of other names there."""

    def words(key: str, value: object) -> str:
        name = (names or {}).get(key, key)
        if value is None:
            return _joined(table, name)
        return f"{_bare(name)} = {toml_value(value) if _writable(value) else value}"

    return words


# --- reference -------------------------------------------------------------------------------------------------------


def entries(kind: type[Any], path: str = "") -> Iterator[Entry]:
    """Every key of a schema in its order, those of a table before those of the tables in it."""
    hints = typing.get_type_hints(kind)
    inner = []
    for field in dataclasses.fields(kind):
        name, hint = _name(field), hints[field.name]
        table, many = _inner_table(hint)
        if table is not None:
            inner.append((table, _joined(path, name), many))
            continue
        yield Entry(path, name, _kind(hint), _default(field), str(field.metadata.get("about", "")))
    for table, at, many in inner:
        yield from entries(table, f"[{at}]" if many else at)


def _inner_table(hint: Any) -> tuple[Any, bool]:
    if dataclasses.is_dataclass(hint):
        return hint, False
    arguments = get_args(hint)
    many = get_origin(hint) is tuple and dataclasses.is_dataclass(arguments[0])
    return (arguments[0], True) if many else (None, False)


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default_factory is not dataclasses.MISSING:
        return toml_value(table_of(field.default_factory()))
    if field.default is dataclasses.MISSING:
        return "required"
    return "" if field.default is None else toml_value(table_of(field.default))
