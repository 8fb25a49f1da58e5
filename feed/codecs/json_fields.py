"""JSON of any shape as rows of text: the fields that somebody names, wherever they lie in a message.

A number keeps the digits that it is written with, as no float comes between: 0.1 stays 0.1, and 1e-9 stays 1e-9.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from msgspec import UNSET

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

LONGEST = 256
"""Bytes of a text that stands for a number or a name, at most."""

_SHOWN = 40
_ANYTHING = msgspec.json.Decoder()


class MissingField(ValueError):  # noqa: N818 - its text is a reason
    """A price or a size that a quote lacks.

    Attributes
    ----------
    name : str
    """

    def __init__(self, name: str) -> None:
        super().__init__(f"{name}: it is missing; null would say that there is none")
        self.name = name


class _Place(NamedTuple):
    """Where a field is looked for: under its whole name, else along the parts of its path."""

    name: str
    whole: str
    first: str
    rest: tuple[str, ...]


class _Each(NamedTuple):
    """A path that leads into each element of a list."""

    elements: list[Any]
    rest: tuple[str, ...]


class Fields:
    """Reads named fields of messages.

    A message is an object, which is a row, or a list of objects. A name with dots is a path into objects, and a number
    in it an index into a list, from 0: ``quote.bids.0.px``. Where a path leads into a list without one, each element of
    the list is a row, and fields from outside repeat.

    Parameters
    ----------
    names : sequence of str
        Each once.
    quoted : collection of str
        Those of prices and sizes. A row without any is no quote; one that lacks some is malformed, as nothing says
        whether what it leaves out stands or is gone. An index beyond the end of its list is null: no such level.

    Attributes
    ----------
    present : set of str
        Names that any message had.
    others : int
        Rows that were no quotes.
    """

    def __init__(self, names: Sequence[str], quoted: Collection[str]) -> None:
        self.present: set[str] = set()
        self.others = 0
        self._quoted = [at for at, name in enumerate(names) if name in quoted]
        paths = [(name, tuple(name.split("."))) for name in names]
        slots = {text: f"f{at}" for at, text in enumerate(dict.fromkeys(t for n, p in paths for t in (n, p[0])))}
        self._names = list(names)
        self._deep = any(len(parts) > 1 for _, parts in paths)
        # one name alone would give a value, not a tuple of it
        self._wholes = attrgetter(*(slots[name] for name in names), *([slots[names[0]]] if len(names) == 1 else []))
        self._places = [_Place(name, slots[name], slots[parts[0]], parts[1:]) for name, parts in paths]
        item = msgspec.defstruct(
            "_Item",
            [(slot, Any, UNSET) for slot in slots.values()],
            rename={slot: text for text, slot in slots.items()},
            gc=False,
        )
        self._decoder: Any = msgspec.json.Decoder(item | list[item], float_hook=str)  # type: ignore[valid-type]

    def rows(self, value: bytes) -> list[list[str | None]]:
        """Read a message.

        Parameters
        ----------
        value : bytes

        Returns
        -------
        list of list of str
            A row for each object that is a quote, by name: text as it is, numbers as they are written, true and false;
            None for null and for what is missing.

        Raises
        ------
        ValueError, msgspec.DecodeError, RecursionError
            It is no such JSON, a path leads nowhere, or what it leads to is no value; among `feed.codecs.REFUSALS`.
        """
        message = self._decoder.decode(value)
        items = message if isinstance(message, list) else [message]
        return [row for item in items for row in self._rows_of(item)]

    def _rows_of(self, item: Any) -> Iterator[list[str | None]]:  # noqa: ANN401 - a struct that is made here
        values = list(self._wholes(item))[: len(self._names)]
        if UNSET in values and self._deep:
            values = [self._value(item, place, value) for place, value in zip(self._places, values, strict=True)]
            each = [value for value in values if isinstance(value, _Each)]
            if each:
                yield from self._rows_of_each(each, values)
                return
        yield from self._row(values)

    def _rows_of_each(self, each: list[_Each], values: list[Any]) -> Iterator[list[str | None]]:
        """A row for each element of the list that paths lead into."""
        elements = each[0].elements
        if any(value.elements is not elements for value in each):
            raise ValueError("its columns lie in several lists, and nothing says which of their rows belong together")
        for element in elements:
            yield from self._row(
                [
                    _walk(element, value.rest, place.name) if isinstance(value, _Each) else value
                    for value, place in zip(values, self._places, strict=True)
                ]
            )

    def _value(self, item: Any, place: _Place, value: Any) -> Any:  # noqa: ANN401 - the same
        if value is UNSET and place.rest:
            value = _walk(getattr(item, place.first), place.rest, place.name)
        return value

    def _row(self, values: list[Any]) -> Iterator[list[str | None]]:
        """The row, or none where it is no quote."""
        if UNSET in values and (lacking := [at for at in self._quoted if values[at] is UNSET]):
            if len(lacking) < len(self._quoted):
                raise MissingField(self._names[lacking[0]])
            self.others += 1
            return
        if len(self.present) < len(self._names):
            self.present.update(name for name, value in zip(self._names, values, strict=True) if value is not UNSET)
        for at, value in enumerate(values):
            if type(value) is not str or len(value) > LONGEST // 4:
                values[at] = _text(value, self._names[at])
        yield values


def _walk(value: Any, parts: tuple[str, ...], name: str) -> Any:  # noqa: ANN401 - JSON holds anything
    """Follow a path; UNSET where it ends early."""
    for at, part in enumerate(parts):
        if value is UNSET or value is None:
            return value
        if isinstance(value, dict):
            value = value.get(part, UNSET)
        elif isinstance(value, list) and part.isascii() and part.isdigit():
            value = value[int(part)] if len(part) < 8 and int(part) < len(value) else None
        elif isinstance(value, list):
            return _Each(value, parts[at:])
        else:
            raise ValueError(f"{name}: {_kind(value)} stands where {part!r} is looked for")
    return value


def _text(value: Any, name: str) -> str | None:  # noqa: ANN401 - the same
    if value is UNSET or value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int):
        raise ValueError(f"{name}: expected a value, but it is {_kind(value)}")  # noqa: TRY004 - it came from the wire
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        raise ValueError(f"{name}: a whole number beyond 64 bits")
    text = str(value)
    if len(text.encode()) > LONGEST:
        raise ValueError(f"{name}: a text of more than {LONGEST} bytes")
    return text


def _kind(value: object) -> str:
    if isinstance(value, dict):
        return "an object"
    return "a list" if isinstance(value, list | _Each) else f"{str(value)[:_SHOWN]!r}"


def names_in(value: bytes) -> list[str]:
    """The names of a message's fields, with dots; of a list those of its first element; none where it is no JSON.

    Parameters
    ----------
    value : bytes
    """
    try:
        return list(dict.fromkeys(_leaves(_ANYTHING.decode(value), "")))
    except (msgspec.DecodeError, ValueError, RecursionError):
        return []


def _leaves(value: Any, path: str) -> list[str]:  # noqa: ANN401 - JSON holds anything
    if isinstance(value, list):
        return _leaves(value[0], path) if value else [path]
    if isinstance(value, dict):
        return [leaf for name, each in value.items() for leaf in _leaves(each, f"{path}.{name}".lstrip("."))]
    return [path]
