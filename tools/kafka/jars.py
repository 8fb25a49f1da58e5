"""Apache Kafka from its Maven coordinates, kept in the user's cache folder; nothing but the standard library."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION = "4.1.1"
"""Of Apache Kafka; docs/kafka.md shows the container image of the same version."""

JAVA = 17
"""The oldest Java that Kafka 4 runs on."""

PLUGIN = "org.apache.maven.plugins:maven-dependency-plugin:3.6.0"
COORDINATES = (
    f"org.apache.kafka:kafka_2.13:{VERSION}",
    "org.apache.logging.log4j:log4j-slf4j-impl:2.24.3",  # or a broker dies without a word
)
FETCH_SECONDS = 480

_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>sor-sweep</groupId>
  <artifactId>kafka</artifactId>
  <version>1</version>
  <dependencies>
{dependencies}
  </dependencies>
</project>
"""
_DEPENDENCY = (
    "    <dependency><groupId>{0}</groupId><artifactId>{1}</artifactId><version>{2}</version>"
    "<scope>runtime</scope></dependency>"
)


class KafkaAbsentError(Exception):
    """Apache Kafka cannot be run here: no Java, no Maven, or Maven could not fetch it; the message is one line."""


@functools.cache
def java() -> str:
    """The path of a Java that is new enough: of JAVA_HOME, or else of PATH.

    Raises
    ------
    KafkaAbsentError
        There is none; names the package.
    """
    home = os.environ.get("JAVA_HOME")
    program = shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")
    remedy = f"Java {JAVA} or newer is needed: apt-get install openjdk-{JAVA}-jre-headless"
    if program is None:
        raise KafkaAbsentError(f"there is no java {f'in JAVA_HOME={home}' if home else 'on PATH'}; {remedy}")
    banner = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=60, check=False).stderr
    version = re.search(r'version "(\d+)', banner)
    if version is None or int(version[1]) < JAVA:
        raise KafkaAbsentError(f"{program} is Java {version[1] if version else 'of no known version'}; {remedy}")
    return program


def pom() -> str:
    """The project file that names what is fetched."""
    return _POM.format(dependencies="\n".join(_DEPENDENCY.format(*each.split(":")) for each in COORDINATES))


def folder() -> Path:
    """Where the jars are, or would be: in the user's cache folder, by version and by what was asked of Maven."""
    home = os.environ.get("XDG_CACHE_HOME")
    root = Path(home) if home else Path("~/.cache").expanduser()
    asked = hashlib.sha256((pom() + PLUGIN).encode()).hexdigest()[:8]
    return root / "sor-sweep" / f"kafka-{VERSION}-{asked}"


def jars(seconds: float = FETCH_SECONDS) -> Path:
    """The folder of Kafka's jars; fetched by Maven where it is not there yet.

    Parameters
    ----------
    seconds : float
        How long Maven may take.

    Raises
    ------
    KafkaAbsentError
        It is not there and cannot be fetched.
    """
    place = folder()
    if place.is_dir():
        return place
    maven = shutil.which("mvn")
    if maven is None:
        raise KafkaAbsentError(f"there is no {place} and no mvn on PATH to fill it; apt-get install maven")
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Beside the place, so that renaming it is one step: nobody ever sees half of it. One at a time, as Maven's own
    # folder of what it has fetched is not made for two.
    with alone(place.parent), tempfile.TemporaryDirectory(dir=place.parent, prefix=".kafka-") as scratch:
        if place.is_dir():
            return place
        fetched = Path(scratch, "jars")
        Path(scratch, "pom.xml").write_text(pom())
        _fetch(maven, scratch, fetched, seconds)
        with suppress(OSError):
            fetched.rename(place)
    if not place.is_dir():
        raise KafkaAbsentError(f"{place} cannot be made")
    return place


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Wait until nobody else holds a folder, and hold it."""
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def _fetch(maven: str, scratch: str, fetched: Path, seconds: float) -> None:
    """Let Maven copy the jars into a folder of their own."""
    goal = [f"{PLUGIN}:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={fetched}"]
    command = [maven, "--batch-mode", "--quiet", "--strict-checksums", *goal]
    try:
        ran = subprocess.run(command, cwd=scratch, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired as error:
        raise KafkaAbsentError(f"mvn did not fetch Apache Kafka {VERSION} within {seconds:.0f} s") from error
    if ran.returncode or not any(fetched.glob(f"kafka_*-{VERSION}.jar")):
        errors = [line for line in ran.stdout.splitlines() if line.startswith("[ERROR]")] or [ran.stderr.strip() or "?"]
        raise KafkaAbsentError(f"mvn could not fetch Apache Kafka {VERSION}: {errors[0][:400]}")
