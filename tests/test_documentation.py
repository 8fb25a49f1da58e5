"""The documentation tells the truth: links and named files exist, commands parse, the version is the project's."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import subprocess
import tomllib
from importlib import metadata

import msgspec
import pytest

import sweep
import sweep.driver  # whose error has an exit code of its own
from allocator.errors import AllocatorError
from feed import cli as feed_cli
from feed import synthetic
from feed.errors import FeedError
from feed.signals import INTERRUPTED, TERMINATED
from sweep import cli as sweep_cli
from sweep.errors import SweepError
from tests.support import ROOT
from tests.support.desk import write_desk
from tests.support.pages import COMMAND, FENCE, PAGES, blocks, leaves
from tools import reference
from tools.kafka import jars

SPAN = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\[[^\]]*\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)")
MAKE = re.compile(r"(?:^|[;&|]\s*)make((?:[ \t]+[^\s;&|>#]+)+)", re.MULTILINE)
FILE = re.compile(r"[\w.-]+(?:/[\w.-]+)+\.(?:py|md|ya?ml|sh)")
SHELL = {"|", "||", "&&", "&", ";", ">", ">>", "<"}


def spans(text):
    return SPAN.findall(FENCE.sub("", text))


def anchors(text):
    """The anchors of a page's headings, as a reader's browser makes them."""
    titles = re.findall(r"^#+\s+(.*?)\s*#*$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken_links(text, page):
    broken = []
    for link in LINK.findall(SPAN.sub("", FENCE.sub("", text))):
        place, _, anchor = link.partition("#")
        if re.match(r"[a-z][a-z+.-]*:", place):
            continue
        target = page.parent / place if place else page
        if not target.exists():
            broken.append(link)
        elif anchor and target.suffix == ".md":
            linked = text if target == page else target.read_text()
            if anchor not in anchors(linked):
                broken.append(link)
    return broken


def unknown_targets(text):
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set()
    for words in MAKE.findall("\n".join([*blocks(text), *spans(text)])):
        for word in shlex.split(words, comments=True):
            if "=" not in word and not word.startswith("-"):
                named.add(word)
    return sorted(word for word in named - targets if re.fullmatch(r"[a-z][\w-]*", word))


PARSE = {"sweep": sweep_cli.parse, "feed": lambda words: feed_cli.build_parser().parse_args(feed_cli._split(words)[0])}


def words_of(rest):
    """The arguments of a command up to the shell's next word."""
    words = []
    lexer = shlex.shlex(rest, posix=True, punctuation_chars=True)
    lexer.wordchars += "{}[]:,=@%?!"
    for word in lexer:
        if word in SHELL:
            break
        words.append(word)
    # A redirected descriptor: the 2 of 2>.
    return words[:-1] if re.search(r"\s2>", rest) and words and words[-1] == "2" else words


def refusal(package, words):
    """What the parser says against the arguments; None where it takes them."""
    output = io.StringIO()
    try:
        with contextlib.redirect_stderr(output), contextlib.redirect_stdout(output):
            PARSE[package](words)
    except SystemExit as left:
        if left.code:
            return output.getvalue().strip()
    return None


def refused_commands(text):
    refused = []
    lines = [line for block in blocks(text) for line in block.splitlines()]
    for package, rest in (command for line in lines for command in COMMAND.findall(line)):
        # [brackets] and ... are a synopsis for people.
        if "..." in rest or re.search(r"\s\[", rest):
            continue
        words = words_of(rest)
        message = refusal(package, words)
        if message:
            refused.append((package, words, message))
    for package, rest in (command for span in spans(text) for command in COMMAND.findall(span)):
        words = words_of(rest)
        # In running text a command is often only named: `python -m feed replay`.
        if words and re.fullmatch(r"[a-z]+", words[0]):
            message = refusal(package, [words[0], "--help"])
            if message:
                refused.append((package, words, message))
    return refused


