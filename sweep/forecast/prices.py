"""Prices of nodes by the hour: the table of the package, and a file of the user's that overrides it."""

from __future__ import annotations

import datetime as dt
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec
from msgspec import Struct

from feed.console import unknown_key
from sweep.config import read_mapping
from sweep.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

Converted = TypeVar("Converted", bound=Struct)

PACKAGED: Final = Path(__file__).with_name("prices.yaml")
"""The table of the package."""


class InstanceType(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One type of node.

    Attributes
    ----------
    vcpu : int
    memory_gib : float
    on_demand, spot : float, optional
        Price of an hour; None where it is not known.
    date, spot_date : str, optional
        The day of each price, YYYY-MM-DD.
    speed : float
        How many times as fast as a CPU of this machine one of its vCPUs simulates.
    """

    vcpu: int
    memory_gib: float
    on_demand: float | None = None
    spot: float | None = None
    date: str | None = None
    spot_date: str | None = None
    speed: float = 1.0


class Prices(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A dated table of prices.

    Attributes
    ----------
    date : str
        The day of all prices whose type names no other.
    currency, region, source : str
    types : dict of str to InstanceType
    """

    date: str
    currency: str
    region: str
    source: str
    types: dict[str, InstanceType]


def load_prices(file: str | None = None) -> Prices:
    """Read the prices.

    Parameters
    ----------
    file : str, optional
        A YAML file in the form of sweep/forecast/prices.yaml, which it overrides type by type and key by key. Where
        its region or currency differs, the prices of the package are left out, as they are those of another place.

    Raises
    ------
    ConfigError
        A missing or malformed file, a file without a date, an unknown key (the nearest valid one is named), a number
        out of range.
    """
    tree = _dated(read_mapping(str(PACKAGED)))
    if file is not None:
        overrides = _checked(file, read_mapping(file))
        elsewhere = any(overrides.get(key, tree[key]) != tree[key] for key in ("region", "currency"))
        dropped = {"on_demand", "spot", "date", "spot_date"} if elsewhere else set()
        merged = {
            name: {key: value for key, value in fields.items() if key not in dropped}
            for name, fields in tree["types"].items()
        }
        for name, fields in _dated(overrides)["types"].items():
            merged[name] = {**merged.get(name, {}), **fields}
        tree = {**tree, "source": f"{file}, over: {tree['source']}", **overrides, "types": merged}
    where = file or str(PACKAGED)
    types = {name: _convert(fields, InstanceType, f"{where}: types.{name}") for name, fields in tree["types"].items()}
    return _convert({**tree, "types": types}, Prices, where)


def _convert(tree: Mapping[str, Any], struct: type[Converted], where: str) -> Converted:
    try:
        return msgspec.convert(tree, struct)
    except msgspec.ValidationError as error:
        problem, _, key = str(error).partition(" - at `$.")
        raise ConfigError(f"{where}: {key.rstrip('`') or struct.__name__}: {problem[0].lower()}{problem[1:]}") from None


def _dated(tree: dict[str, Any]) -> dict[str, Any]:
    """The same table, in which each type with a price has a date."""
    types = {
        name: {"date": tree["date"], **fields} if fields.get("on_demand") is not None else fields
        for name, fields in (tree.get("types") or {}).items()
    }
    return {**tree, "types": types}


def _checked(file: str, tree: dict[str, Any]) -> dict[str, Any]:
    """Check a file of the user's: known keys, a date, numbers in range."""
    _refuse_unknown(file, "", tree, Prices)
    if not _is_date(tree.get("date")):
        raise ConfigError(f"{file}: date: expected the day that these prices are of, YYYY-MM-DD")
    types = tree.get("types") or {}
    if not isinstance(types, dict):
        raise ConfigError(f"{file}: types: expected a mapping of instance types, but it had {types!r}")
    for name, fields in types.items():
        key = f"types.{name}"
        if not isinstance(fields, dict):
            raise ConfigError(f"{file}: {key}: expected {{vcpu, memory_gib, on_demand, spot}}, but it had {fields!r}")
        _refuse_unknown(file, f"{key}.", fields, InstanceType)
        for day in ("date", "spot_date"):
            if day in fields and not _is_date(fields[day]):
                raise ConfigError(f"{file}: {key}.{day}: expected a day, YYYY-MM-DD, but it had {fields[day]!r}")
        for number in ("on_demand", "spot", "vcpu", "memory_gib", "speed"):
            _check_number(f"{file}: {key}.{number}", fields.get(number), above=number not in {"on_demand", "spot"})
    return {**tree, "types": types}


def _refuse_unknown(file: str, prefix: str, tree: Mapping[Any, Any], struct: type[Struct]) -> None:
    valid = [field.name for field in msgspec.structs.fields(struct)]
    for key in tree:
        if key not in valid:
            problem = unknown_key(f"{prefix}{key}", [f"{prefix}{name}" for name in valid])
            raise ConfigError(f"{file}: {problem}")


def _check_number(key: str, value: Any, *, above: bool) -> None:  # noqa: ANN401 - YAML holds anything
    if not isinstance(value, int | float) or isinstance(value, bool):
        return  # its type is checked with the rest of the table
    if not math.isfinite(value) or value < 0 or (above and value == 0):
        raise ConfigError(f"{key}: expected a number {'above 0' if above else 'of 0 or more'}, but it had {value}")


def _is_date(value: Any) -> bool:  # noqa: ANN401 - YAML holds anything
    try:
        return isinstance(value, str) and bool(dt.date.fromisoformat(value))
    except ValueError:
        return False
