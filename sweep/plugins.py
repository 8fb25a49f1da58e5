"""Policies, baselines and samplers by name, built in or of a plug-in; and which plug-ins a configuration takes."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import is_dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from allocator.baselines import BASELINES
from allocator.placement.policy import Placement
from allocator.policies import POLICIES, Pseudocode, Static
from feed.plugins import Kind, PluginError, load, plugin_of
from sweep.errors import ConfigError
from sweep.search import SAMPLERS, SamplerKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from allocator.baselines import Make
    from feed.plugins import Plugin
    from sweep.search import Sampler, Space

    Int64 = NDArray[np.int64]


def _policy_fault(target: Any) -> str | None:  # noqa: ANN401 - whatever an entry point refers to
    if not isinstance(target, type) or not is_dataclass(target):
        return "expected a class that is a frozen dataclass, whose fields are its switches"
    if not target.__dataclass_params__.frozen:  # type: ignore[attr-defined]
        return "its dataclass is not frozen, so that a decision might depend on those before it"
    if issubclass(target, (Static, Pseudocode, Placement)):
        return "it inherits from a policy that is built in, whose kernels would run in its place; hold one as a field"
    if not callable(getattr(target, "decide", None)):
        return "it has no method decide(view, remaining, parameters)"
    return None if getattr(target, "unit", 1) == 1 else "its unit is not 1: only schedules buy parts of a share"


def _baseline_fault(target: Any) -> str | None:  # noqa: ANN401 - the same
    return None if callable(target) else "expected a function of a book and an order, or a class made of these"


def _sampler_fault(target: Any) -> str | None:  # noqa: ANN401 - the same
    if isinstance(target, type) and all(callable(getattr(target, name, None)) for name in ("ask", "tell")):
        return None
    return "expected a class with the methods ask(count) and tell(places, costs)"


POLICY: Final = Kind("policy", "sor_sweep.policies", tuple(POLICIES), _policy_fault)
"""Frozen dataclasses that decide, as of `allocator.engine.Policy`."""

BASELINE: Final = Kind("baseline", "sor_sweep.baselines", (*BASELINES, "optimized"), _baseline_fault)
"""Functions of a book and an order that return what decides; ``lookahead = True`` says that one looks ahead."""

SAMPLER: Final = Kind("sampler", "sor_sweep.samplers", ("grid", "list", *SAMPLERS), _sampler_fault)
"""Classes made of a space, a seed and a budget that are `sweep.search.Sampler`; ``learns`` (by default it does) and
``ends`` as of `sweep.search.samplers.SamplerKind`."""


def kinds() -> dict[str, Kind]:
    """Every kind of plug-in, by its noun."""
    from feed.codecs import CODEC
    from feed.files import READER  # pyarrow is loaded with it

    return {kind.noun: kind for kind in (POLICY, BASELINE, CODEC, READER, SAMPLER)}


def policy_named(name: str) -> type[Any]:
    """A policy's class; PluginError where there is none of that name, or none that can be used."""
    return POLICIES[name] if name in POLICIES else load(POLICY, name).target


def baselines_named(names: Iterable[str]) -> dict[str, Make]:
    """What makes some baselines of plug-ins; PluginError as `policy_named`."""
    return {name: load(BASELINE, name).target for name in names}


def sampler_named(name: str) -> SamplerKind:
    """A sampler, which of a plug-in is held to the contract of samplers; PluginError as `policy_named`."""
    if name in SAMPLERS:
        return SAMPLERS[name]
    made = load(SAMPLER, name).target

    def make(space: Space, seed: int, budget: int | None) -> Sampler:
        with _raising(name):
            sampler = made(space, seed, budget)
        return _Held(name, space, sampler)

    return SamplerKind(make, learns=bool(getattr(made, "learns", True)), ends=bool(getattr(made, "ends", False)))


@contextmanager
def _raising(name: str) -> Iterator[None]:
    """Raise a ConfigError where a sampler of somebody else's fails."""
    try:
        yield
    except Exception as error:
        raise ConfigError(f"search.kind: the sampler {name} failed with {type(error).__name__}: {error}") from error


class _Held:
    """A sampler of somebody else's; what it asks for beyond the contract ends the run.

    Otherwise a search might look at places that there are none, or never end.
    """

    def __init__(self, name: str, space: Space, sampler: Sampler) -> None:
        self._name, self._places, self._sampler = name, space.places, sampler
        self._seen = np.empty(0, np.int64)

    def ask(self, count: int) -> Int64:
        """As `sweep.search.Sampler.ask`; ConfigError."""
        with _raising(self._name):
            places = self._sampler.ask(count)
        if not isinstance(places, np.ndarray) or places.dtype != np.int64 or places.ndim != 1:
            raise self._refused("what is no (N,) int64")
        if len(places) > count:
            raise self._refused(f"{len(places):,} places, of {count:,} at most")
        if len(places) and not 0 <= int(places.min()) <= int(places.max()) < self._places:
            raise self._refused(f"a place beyond the {self._places:,} of the lattice")
        if len(again := np.intersect1d(places, self._seen)) or len(np.unique(places)) < len(places):
            raise self._refused(f"place {int(again[0])} again" if len(again) else "a place twice")
        self._seen = np.union1d(self._seen, places)
        return places

    def tell(self, places: Int64, costs: Sequence[int | None]) -> None:
        """As `sweep.search.Sampler.tell`."""
        self._seen = np.union1d(self._seen, places)
        with _raising(self._name):
            self._sampler.tell(places, costs)

    def _refused(self, what: str) -> ConfigError:
        return ConfigError(f"search.kind: the sampler {self._name} asks for {what}; it does not pass SamplerSuite")


def plugins_of(kind: Kind, names: Iterable[str]) -> list[Plugin]:
    """The plug-ins among some names of a kind; PluginError where one cannot be used."""
    return [plugin for name in names if (plugin := plugin_of(kind, name)) is not None]


def stamp_of(plugins: Iterable[Plugin]) -> dict[str, str]:
    """What this process has of some plug-ins, as a part of `sweep.environment.Stamp`."""
    stamped = {}
    for plugin in plugins:
        try:
            own = load(kinds()[plugin.kind], plugin.name).plugin
            what = f"{own.distribution} {own.version} (sources {own.sources[:12]})"
        except PluginError as error:
            what = f"of none that can be used ({error})"
        stamped[f"{plugin.kind} {plugin.name}"] = what
    return stamped


def refuse_missing(plugins: Iterable[Plugin], whose: str) -> None:
    """Refuse (ConfigError) what was made with plug-ins that cannot be had here.

    Parameters
    ----------
    plugins : iterable of Plugin
    whose : str
        What was made with them.
    """
    for plugin in plugins:
        _here(plugin, whose)


def refuse_other(plugins: Iterable[Plugin], whose: str) -> None:
    """Refuse (ConfigError) what was made with other code of its plug-ins than there is here; as `refuse_missing`."""
    for plugin in plugins:
        if (own := _here(plugin, whose)) != plugin:
            raise ConfigError(f"{whose}: was made with {plugin}, and here is {own}; install the former, or run anew")


def _here(plugin: Plugin, whose: str) -> Plugin:
    kind = kinds().get(plugin.kind)
    if kind is None:
        raise ConfigError(f"{whose}: was made with a plug-in of a kind that this version does not know: {plugin.kind}")
    try:
        return load(kind, plugin.name).plugin
    except PluginError as error:
        raise ConfigError(f"{whose}: was made with {plugin}, which cannot be had here: {error}") from None