def missing_files(text):
    return [name for name in spans(text) if FILE.fullmatch(name) and not (ROOT / name).exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
class TestPage:
    def test_links_resolve(self, page):
        assert broken_links(page.read_text(), page) == []

    def test_make_targets_exist(self, page):
        assert unknown_targets(page.read_text()) == []

    def test_commands_parse(self, page):
        assert refused_commands(page.read_text()) == []

    def test_named_files_exist(self, page):
        assert missing_files(page.read_text()) == []


def test_newest_changes_are_of_the_project_s_version():
    with (ROOT / "pyproject.toml").open("rb") as file:
        version = tomllib.load(file)["tool"]["setuptools_scm"]["fallback_version"]
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest
    assert newest[1] == version
    assert metadata.version("sor-sweep") == version
    assert [tag for tag in tags_here() if tag != f"v{version}"] == []


def tags_here():
    """The versions that this commit is tagged with; none where the tree is no clone."""
    command = ["git", "tag", "--points-at", "HEAD", "--list", "v[0-9]*"]
    with contextlib.suppress(OSError):
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    return []


def test_the_container_image_is_of_the_version_that_the_tests_run():
    text = (ROOT / "README.md").read_text() + (ROOT / "docs" / "kafka.md").read_text()
    assert set(re.findall(r"(?:apache/kafka:|Apache Kafka )([\d.]+\d)", text)) == {jars.VERSION}


def test_the_example_of_a_secured_broker_is_a_configuration(tmp_path, monkeypatch):
    from feed.access import Access, access_of
    from sweep.config.loading import load_config

    text = (ROOT / "docs" / "kafka.md").read_text()
    (example,) = re.findall(r"^```yaml\n(source: .*?)^```$", text, re.MULTILINE | re.DOTALL)
    file = tmp_path / "sweep.yaml"
    file.write_text(example.replace("/etc/kafka/ca.pem", "null"))
    monkeypatch.setenv("KAFKA_PASSWORD", "x")
    settings = msgspec.to_builtins(load_config(str(file)).kafka)
    assert access_of(settings) == Access("SASL_SSL", "SCRAM-SHA-512", "alice", "KAFKA_PASSWORD")


def test_the_readme_is_read_in_a_minute_and_every_page_is_found():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 160
    listed = set(re.findall(r"\]\(([\w.]+\.md)\)", (ROOT / "docs" / "README.md").read_text()))
    assert listed == {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}


def test_the_reference_is_of_the_keys_and_checks_that_there_are():
    text = reference.PAGE.read_text()
    assert reference.page(text) == text, "python -m tools.reference writes it anew"
    assert text.count("made by python -m tools.reference") == len(reference.TABLES)
    text = reference.MARKETS.read_text()
    assert reference.page(text, reference.OF_MARKETS) == text, "python -m tools.reference writes it anew"
    assert text.count("made by python -m tools.reference") == len(reference.OF_MARKETS)


def test_the_reference_names_every_field_of_the_document_and_no_other(
    minute_document, document_of_worlds, document_of_blocks, document_of_placement
):
    section = reference.PAGE.read_text().partition("## The document")[2].partition("\n## ")[0]
    named = [name for row in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE) for name in SPAN.findall(row)]
    patterns = {name: re.compile(re.escape(name).replace(r"\*", r"[^.]+")) for name in named}
    documents = [minute_document, document_of_worlds, document_of_blocks, document_of_placement]
    fields = {field for each in documents for field in leaves(each)} - {"feed.partitions"}  # of a file there are none
    fields -= {field for field in fields if any(other.startswith(f"{field}.") for other in fields)}  # null in some
    assert [each for each in sorted(fields) if not any(rule.fullmatch(each) for rule in patterns.values())] == []
    of_topics_and_plugins = {"feed.partitions[].*", "run.plugins[].*"}  # tests/integration
    unmet = [name for name, rule in patterns.items() if not any(map(rule.fullmatch, fields))]
    assert set(unmet) == of_topics_and_plugins


@pytest.fixture(scope="module")
def minute(tmp_path_factory):
    file = tmp_path_factory.mktemp("quotes") / "day.csv.gz"
    synthetic.write_csv(synthetic.generate(seconds=60.0, levels=1), file)
    return str(file)


@pytest.fixture(scope="module")
def minute_document(minute):
    keys = {"source": minute, "executor": "inline", "search": {"prune": True}}
    return json.loads(json.dumps(sweep.run(keys).document))


