"""Optuna's tree of Parzen estimators as a sampler; the library is an extra, imported when it is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from sweep.errors import ConfigError
from sweep.search.sequences import permuted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from sweep.search.samplers import Space

    Int64 = NDArray[np.int64]

BATCH: Final = 16
"""Places of a round at most: whatever the number of workers, so that the same ones are asked for."""

REPEATS: Final = 32
"""Suggestions in a row that were looked at already, after which a place is drawn at random."""


def load_optuna() -> Any:  # noqa: ANN401 - a module
    """Import optuna.

    Raises
    ------
    ConfigError
        It is not installed.
    """
    try:
        import optuna
    except ModuleNotFoundError:
        raise ConfigError(
            "search.kind: optuna is not installed; pip install 'sor-sweep[search]', or choose another kind"
        ) from None
    return optuna


class OptunaSampler:
    """What optuna suggests, each place once.

    A suggestion that was looked at already is answered with its cost, from which optuna learns that there is nothing
    new; after `REPEATS` of them a random place is looked at in its stead.

    Raises
    ------
    ConfigError
        As `load_optuna`.
    """

    def __init__(self, space: Space, seed: int, budget: int | None) -> None:  # noqa: ARG002 - as every sampler
        optuna = load_optuna()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna, self._space, self._seed = optuna, space, seed
        self._study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
        self._axes = {
            f"{at:02}": optuna.distributions.IntDistribution(0, length - 1)
            if ordered
            else optuna.distributions.CategoricalDistribution(range(length))
            for at, (length, ordered) in enumerate(zip(space.shape, space.ordered, strict=True))
            if length > 1
        }
        self._costs: dict[int, int | None] = {}
        self._trials: dict[int, Any] = {}
        self._drawn = 0

    def ask(self, count: int) -> Int64:
        """As `Sampler.ask`, of `BATCH` places at most."""
        if self._trials and count:
            raise RuntimeError(f"the costs of {len(self._trials):,} places are awaited; tell them first")
        room = self._space.places - len(self._costs)
        for _ in range(min(count, BATCH, room)):
            place, trial = self._suggestion()
            self._trials[place] = trial
        return np.array([*self._trials], np.int64) if count else np.empty(0, np.int64)

    def _suggestion(self) -> tuple[int, Any]:
        """A place that nobody looked at, and its trial."""
        for _ in range(REPEATS):
            trial = self._study.ask(self._axes)
            place = self._place(trial.params)
            if place not in self._costs and place not in self._trials:
                return place, trial
            self._answer(trial, self._costs.get(place))
        while True:
            place = int(permuted(self._space.places, self._drawn, self._drawn + 1, self._seed)[0])
            self._drawn += 1
            if place not in self._costs and place not in self._trials:
                self._study.enqueue_trial(self._params(place))
                return place, self._study.ask(self._axes)

    def tell(self, places: Int64, costs: Sequence[int | None]) -> None:
        """As `Sampler.tell`."""
        for place, cost in zip(places.tolist(), costs, strict=True):
            trial = self._trials.pop(place, None)
            if trial is not None:
                self._answer(trial, cost)
            elif place not in self._costs:
                trial = self._optuna.trial
                state = trial.TrialState.FAIL if cost is None else trial.TrialState.COMPLETE
                value = None if cost is None else float(cost)
                params = self._params(place)
                self._study.add_trial(
                    trial.create_trial(state=state, value=value, params=params, distributions=self._axes)
                )
            self._costs[place] = cost

    def _answer(self, trial: Any, cost: int | None) -> None:  # noqa: ANN401 - of optuna's
        if cost is None:
            self._study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        else:
            self._study.tell(trial, float(cost))

    def _place(self, params: dict[str, int]) -> int:
        place = 0
        for at, length in enumerate(self._space.shape):
            place = place * length + params.get(f"{at:02}", 0)
        return place

    def _params(self, place: int) -> dict[str, int]:
        params = {}
        for at in reversed(range(len(self._space.shape))):
            place, params[f"{at:02}"] = divmod(place, self._space.shape[at])
        return {name: params[name] for name in self._axes}
