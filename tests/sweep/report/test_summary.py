"""The table at the end of stderr: what it says, how wide it is, and that nothing in a document ends the program."""

import io
import json

import pytest

from sweep import cli
from sweep.driver import run
from sweep.report.summary import WIDTH, print_summary, summary
from tests.support.minute import config_of


@pytest.fixture(scope="module")
def one(stream):
    return run(config_of(stream)).document


@pytest.fixture(scope="module")
def many(stream):
    order = {"side": ["buy", "sell"], "size": [500, 2_000_000], "every": "5s", "horizon": "7s"}
    return run(config_of(stream, order=order)).document


def test_it_names_the_best_and_each_baseline_with_its_parts(one):
    first, header, *rows = summary(one)
    room = rows.pop(next(at for at, row in enumerate(rows) if row.startswith("the best takes")))
    rows = rows[: 1 + next(at for at, row in enumerate(rows) if row.startswith("* looks ahead"))]
    best = " ".join(f"{name}={value}" for name, value in one["best_parameters"].items())
    assert first == f"best of 27 for 1 order: {best}"
    assert header.split() == ["saved,", "bps", "total", "timing", "execution", "filled,", "%"]
    words = [row.replace(" *", "").split() for row in rows[:-1]]
    assert [row[0] for row in words] == [*one["baselines"], "optimized"]
    for name, *figures in words[:-1]:
        parts = one["shortfall"]["savings_parts_bps"][name]
        known = [parts[part] for part in ("total", "timing", "execution") if parts[part] is not None]
        assert figures[:-1] == [f"{bps:.2f}" for bps in known]
        assert figures[0] == f"{one['savings_vs_baselines_bps'][name]:.2f}"
        assert figures[-1] == f"{one['baselines'][name]['filled'] / 20:.2f}"
    assert rows[-1] == "* looks ahead: nobody could have traded so"
    assert [row.split()[0] for row in rows[:-1] if " *" in row] == ["vwap", "clairvoyant"]
    cash = {name: one["baselines"][name]["total_cash"] for name in ("best_ask", "clairvoyant")}
    taken = 100 * (cash["best_ask"] - one["optimized"]["total_cash"]) / (cash["best_ask"] - cash["clairvoyant"])
    assert one["room"]["taken_percent"] == pytest.approx(taken, abs=0.02)
    bps = 1e4 * (cash["best_ask"] - cash["clairvoyant"]) / cash["best_ask"]
    assert one["room"]["bps"] == pytest.approx(bps, abs=0.011)
    assert room == f"the best takes {taken:.2f} % of the {bps:.2f} bps between best_ask and clairvoyant"


def test_worlds_stand_side_by_side(stream):
    grid = {"liquidity": ["persist", "refresh"], "fees": {"a" * 30: {"default": {"taker": 0}}, "b": {}}}
    document = run(config_of(stream, grid=grid)).document
    lines = list(summary(document))
    start = next(n for n, line in enumerate(lines) if line.split()[-4:] == ["best", "there", "best", "above"])
    rows = [line for line in lines[start + 1 :] if "best there:" not in line]
    assert max(map(len, lines)) <= WIDTH
    joined = " ".join(" ".join(rows).split())
    for world in document["worlds"]:
        saved = [each["savings_vs_baselines_bps"]["best_ask"] for each in (world, world["first_best"])]
        market = " ".join(f"{name}={value}" for name, value in world["market"].items())
        assert f"{market} {saved[0]:.2f} {saved[1]:.2f}" in joined
    differ = [world["best_parameters"]["theta_queue"] for world in document["worlds"]]
    assert sum("best there:" in line for line in lines) >= sum(theta != differ[0] for theta in differ)