@pytest.fixture(scope="module")
def document_of_worlds(minute):
    latencies = {"near": "1ms", "far": {"default": "2ms", "2": "3ms"}}
    keys = {"source": minute, "executor": "inline", "grid": {"latency": latencies}, "search": {"kind": "zoom"}}
    return json.loads(json.dumps(sweep.run(keys).document))


@pytest.fixture(scope="module")
def document_of_placement(minute):
    window = {"start": synthetic.window(60.0)[0] + 30 * 10**9, "warmup": "60s"}
    grid = {"phi": [0, "neutral"], "lambda_over": 0.05, "lambda_under": [0, 0.03], "theta_queue": 0}
    keys = {"source": minute, "executor": "inline", "policy": "placement", "slice": "5s", "window": window}
    return json.loads(json.dumps(sweep.run(keys | {"grid": grid}).document))


@pytest.fixture(scope="module")
def document_of_blocks(minute):
    order = {"side": ["buy", "sell"], "size": 5000, "every": "2s", "horizon": "2s"}
    grid = {"lambda_under": 0, "theta_queue": [n / 500 for n in range(36)], "liquidity": ["persist", "refresh"]}
    fees = {"default": {"taker": 0.003}, "2": {"taker": 0}, "43": {"taker": 0.0011}}
    keys = {"source": minute, "order": order, "validate": "folds=3", "grid": grid, "fees": fees, "executor": "inline"}
    return json.loads(json.dumps(sweep.run(keys).document))


def test_the_reference_lists_every_exit_code():
    listed = set(re.findall(r"^\| ([\d, ]+) \|", reference.PAGE.read_text(), re.MULTILINE))
    codes = {int(code) for row in listed for code in row.split(", ")}
    errors = [AllocatorError, *subclasses(FeedError), *subclasses(SweepError)]
    assert codes == {0, 1, 2, sweep_cli.DRIFTED, INTERRUPTED, TERMINATED} | {
        error.exit_code for error in errors if hasattr(error, "exit_code")
    }


def subclasses(error):
    return [error, *(each for child in error.__subclasses__() for each in subclasses(child))]


@pytest.mark.parametrize(
    "page", ["README.md", "docs/mapping.md", "docs/model.md", "docs/search.md", "docs/simulation.md"]
)
def test_python_in_a_page_runs(page, tmp_path, monkeypatch):
    examples = re.findall(r"^```python\n(.*?)^```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)
    assert examples
    synthetic.write_csv(synthetic.generate(seconds=60.0), tmp_path / "day.csv.gz")
    write_desk(synthetic.generate(seconds=60.0), tmp_path / "desk.csv")
    monkeypatch.chdir(tmp_path)
    for example in examples:
        exec(compile(example, page, "exec"), {})  # noqa: S102 - a page's own


def test_continuous_integration_runs_the_documented_command():
    assert "make test" in (ROOT / ".ci" / "run").read_text()
    assert "make test" in (ROOT / "CONTRIBUTING.md").read_text()


class TestTheChecks:
    """What the checks above would find."""

    def test_a_broken_link(self):
        text = "# A title, here\n[a](#a-title-here) [b](nowhere.md) [c](CHANGELOG.md#none) [d](https://x.example/y)\n"
        assert broken_links(text, ROOT / "CONTRIBUTING.md") == ["nowhere.md", "CHANGELOG.md#none"]

    def test_an_unknown_target(self):
        text = "`make helpful` and `make run A=1`\n```sh\nmake PYTHON=python3 tset && make lint  # a\n```\n"
        assert unknown_targets(text) == ["helpful", "tset"]

    def test_a_command_that_does_not_parse(self):
        text = (
            "`python -m feed replay` `python -m feed play`\n"
            "```sh\n"
            "python -m feed synth quotes.csv.gz --seed 7 \\\n    --minutes 1 2>log  # a comment\n"
            "python -m feed check file:quotes.csv.gz --json | less\n"
            "python -m feed replay SOURCE [--start ISO] ...\n"
            "python -m feed replay quotes.csv.gz\n"
            "```\n"
        )
        refused = [(package, words) for package, words, _ in refused_commands(text)]
        assert refused == [("feed", ["replay", "quotes.csv.gz"]), ("feed", ["play"])]

    def test_a_missing_file(self):
        assert missing_files("`tests/conftest.py` `tests/confetti.py`") == ["tests/confetti.py"]
