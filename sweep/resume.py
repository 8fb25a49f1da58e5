"""Going on with a stored run: what is missing of it is run, of the same question, data and code."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sweep import Command, caveats
from sweep.driver import run
from sweep.errors import ConfigError
from sweep.manifest import config_of, read_manifest
from sweep.progress import Silent
from sweep.stamps import sources_hash
from sweep.store import read_result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sweep.progress import Progress
    from sweep.result import Result


def resume(home: Path | str, assignments: Sequence[str] = (), progress: Progress | None = None) -> Result:
    """Finish a stored run; of one that is complete, give the result.

    Parameters
    ----------
    home : Path or str
        Its folder.
    assignments : sequence of str
        KEY=VALUE, of keys that say where to read and where to run.
    progress : Progress, optional
        Told what happens; silent by default.

    Raises
    ------
    ConfigError
        No run, one of other code, one that another process is writing, or a key that would change the question.
    FeedCorrupt
        The source holds other data than the run was made of.
    """
    home, progress = Path(home), progress or Silent()
    manifest = read_manifest(home)
    config = config_of(manifest, assignments)
    if manifest.status == "complete":
        progress.say(f"{home} is complete")
        result = read_result(home, manifest)
        caveats.tell(result.document, progress)
        return result
    if manifest.sources_hash != sources_hash():
        raise ConfigError(
            f"{home}: was begun by other code, version {manifest.versions.get('sor-sweep', 'unknown')}"
            f"{f' at {manifest.revision}' if manifest.revision else ''}; go on with that, or run anew"
        )
    try:
        return run(config, progress, home=home)
    except BaseException as error:
        if not getattr(error, "__notes__", ()):
            error.add_note(f"what was stored in {home} stands")
        raise


command = resume
sys.modules[__name__].__class__ = Command
