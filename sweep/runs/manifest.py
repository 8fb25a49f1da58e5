"""The manifest of a run: its question, data, code and machine, in a file beside its results."""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import shlex
from datetime import UTC, datetime
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
import numpy as np
from msgspec import UNSET, Struct, UnsetType

from feed.plugins import Plugin  # noqa: TC001 - msgspec reads the annotation
from feed.source import located
from sweep.config import EMBEDDED, WHERE_ONLY, assign, build_config, placed
from sweep.environment import cpu_name, revision, sources_hash, versions
from sweep.errors import ConfigError
from sweep.plugins import refuse_missing
from sweep.runs.files import open_regular, reason, write_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweep.config import Config, Question
    from sweep.tapes import Facts


NAME: Final = "manifest.json"

FORMAT: Final = 1
"""Raised when this version can no longer read earlier manifests."""

LIMIT: Final = 2**26
"""Bytes of a manifest at most: an axis may have a million values."""


_PATHS: Final = {
    "feed": ("quarantine",),
    "kafka": ("sasl_password_file", "ssl_cafile", "ssl_certfile", "ssl_keyfile"),
}
"""Keys of the configuration, beside the source, that hold paths."""

_INFINITE: Final = ".inf"


class Planned(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a run is cut into chunks; stored, so that a resumed run is cut alike.

    `collapse`: chunks name classes of combinations that decide alike, not combinations.
    """

    combinations: int
    orders: int
    kernel: str
    measured: list[tuple[int, float]]
    workers: int
    object_store_bytes: int
    collapse: bool = False


class Manifest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The manifest of a run.

    Attributes
    ----------
    format : int
    id : str
    status : str
        ``running`` until the result is stored; then ``complete``.
    created, finished : str
        UTC.
    directory : str
        The working directory of the driver: relative paths of the configuration begin there.
    config : dict
        As `Config`; infinite values of the grid as text.
    config_hash, sources_hash : str
    digest : str
        Of the tape.
    feed : dict
        The document's section: provenance with the offsets that were read, and quality.
    plan : Planned
    versions : dict
    revision : str, optional
        Commit of the checkout that ran, with ``+`` if its files were changed.
    host : dict
    files : dict
        SHA-256 of the finished files by name.
    places : list of int
        What a search in rounds has looked at, once the run is complete: places on the lattice of its axes, ascending.
    plugins : list of Plugin
        Those that it was made with, ascending.
    proof : str
        SHA-256 of all the other fields.
    """

    format: int
    id: str
    status: Literal["running", "complete"]
    created: str
    finished: str | None = None
    directory: str
    config: dict[str, Any]
    config_hash: str
    sources_hash: str
    digest: str
    feed: dict[str, Any]
    plan: Planned
    versions: dict[str, str]
    revision: str | None = None
    host: dict[str, Any]
    files: dict[str, str] = {}
    places: list[int] | UnsetType = UNSET
    plugins: list[Plugin] | UnsetType = UNSET
    proof: str = ""


def now() -> str:
    """UTC, ISO 8601, whole milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def new_manifest(identifier: str, question: Question, feed: dict[str, Any], plan: Planned) -> Manifest:
    """Describe a run that begins on this machine."""
    return Manifest(
        format=FORMAT,
        id=identifier,
        status="running",
        created=now(),
        directory=str(Path.cwd()),
        config=_without_infinite(_written(question.config)),
        config_hash=question.config_hash,
        sources_hash=sources_hash(),
        digest=feed["digest"],
        feed=feed,
        plan=plan,
        versions=versions(),
        revision=revision(),
        host={"cpu": cpu_name(), "cpus": os.cpu_count(), "machine": platform.machine(), "system": platform.platform()},
        plugins=list(question.plugins) or UNSET,
    )


def _written(config: Config) -> dict[str, Any]:
    """The keys of a configuration; without those about plug-ins that name none."""
    tree: dict[str, Any] = msgspec.to_builtins(config)
    return {name: value for name, value in tree.items() if value or name not in {"switches", "baselines"}}


def config_of(manifest: Manifest, assignments: Sequence[str] = ()) -> Config:
    """The configuration of a run, such that it can run again from any folder of its machine.

    Relative paths become absolute, and a topic is read at the replay that the run has read.

    Parameters
    ----------
    manifest : Manifest
    assignments : sequence of str
        KEY=VALUE, only of keys that change no row: where to read, where to run.

    Raises
    ------
    ConfigError
        A key that is part of the question; or as `sweep.config.load_config`.
    """
    if any(word.partition("=")[0].strip() == "output" for word in assignments):
        raise ConfigError("output: a stored run stays in its folder")
    refuse_missing(plugins_of(manifest), f"run {manifest.id}")
    tree = _with_infinite(manifest.config)
    if tree["source"] != EMBEDDED:
        tree["source"] = located(tree["source"], manifest.directory)
    for part, names in _PATHS.items():
        section = tree.get(part, {})
        tree[part] = section | {
            name: str(Path(manifest.directory) / section[name]) for name in names if section.get(name) is not None
        }
    if tree["source"] != EMBEDDED and manifest.feed.get("replay") is not None:
        tree["replay"] = manifest.feed["replay"]
    if any(word.partition("=")[0].strip() == "executor" for word in assignments):
        tree["workers"] = None  # these were for another executor
    with placed(assignments=assignments):
        config = build_config(assign(tree, assignments))
    same_question = config.question.config_hash == manifest.config_hash
    if not same_question and not assignments:
        raise ConfigError(
            f"run {manifest.id}: its configuration means something else to this version; use version "
            f"{manifest.versions.get('sor-sweep', 'unknown')}, or run anew"
        )
    if not same_question:
        raise ConfigError(
            f"{', '.join(assignments)}: would ask something else than the run did; only keys that say where to read "
            f"and where to run may be given: {', '.join(name for name in WHERE_ONLY if name != 'output')}"
        )
    if manifest.places is UNSET:
        return config
    ascending = [-1, *manifest.places, len(config.question.grid)]
    if not (config.question.searching and manifest.places and all(one < other for one, other in pairwise(ascending))):
        raise ConfigError(f"run {manifest.id}: its places are none of its grid; start the run anew with --force")
    return config.having(np.array(manifest.places, np.int64))


def plugins_of(manifest: Manifest) -> list[Plugin]:
    """The plug-ins that a run was made with."""
    return [] if manifest.plugins is UNSET else manifest.plugins


def write_manifest(home: Path, manifest: Manifest) -> None:
    """Write a run's manifest, atomically.

    Raises
    ------
    OSError
        The disk is full, or the folder went away.
    """
    content = msgspec.to_builtins(manifest) | {"proof": _compute_proof(manifest)}
    write_text(home / NAME, json.dumps(content, indent=2, allow_nan=False) + "\n")


def _compute_proof(manifest: Manifest) -> str:
    bare = msgspec.structs.replace(manifest, proof="")
    return hashlib.sha256(msgspec.json.encode(bare, order="deterministic")).hexdigest()


def read_manifest(home: Path) -> Manifest:
    """Read a run's manifest.

    Raises
    ------
    ConfigError
        It is missing, damaged, or of another version.
    """
    path = home / NAME
    try:
        with open_regular(path) as file:
            content = file.read(LIMIT + 1)
    except OSError as error:
        raise ConfigError(
            f"{path}: cannot be read ({reason(error)}); expected the folder of a run, such as DIR/runs/ID"
        ) from None
    if len(content) > LIMIT:
        raise ConfigError(f"{path}: is over {LIMIT:,} bytes, which no manifest is")
    try:
        tree = msgspec.json.decode(content)
        number = msgspec.convert(tree["format"], int)
        version = msgspec.convert(tree.get("versions", {}).get("sor-sweep", "unknown"), str)
        manifest = msgspec.convert(tree, Manifest) if number == FORMAT else None
        if manifest is not None:
            _check_values(manifest)
    except (msgspec.DecodeError, *MALFORMED) as error:
        raise ConfigError(
            f"{path}: is no manifest, or damaged ({describe_malformed(error)}); start the run anew with --force"
        ) from None
    if manifest is None:
        raise ConfigError(
            f"{path}: has format {number}, written by version {version}, but this version reads format {FORMAT}; "
            "use that version, or start anew with --force"
        )
    if manifest.proof != _compute_proof(manifest):
        raise ConfigError(f"{path}: is damaged, or was changed; start the run anew with --force")
    return manifest


def read_complete(home: Path) -> Manifest:
    """Read the manifest of a run that is complete.

    Raises
    ------
    ConfigError
        It is not complete; or as `read_manifest`.
    """
    manifest = read_manifest(home)
    if manifest.status != "complete":
        raise ConfigError(f"{home}: is not complete; python -m sweep resume {shlex.quote(str(home))} does the rest")
    return manifest


MALFORMED: Final = (KeyError, IndexError, TypeError, AttributeError, ValueError, OverflowError, RecursionError)
"""What decoding malformed text may raise: the errors of msgspec and its codecs are among them."""


def describe_malformed(error: Exception) -> str:
    """One short line about one of these errors."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def _check_values(manifest: Manifest) -> None:
    """Check what the types of a manifest leave open and the program relies on; anybody may have written the file.

    Raises
    ------
    ValueError, TypeError
        Names the field.
    """
    from allocator.simulate import KERNELS

    plan, feed = manifest.plan, manifest.feed
    if plan.kernel not in KERNELS:
        raise ValueError(f"plan.kernel: expected one of {', '.join(KERNELS)}, but it had {plan.kernel!r}"[:200])
    if min(plan.combinations, plan.orders, plan.workers) < 1 or plan.object_store_bytes < 0:
        raise ValueError("plan: expected a combination, an order and a worker at least")
    if not all(count > 0 and 0 <= seconds < math.inf for count, seconds in plan.measured):
        raise ValueError("plan.measured: expected counts and seconds")
    if not (isinstance(feed.get("replay"), str | None) and isinstance(feed.get("place"), str | None)):
        raise TypeError("feed: expected text for replay and place")
    if any("\0" in text for text in (manifest.directory, manifest.id)):
        raise ValueError("expected text without NUL")
    if not isinstance(manifest.config.get("source"), str):
        raise TypeError("config.source: expected text")
    for name in ("grid", "search", *_PATHS):
        if not isinstance(manifest.config.get(name, {}), dict):
            raise TypeError(f"config.{name}: expected a mapping")
    for part, names in _PATHS.items():
        for name in names:
            value = manifest.config.get(part, {}).get(name)
            if not isinstance(value, str | None) or "\0" in (value or ""):
                raise TypeError(f"config.{part}.{name}: expected text")


def _without_infinite(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Replace infinity, for which JSON has no number, by text."""
    if isinstance(value, dict):
        return {key: _without_infinite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_infinite(item) for item in value]
    return _INFINITE if isinstance(value, float) and math.isinf(value) else value


def _with_infinite(config: dict[str, Any]) -> dict[str, Any]:
    def restore(value: Any) -> Any:  # noqa: ANN401 - JSON
        if isinstance(value, list):
            return [restore(item) for item in value]
        if isinstance(value, dict):
            return {name: restore(item) for name, item in value.items()}
        return math.inf if value == _INFINITE else value

    return {**config, **{name: restore(config[name]) for name in ("grid", "search") if name in config}}


def run_id(question: Question, tapes: Sequence[Facts], empty: Sequence[str] = ()) -> str:
    """16 hexadecimal digits: the same for the same question, data and code, wherever it runs and reads.

    Of a search by optuna its version counts as well, as it decides what is looked at; of every plug-in its name, its
    version and its sources.
    The embedded source brings a window and fees that the configuration does not name: their values count too.
    What is left out as empty stands in the document.
    """
    windows = [instant for facts in tapes for instant in (facts.start, facts.end)]
    each = [variant.settings for variant in question.variants.each]
    settings = each[0] if len(each) == 1 else each
    resolved = [msgspec.to_builtins(settings, str_keys=True), *windows]
    content = hashlib.sha256(msgspec.json.encode(resolved, order="deterministic"))
    digests = "".join(facts.provenance.digest for facts in tapes)
    chosen_by = [metadata.version("optuna")] if question.config.search.kind == "optuna" else []
    chosen_by += [msgspec.json.encode(plugin).decode() for plugin in question.plugins]
    for part in (*chosen_by, question.config_hash, digests, metadata.version("sor-sweep"), sources_hash(), *empty):
        content.update(part.encode())
    return content.hexdigest()[:16]