def test_what_is_held_out_stands_beside_what_its_parts_add_up_to(stream):
    order = {"side": ["buy", "sell"], "size": 5000, "every": "2s", "horizon": "2s"}
    grid = {"liquidity": ["persist", "refresh"], "lambda_under": 0, "theta_queue": [n / 500 for n in range(36)]}
    fees = {"default": {"taker": 0.003}, "2": {"taker": 0}, "43": {"taker": 0.0011}}
    document = run(config_of(stream, order=order, validate="folds=3", grid=grid, fees=fees)).document
    lines = list(summary(document))
    assert max(map(len, lines)) <= WIDTH
    header = next(at for at, line in enumerate(lines) if line.split()[:2] == ["saved,", "bps"])
    assert lines[header].split()[2:] == ["in", "sample", "timing", "execution", "filled,", "%", "held", "out"]
    row = next(line for line in lines[header:] if line.split()[0] == "best_ask").split()
    parts = document["shortfall"]["savings_parts_bps"]["best_ask"]
    held_out, in_sample = (document[f"savings_{which}_bps"]["best_ask"] for which in ("vs_baselines", "in_sample"))
    assert in_sample != held_out
    assert row[1:4] == [f"{each:.2f}" for each in (in_sample, parts["timing"], parts["execution"])]
    assert row[-1] == f"{held_out:.2f}"
    assert in_sample == pytest.approx(parts["timing"] + parts["execution"], abs=0.011)
    worlds = next(at for at, line in enumerate(lines) if line.endswith("best above"))
    assert "in sample" in lines[worlds]
    assert lines[worlds + 1].split()[-2:] == [f"{in_sample:.2f}"] * 2, "of the first world both are the same"


def test_each_cell_of_many_orders_has_its_means(many):
    lines = list(summary(many))
    cells = lines[1 + next(at for at, line in enumerate(lines) if line.lstrip().startswith("mean, bps (s.e.)")) :][:4]
    for line, cell in zip(cells, many["orders"]["cells"], strict=True):
        assert line.split()[:3] == [cell["side"], f"{cell['size']:,}", "11"]
        mean, error = cell["mean_saving_bps"]["twap"], cell["standard_error_bps"]["twap"]
        assert f"{mean:.2f} ({error:.2f})" in line
    assert "for 44 orders:" in lines[0]


def test_the_verdict_ends_it_after_a_line_for_each_part_of_many_orders(one, many):
    for document in (one, many):
        lines = list(summary(document))
        begins = next(at for at, line in enumerate(lines) if line.startswith("verdict: "))
        verdict = document["verdict"]
        assert " ".join(map(str.strip, lines[begins:])) == f"verdict: {verdict['kind']}. {verdict['sentence']}"
    assert not any("against the strongest" in line for line in summary(one))
    parts = many["statistics"]["parts"]
    begins = lines.index("  against the strongest baseline, bps")
    rows = " ".join(" ".join(lines[begins + 2 :]).split())
    for part in ({"side": None, "size": None, "verdict": many["verdict"], **many["statistics"]}, *parts):
        label = [word for word in (part["side"], part["size"] and f"{part['size']:,}") if word] or ["all"]
        mean = part["saving_bps"][part["against"]]["mean"]
        assert f"{' '.join(label)} {part['against']} {mean:.2f} not enough data" in rows
    assert [(part["side"], part["size"]) for part in parts] == [
        (None, 500), (None, 2_000_000), ("buy", 500), ("buy", 2_000_000), ("sell", 500), ("sell", 2_000_000),
    ]  # fmt: skip


def test_it_fits_a_terminal_of_80_columns(one, many):
    for document in (one, many):
        assert max(map(len, summary(document))) <= WIDTH


def test_it_ends_stderr_and_stdout_holds_the_document_alone(stream, one, capsys):
    window = config_of(stream).window
    words = [f"source={stream}", f"window.start={window.start}", f"window.end={window.end}", "order.size=2000"]
    assert cli.main(["executor=inline", *words]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["optimized"] == one["optimized"]
    assert err.endswith("\n".join(summary(one)) + "\n")


@pytest.mark.parametrize("document", [{}, {"objective": 3}, {"objective": {"combinations": "many"}}, [], None])
def test_a_document_that_somebody_else_wrote_is_passed_over(document):
    stream = io.StringIO()
    print_summary(document, stream)
    assert stream.getvalue() == ""


def test_one_of_an_earlier_version_lacks_parts_and_cells(one):
    older = {name: section for name, section in one.items() if name not in {"orders", "shortfall", "room"}}
    lines = list(summary(older))
    assert len(lines) == len(list(summary(one))) - 1
    assert lines[2].split() == ["best_ask", f"{one['savings_vs_baselines_bps']['best_ask']:.2f}", "100.00"]


def test_a_stream_that_nobody_reads_is_no_error(one):
    class Gone(io.StringIO):
        def write(self, _):
            raise BrokenPipeError

    print_summary(one, Gone())
