"""Checks and reads the keys that say how orders fill: bands, fees, latency, the share of what is displayed."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any, Final, TypeVar, get_type_hints

import msgspec
from msgspec import UNSET

from allocator.errors import AllocatorError
from allocator.money import NANO, nano
from allocator.order import NEUTRAL, Latency
from allocator.placement.policy import Placement
from allocator.policies import POLICIES, make_policy
from feed.console import unknown_key
from feed.instants import parse_duration
from feed.levels import MOST_LEVELS
from feed.markets import ids_of, venue_of
from feed.tape import VENUE_LIMIT
from sweep.errors import ConfigError
from sweep.plugins import policy_named
from sweep.search import refuse_vanished

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from allocator.engine import Policy
    from sweep.config.schema import Config

Parsed = TypeVar("Parsed")

DRAWS: Final = 1_000
"""Latencies to draw from, at most."""

PLACEMENT: Final = ("slice", "posting", "at_T", "samples", "adverse", "condition", "catch_up")
"""The keys that only `placement` has a use for."""

SWITCHES: Final = ("step", "reference", "infeasible", "lots_only", "schedule")
"""The keys that fill the switches of a policy, where it has them, beside `PLACEMENT` and ``participation``."""


def check_rules(config: Config) -> None:
    """Refuse (ConfigError) what types alone do not exclude; the message begins with the key."""
    if not UNSET_or_none(config.max_age):
        parsed("max_age", config.max_age, parse_duration)
    if config.depth is not None:
        check_count("depth", config.depth, 1, MOST_LEVELS + 1)
    parsed("policy", config.policy, policy_named)
    for name, band in (("stub_band", config.stub_band), ("leftover_band", config.leftover_band)):
        if not UNSET_or_none(band):
            if not 0 <= band <= 1:  # type: ignore[operator]
                raise ConfigError(f"{name}: expected 0 to 1, or null for none, but it had {band}")
            check_amount(name, band, signed=False)  # type: ignore[arg-type]
    check_amount("unfilled_penalty", config.unfilled_penalty, signed=False)
    if not 0 < config.participation <= 1:
        raise ConfigError(f"participation: expected above 0 and up to 1, but it had {config.participation}")
    check_amount("participation", config.participation, signed=False)
    if config.fees is not UNSET:
        check_fees(config.fees)
    parse_latency(config.latency)
    parse_placement(config)
    parse_share("phi", config.phi)
    parse_share("rho", config.rho)
    if config.policy == "placement":
        refused = {"conventions": ("classic", config.conventions), "book": ("event", config.book)}
        for key, (value, chosen) in refused.items():
            if chosen == value:
                raise ConfigError(f"policy: placement needs queues that stand, which {key}={value} has none of")


def parse_placement(config: Config) -> dict[str, Any]:
    """The fields of `allocator.placement.policy.Placement` that no other policy has, in its units.

    Raises
    ------
    ConfigError
        Names the key.
    """
    fields: dict[str, Any] = {name: getattr(config, name) for name in PLACEMENT}
    fields["slice"] = parsed("slice", config.slice, parse_duration)
    try:
        fields["catch_up"] = nano(config.catch_up, "catch_up")
        refuse_vanished("catch_up", config.catch_up, fields["catch_up"])
        Placement(**fields)
    except AllocatorError as error:
        raise ConfigError(str(error)) from None
    return fields


def made_policy(config: Config, keyed: Mapping[str, Any]) -> Policy:
    """The policy of a configuration, with its switches.

    Parameters
    ----------
    config : Config
    keyed : mapping
        The switches that keys fill, by the names of fields.

    Raises
    ------
    ConfigError
        One of its own is missing, or is not of the type of its field, or the policy refuses it.
    """
    policy = parsed("policy", config.policy, policy_named)
    own = {} if config.policy in POLICIES else _own_switches(config, policy, keyed)
    try:
        made = make_policy(policy, {**keyed, **own})
        hash(made)
    except (ValueError, TypeError) as error:
        if config.policy in POLICIES:
            raise
        raise ConfigError(f"switches: policy={config.policy} refuses them: {error}") from None
    return made


def _own_switches(config: Config, policy: type[Any], keyed: Mapping[str, Any]) -> dict[str, Any]:
    """The values of the fields of a plug-in's policy that no key fills."""
    try:
        hints = get_type_hints(policy)
    except Exception as error:  # noqa: BLE001 - a name that is imported for type checkers alone, or anything
        raise ConfigError(f"policy: the types of the fields of {config.policy} cannot be had: {error}") from None
    own: dict[str, Any] = {}
    for field in fields(policy):
        name = field.name
        if not field.init:
            continue
        if name in keyed:
            try:
                msgspec.convert(keyed[name], hints[name])
            except (msgspec.ValidationError, TypeError) as error:
                raise ConfigError(f"policy: the key {name} fills the field of {config.policy}: {error}") from None
            continue
        if name in config.switches:
            try:
                own[name] = msgspec.convert(config.switches[name], hints[name])
            except (msgspec.ValidationError, TypeError) as error:
                raise ConfigError(f"switches.{name}: {error}") from None
        elif field.default is MISSING and field.default_factory is MISSING:
            raise ConfigError(f"switches.{name}: policy={config.policy} needs it")
    return own


def check_switches(config: Config, policies: Iterable[str]) -> None:
    """Refuse (ConfigError) a switch that none of some policies has, or that a key fills."""
    if not config.switches:
        return
    brought = [name for name in policies if name not in POLICIES]
    if not brought:
        raise ConfigError("switches: they are those of policies that plug-ins bring; others have a key each")
    filled = {*SWITCHES, *PLACEMENT, "participation"}
    has = {field.name for name in brought for field in fields(policy_named(name)) if field.init} - filled
    for name in config.switches:
        if name not in has:
            raise ConfigError(unknown_key(f"switches.{name}", sorted(f"switches.{each}" for each in has)))


def parse_share(key: str, written: float | str) -> int:
    """Read a share, 1e-9, 0 to 1e9; ``neutral`` is `NEUTRAL`.

    Raises
    ------
    ConfigError
        It is beyond, or vanishes when rounded.
    """
    if isinstance(written, str):
        return NEUTRAL
    if not 0 <= written <= 1:
        raise ConfigError(f"{key}: expected {'neutral, or ' if key == 'phi' else ''}0 to 1, but it had {written}")
    check_amount(key, written, signed=False)
    return nano(written, key)


def normalised(key: str, value: Any) -> Any:  # noqa: ANN401 - a value of any key
    """A value that can be hashed, such that two of a key that mean the same are equal."""
    if key == "max_age" and not UNSET_or_none(value):
        return parse_duration(value)
    if key == "slice":
        return parse_duration(value)
    if key in {"participation", "catch_up", "rho"}:
        return nano(value, key)
    if key == "phi":
        return parse_share(key, value)
    if key == "fees":
        return msgspec.json.encode(value, order="deterministic")
    return parse_latency(value) if key == "latency" else value


def parse_latency(written: Any) -> Latency:  # noqa: ANN401 - what the key holds
    """Read a latency: a duration, several to draw from, or these by publisher id.

    Raises
    ------
    ConfigError
        Names the part.
    """
    if not isinstance(written, dict):
        return _latency(_choices("latency", written))
    by_venue = {venue: _choices(f"latency.{venue}", value) for venue, value in written.items() if venue != "seed"}
    default = by_venue.pop("default", (0,))
    for venue in by_venue:
        check_venue(f"latency.{venue}", venue, "a Databento publisher id, default or seed")
    seed = written.get("seed", 0)
    if not isinstance(seed, int) or not 0 <= seed < 2**63:
        raise ConfigError(f"latency.seed: expected a whole number, 0 or more, but it had {seed!r}")
    drawn = any(len(each) > 1 for each in (default, *by_venue.values()))
    venues = tuple(sorted((int(venue), each) for venue, each in by_venue.items()))
    return _latency(default, venues, seed if drawn else 0)


def _latency(*parts: Any) -> Latency:  # noqa: ANN401 - as the fields
    try:
        return Latency(*parts)
    except AllocatorError as error:
        raise ConfigError(str(error)) from None


def _choices(key: str, written: Any) -> tuple[int, ...]:  # noqa: ANN401 - a duration, or several
    several = written if isinstance(written, list | tuple) else (written,)
    if not 0 < len(several) <= DRAWS:
        raise ConfigError(f"{key}: expected 1 to {DRAWS:,} durations to draw from, but it had {len(several):,}")
    return tuple(parsed(key, each, parse_duration) for each in several)


def check_count(key: str, number: int, least: int, limit: int) -> None:
    """Refuse (ConfigError) a whole number outside [least, limit)."""
    if not least <= number < limit:
        raise ConfigError(f"{key}: expected a whole number, {least} to {limit - 1:,}, but it had {number}")


def UNSET_or_none(value: object) -> bool:  # noqa: N802 - named for the two constants
    """Whether a key was left to the conventions or switched off."""
    return value is UNSET or value is None


def parsed(key: str, value: Any, parse: Callable[[Any], Parsed]) -> Parsed:  # noqa: ANN401 - text or a number
    """Parse the value of a key; ConfigError where it cannot be."""
    try:
        return parse(value)
    except ValueError as error:
        raise ConfigError(f"{key}: {error}") from None


def check_fees(fees: Mapping[str, dict[str, float]], key: str = "fees") -> None:
    """Refuse (ConfigError) fees of another kind than taker and maker, or out of range."""
    for venue, fee in fees.items():
        for name, value in fee.items():
            if name not in {"taker", "maker"}:
                raise ConfigError(unknown_key(f"{key}.{venue}.{name}", [f"{key}.{venue}.{each}" for each in _KINDS]))
            check_amount(f"{key}.{venue}.{name}", value, signed=True)


_KINDS: Final = ("taker", "maker")


def by_publisher(key: str, fees: Mapping[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Write fees of venues that are named as those of every id that their quotes may have; others stay as they are.

    Raises
    ------
    ConfigError
        A name is no venue's, or several, or two name one venue; the message begins with its key.
    """
    check_fees(fees, key)
    by_id: dict[str, dict[str, float]] = {}
    names: dict[int, str] = {}
    for name, fee in fees.items():
        if name == "default":
            by_id[name] = fee
            continue
        number = parsed(f"{key}.{name}", name, venue_of)
        for each in (number,) if name.isdigit() else ids_of(number):
            if each in names:
                raise ConfigError(f"{key}.{name}: it is venue {each}, as {names[each]} is; write the fees of each once")
            names[each] = name
            by_id[name if name.isdigit() else str(each)] = fee
    return by_id


def check_venue(key: str, venue: str, expected: str) -> None:
    """Refuse (ConfigError) what is neither a publisher id nor ``default``."""
    if venue != "default" and not (venue.isascii() and venue.isdigit() and int(venue) < VENUE_LIMIT):
        raise ConfigError(f"{key}: expected {expected}")


def check_amount(key: str, value: float, *, signed: bool) -> None:
    """Refuse (ConfigError) dollars per share, or a share, that are out of range or vanish when rounded."""
    try:
        amount = nano(value, key)
    except AllocatorError as error:
        raise ConfigError(str(error)) from None
    refuse_vanished(key, value, amount)
    if amount < 0 and not signed:
        raise ConfigError(f"{key}: expected 0 or more, but it had {value}")
    if abs(amount) > 100 * NANO:
        raise ConfigError(f"{key}: {value} $ per share is above 100 $; fees and penalties are in dollars per share")
