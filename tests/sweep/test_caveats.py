"""What is warned of: each line on a tape that is made for it, and nothing where there is nothing to say."""

import json

import pytest

from feed.instants import format_instant, parse_instant
from sweep import cli
from sweep.caveats import across, tell
from sweep.config.loading import build_config
from sweep.driver import run
from sweep.forecast import forecast
from sweep.progress import Silent

OPEN = parse_instant("2024-08-01T14:00:00Z")
SECOND = 10**9
GRID = {"lambda_over": 0, "lambda_under": [0, 0.02, 0.05], "theta_queue": 0}


class Listening(Silent):
    """Keeps what is said."""

    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)


def at(seconds):
    return format_instant(OPEN + seconds * SECOND)


def written(path, rows):
    """Rows of (seconds, venue, bid, ask, shares of each side) as a file."""
    lines = [f"{at(s)},{venue},{k},{bid},{ask},{size},{size}\n" for k, (s, venue, bid, ask, size) in enumerate(rows)]
    path.write_text("ts_event,publisher_id,sequence,bid_px_00,ask_px_00,bid_sz_00,ask_sz_00\n" + "".join(lines))
    return path


@pytest.fixture
def swept(tmp_path):
    """Sweep some rows from the first to the last, or as is said; the document, and what was warned of."""

    def sweep(rows, size=100, end=None, **keys):
        path = written(tmp_path / "rows.csv", rows)
        window = {"start": at(0), "end": at(rows[-1][0] if end is None else end)}
        order = {"size": size, **keys.pop("order", {})}
        tree = {"source": str(path), "executor": "inline", "window": window, "order": order, "grid": GRID}
        listening = Listening()
        document = run(build_config({**tree, **keys}), listening).document
        warned = [line.removeprefix("warning: ") for line in listening.lines if line.startswith("warning: ")]
        assert warned == document["warnings"]
        return document, warned

    return sweep


def steady(minutes, size=1000):
    """A quote every half minute about 100.00, in turn 2 and 4 cents wide."""
    return [(30 * k, 2, 99.99 - k % 2 / 100, 100.01 + k % 2 / 100, size) for k in range(2 * minutes + 1)]


# of 120 shares, 50 are cheap, 50 dearer and 50 dear; what the next quote asks lies between: the mid does not move
ACTS = [(0, 2, 99.99, 100.00, 50), (0, 3, 99.99, 100.02, 50), (0, 4, 99.99, 100.06, 50)]
ACTS += [(s, venue, 99.94, ask, 200) for s in (30, 60) for venue, ask in ((2, 100.05), (3, 100.09), (4, 100.09))]


def test_nothing_is_said_where_there_is_nothing_to_say(swept):
    document, warned = swept(ACTS, size=120, grid={**GRID, "lambda_under": [0, 0.02, 0.09]})
    assert document["best_parameters"]["lambda_under"] == 0.02
    assert document["savings_vs_baselines_bps"]["best_ask"] > 0
    assert warned == []


def test_a_lone_stub_is_not_bought(swept):
    rows = [(0, 9, 0.01, 199_999.99, 100), *[(s + 1, *rest) for s, *rest in steady(5)]]
    document, _ = swept(rows, size=500, window={"start": at(0), "end": at(301)})
    assert document["optimized"]["total_cash"] == 500 * 100.01 + 500 * 0.003
    for name in ("best_ask", "twap", "vwap"):
        assert document["baselines"][name]["total_cash"] == 500 * 100.01 + 500 * 0.003
    assert document["feed"]["quality"]["counts"]["stub_quotes"] == 2
    assert document["feed"]["quality"]["book"]["stub_quotes"] == 2 * len(rows)


def test_a_stub_that_is_bought_is_said(swept):
    rows = [(0, 9, 0.01, 199_999.99, 100), *[(s + 1, *rest) for s, *rest in steady(5)]]
    _, warned = swept(rows, size=500, stub_band=None)
    expected = "the best combination fills at 40,080.01 $ on average before fees, 60 % from the arrival price of "
    assert any(line.startswith(expected) for line in warned)


def test_a_far_quote_that_is_taken_before_there_is_another_is_said(swept):
    rows = [(0, 9, 70, 130, 100), *[(s + 1, *rest) for s, *rest in steady(5)]]
    document, warned = swept(rows, size=500)
    assert document["feed"]["quality"]["book"]["stub_quotes"] == 2 * (len(rows) - 1)
    # 100 of 500 at 30 $ beyond the mid, the others at a cent
    line = "the best combination pays 601 bps beyond the mid on average: the quotes that it takes are wide, or stubs"
    assert any(each.startswith(line) for each in warned)


def test_a_market_that_rises_far_is_no_stub(swept):
    rows = [(30 * k, 2, 10 + k / 10, 10.01 + k / 10, 1000) for k in range(61)]
    _, warned = swept(rows, size=2_000, grid={**GRID, "lambda_under": [0, 0.02, 0.09]})
    assert not any("stub" in line for line in warned)


def test_a_thin_stock_is_quoted_between_its_updates(swept):
    rows = [(100 * k, venue, 19.98, 20, 1000) for k in range(37) for venue in (2, 43)]
    document, warned = swept(rows, size=2_000)
    assert document["shortfall"]["twap_slices"] == {"all": 60, "with_quotes": 60}
    assert document["baselines"]["twap"]["unfilled"] == 0
    assert document["shortfall"]["savings_parts_bps"]["twap"]["comparable"] is True
    assert not any("twap had no quote" in line for line in warned)


def test_quotes_that_end_before_the_order_does_make_a_saving_against_twap_none(swept):
    document, warned = swept(steady(60), size=24_000, end=4 * 3600)
    assert "the order ends 10,800 s after the last quote" in warned
    # 61 of 240 minutes have a quote, which is 6,100 shares, and 900 more are left at the last one
    expected = "twap had no quote in 179 of its 240 slices and left 17,000 of 24,000 shares unfilled: what is saved "
    assert any(line.startswith(expected) for line in warned)
    assert document["baselines"]["twap"]["unfilled"] == 17_000
    parts = document["shortfall"]["savings_parts_bps"]
    assert [name for name, each in parts.items() if not each["comparable"]] == ["twap"]
    assert document["shortfall"]["twap_slices"] == {"all": 240, "with_quotes": 61}


def test_quotes_that_begin_after_the_order_does(swept):
    rows = [(3600 + s, *rest) for s, *rest in steady(60)]
    document, warned = swept(rows, size=1000)
    assert "the order starts 3,600 s before the first quote" in warned
    assert any(line.startswith("twap had no quote in 60 of its 120 slices: what is saved") for line in warned)
    assert document["shortfall"]["savings_parts_bps"]["twap"]["comparable"] is False
    assert document["shortfall"]["optimized"]["first_fill"] == at(3600)


def test_quotes_that_end_with_a_half_day_before_the_order_does(tmp_path):
    head = "ts_event,publisher_id,sequence,bid_px_00,ask_px_00,bid_sz_00,ask_sz_00\n"
    lines = [f"2024-11-29T17:{minute:02}:00Z,2,{minute},99.99,100.01,500,500\n" for minute in range(60)]
    (tmp_path / "half.csv").write_text(head + "".join(lines))
    window = {"start": "2024-11-29T17:05:00Z", "end": "2024-11-29T21:00:00Z"}
    tree = {"source": str(tmp_path / "half.csv"), "executor": "inline", "grid": GRID, "order": {"size": 100}}
    warned = run(build_config({**tree, "window": window}), Silent()).document["warnings"]
    assert warned[0] == (
        "the order ends 10,860 s after the last quote; the regular session ended at 2024-11-29T18:00:00.000000000Z, "
        "and window.end=session ends there"
    )
    document = run(build_config({**tree, "window": {**window, "end": "session"}}), Silent()).document
    assert not any("after the last quote" in line for line in document["warnings"])


def test_quotes_that_cross_where_no_rule_forbids_it(swept):
    def crossed(*venues):
        return [(10 * k, venues[k % 2], 99.99 + k % 2, 100.01 + k % 2, 1000) for k in range(30)]

    (line,) = (each for each in swept(crossed(20_106, 20_108))[1] if "cross newer ones" in each)
    assert line.startswith("29 quotes that cross newer ones are hidden: on US exchanges such a quote is a late one")
    for keys in ({"uncross": True}, {"uncross": False}, {"grid": {**GRID, "uncross": [True, False]}}):
        assert not any("cross newer ones" in each for each in swept(crossed(20_106, 20_108), **keys)[1])
    assert not any("cross newer ones" in each for each in swept(crossed(2, 43))[1])


def test_trades_do_not_stand_in_for_quotes_and_one_side_not_for_the_other(swept):
    rows = [*steady(10), *[(600 + 30 * k, 2, 99.99, 0, 100) for k in range(1, 61)]]
    assert "the order ends 1,800 s after the last quote" in swept(rows, size=10, end=2400)[1]
    sold = swept(rows, size=10, end=2400, order={"side": "sell"})[1]
    assert not any("after the last quote" in line for line in sold)


@pytest.mark.parametrize(
    ("fees", "line"),
    [
        ({"default": {"taker": 30}}, "fees.default.taker is 30.0 $ a share, 3,000 bps of 100.00 $"),
        ({"2": {"taker": -0.3}}, "fees.2.taker is -0.3 $ a share, -30 bps of 100.00 $"),
        ({"9": {"taker": 30}}, None),
        ({"default": {"taker": 30}, "2": {"taker": 0.003}}, None),
        ({"default": {"taker": 0.003}}, None),
    ],
)
def test_a_fee_that_looks_like_basis_points(swept, fees, line):
    warned = swept(steady(5), fees=fees)[1]
    assert not any("on average" in each for each in warned)
    fee_lines = [each for each in warned if each.startswith("fees.")]
    assert fee_lines == ([] if line is None else [f"{line}; fees are in dollars per share, not in basis points"])


@pytest.mark.parametrize(
    ("fees", "line"),
    [
        ({"default": {"taker": 0.003}}, None),
        ({"default": {"taker": 0.0031}}, "fees.default.taker is 0.0031 $ a share: US exchanges may charge 0.003 $"),
        ({"default": {"taker": 0.1}}, "fees.default.taker is 0.1 $ a share: US exchanges may charge 0.003 $"),
        ({"default": {"taker": 0}, "XNAS": {"taker": 0.0035}}, "fees.2.taker is 0.0035 $ a share: US exchanges may"),
        ({"default": {"taker": 0}, "9": {"taker": 0.0035}}, None),  # not on the tape
        ({"default": {"taker": -0.0035}}, None),
    ],
)
def test_a_fee_above_what_exchanges_may_charge(swept, fees, line):
    fee_lines = [each for each in swept(steady(5), fees=fees)[1] if each.startswith("fees.")]
    assert len(fee_lines) == (line is not None)
    if line is not None:
        assert fee_lines[0].startswith(line)
        assert fee_lines[0].endswith("at 100.00 $ on 2024-08-01 (rule 610(c))")


def test_a_fee_on_a_date_beyond_what_is_known_of_caps(tmp_path):
    head = "ts_event,publisher_id,sequence,bid_px_00,ask_px_00,bid_sz_00,ask_sz_00\n"
    lines = [f"2027-11-01T15:{minute:02}:00Z,2,{minute},99.99,100.01,500,500\n" for minute in range(20)]
    (tmp_path / "later.csv").write_text(head + "".join(lines))
    tree = {"source": str(tmp_path / "later.csv"), "executor": "inline", "grid": GRID, "order": {"size": 100}}
    warned = run(build_config(tree), Silent()).document["warnings"]
    assert warned[0] == (
        "fees.default.taker is 0.003 $ a share: US exchanges may charge 0.001 $ at 100.00 $ on 2027-11-01 (rule 610(c))"
        "; 2027-11-01 is after 2026-11-29, when the tables of these rules were last checked"
    )


def cheap(minutes, venue=2):
    """A quote every half minute about 0.20 $."""
    return [(30 * k, venue, 0.1999 - k % 2 / 10_000, 0.2001 + k % 2 / 10_000, 1000) for k in range(2 * minutes + 1)]


def test_a_fee_above_a_hundredth_of_the_price(swept):
    (line,) = (each for each in swept(cheap(5))[1] if each.startswith("fees."))
    assert line == (
        "fees.default.taker is 0.003 $ a share, 150 bps of 0.20 $; fees are in dollars per share; below 1 $ exchanges "
        "charge a part of the price instead"
    )


def test_below_a_dollar_the_most_is_a_part_of_the_price_and_elsewhere_there_is_none(swept):
    (line,) = (each for each in swept(cheap(5), fees={"default": {"taker": 0.001}})[1] if each.startswith("fees."))
    assert line.startswith("fees.default.taker is 0.001 $ a share: US exchanges may charge 0.0006 $ at 0.20 $")
    fee = {"default": {"taker": 0.001}}
    assert not any("fees." in each for each in swept(cheap(5, venue=20_106), fees=fee)[1])


def test_shares_that_stay_unfilled(swept):
    assert swept(steady(1, size=100), size=1000)[0]["optimized"]["unfilled"] == 700
    for band, value in ((None, "70,044.10"), (0.005, "70,394.14")):
        _, warned = swept(steady(1, size=100), size=1000, leftover_band=band)
        valued = f"{value} $ of the total cash is their valuation, not a trade"
        names = "optimized, best_ask, twap, vwap, best_available, pro_rata, touch, clairvoyant"
        assert f"{names}: 700 of 1,000 shares stayed unfilled; {valued}" in warned
        assert any(line.startswith("sweep_now: 800 of 1,000 shares stayed unfilled; ") for line in warned)


NIGHT = "2024-08-01T13:00:00Z"


@pytest.mark.parametrize(
    ("keys", "is_warned_of"),
    [
        ({}, True),
        ({"window": {"start": NIGHT}}, False),
        ({"order": {"start": NIGHT}}, False),
        ({"window": {"start": "2024-08-01T13:30:00Z"}}, False),
    ],
)
def test_an_order_that_starts_with_a_source_of_before_the_session(swept, keys, is_warned_of):
    rows = [(s - 4000, *rest) for s, *rest in steady(90)]
    _, warned = swept(rows, **{"window": {}, **keys})
    line = (
        "the order starts with the source, at 2024-08-01T12:53:20.000000000Z, before the regular session; set "
        "window.start=2024-08-01T13:30:00.000000000Z, or order.start to what you mean"
    )
    assert (line in warned) is is_warned_of


def test_what_is_no_us_equity_has_no_session_of_theirs(swept):
    rows = [(s - 4000, 101, *rest) for s, _, *rest in steady(90)]
    assert not any("regular session" in line for line in swept(rows, window={})[1])


def test_combinations_that_all_tie(swept):
    line = "all 3 combinations give the same result: no parameter of this grid matters here"
    assert line in swept(steady(2), size=50)[1]
    single = dict.fromkeys(GRID, 0)
    assert not any("tie" in line or "same result" in line for line in swept(steady(2), size=50, grid=single)[1])


def test_some_that_tie_for_the_best(swept):
    _, warned = swept(ACTS, size=120, grid={**GRID, "lambda_under": [0, 0.02, 0.03, 0.04]})
    assert "3 of 4 combinations tie for the best; best_parameters is the first of them" in warned
    # of an axis that does nothing, both values tie, which says nothing
    inert = swept(ACTS, size=120, grid={"lambda_over": [0, 1], "lambda_under": [0, 0.02], "theta_queue": 0})[1]
    assert not any("tie" in line for line in inert)


def test_a_best_at_the_edge_of_an_axis_that_can_be_widened(swept):
    _, warned = swept(ACTS, size=120, grid={**GRID, "lambda_under": [0, 0.01, 0.02]})
    assert "lambda_under: the best value 0.02 is the largest of its axis; widen grid.lambda_under" in warned
    falling = [(0, 2, 99.9, 100.00, 50), (0, 3, 99.9, 100.02, 50), (30, 2, 99.8, 99.9, 200)]
    _, warned = swept(falling, grid={**GRID, "lambda_under": [0.01, 0.02]})
    assert "lambda_under: the best value 0.01 is the smallest of its axis; widen grid.lambda_under" in warned
    _, warned = swept(falling, grid={**GRID, "lambda_under": [0, 0.02]})
    assert not any("widen" in line for line in warned)


def test_a_best_that_loses_to_best_ask(swept):
    # best_ask waits at the cheap venue, which comes back cheaper; this grid takes the dear one at once
    falling = [(0, 2, 99.9, 100.00, 50), (0, 3, 99.9, 100.02, 50), (30, 2, 99.8, 99.9, 200)]
    document, warned = swept(falling, grid={**GRID, "lambda_under": 0.02})
    assert document["savings_vs_baselines_bps"]["best_ask"] < 0
    assert (
        "the best combination loses 6.00 $ to best_ask: no combination of this grid beats a router without parameters"
    ) in warned


def drifting(step):
    return [(60 * k, 2, round(99.99 + k * step, 2), round(100.01 + k * step, 2), 100) for k in range(11)]


@pytest.mark.parametrize(("side", "step"), [("buy", 0.02), ("sell", 0.02), ("buy", -0.02), ("sell", -0.02)])
def test_a_saving_that_is_drift(swept, side, step):
    document, warned = swept(drifting(step), order={"side": side})
    sign = 1 if (side == "buy") == (step > 0) else -1
    # 10 shares a minute for ten minutes, against 100 at once: 4.5 steps on average, 9 $
    whole = document["baselines"]["twap"]["total_cash"]
    bps = round(sign * 9 / whole * 10_000, 2)
    parts = document["shortfall"]
    assert parts["savings_parts_bps"]["twap"] == {"total": bps, "timing": bps, "execution": 0.0, "comparable": True}
    assert document["savings_vs_baselines_bps"]["twap"] == bps
    assert (parts["arrival_mid"], parts["arrival_at"]) == (100.0, at(0))
    assert (parts["optimized"]["first_fill"], parts["optimized"]["last_fill"]) == (at(0), at(0))
    assert (parts["baselines"]["twap"]["first_fill"], parts["baselines"]["twap"]["last_fill"]) == (at(0), at(540))
    lost = {"shortfall": 9 * sign + 1.3, "timing": 9.0 * sign, "spread": 1.0, "fees": 0.3, "leftover": 0.0}
    assert {name: parts["baselines"]["twap"][name] for name in lost} == pytest.approx(lost)
    (line,) = [line for line in warned if line.startswith("timing is most of the bps saved against ")]
    assert f"twap ({bps:.2f} of {bps:.2f})" in line
    other = {"buy": "sell", "sell": "buy"}[side]
    assert line.endswith(
        f": the market moved between the fills, and a {other} over the same data shows it with the other sign"
    )


@pytest.mark.parametrize("document", [{}, {"warnings": None}, {"warnings": 5}, {"warnings": "text"}])
def test_a_stored_document_without_warnings_says_none(document):
    listening = Listening()
    tell(document, listening)
    assert listening.lines == []


def test_a_plan_warns_of_the_question(tmp_path):
    path = written(tmp_path / "rows.csv", steady(10))
    window = {"start": at(0), "end": at(3600)}
    fees = {"default": {"taker": 30}}
    listening = Listening()
    tree = {"source": str(path), "executor": "inline", "window": window, "order": {"size": 100}, "fees": fees}
    forecast(build_config(tree), listening)
    assert "warning: the order ends 3,000 s after the last quote" in listening.lines
    assert any(line.startswith("warning: fees.default.taker is 30.0 $ a share") for line in listening.lines)


def test_the_printed_parts_of_each_saving_add_up(stream, tmp_path):
    document = run(build_config({"source": str(stream), "executor": "inline", "order": {"size": 7000}})).document
    for name, total in document["savings_vs_baselines_bps"].items():
        each = document["shortfall"]["savings_parts_bps"][name]
        assert each["total"] == total
        parts = each["timing"], each["execution"]
        assert parts == (None, None) if name == "clairvoyant" else round(sum(parts), 2) == total


def test_a_book_without_a_mid_has_no_shortfall(swept):
    rows = [(30 * k, 2, 0, 100.01, 100) for k in range(5)]
    document, warned = swept(rows)
    assert document["shortfall"] is None
    assert not any("timing" in line or "on average" in line for line in warned)


def test_the_lines_stand_on_stderr_for_a_run_that_is_new_or_stored_and_where_one_is_resumed_or_verified(
    tmp_path, capsys
):
    path = written(tmp_path / "rows.csv", steady(2))
    words = [f"source={path}", "executor=inline", "order.size=50", "--output", str(tmp_path)]
    line = "warning: all 27 combinations give the same result: no parameter of this grid matters here"

    def lines(*command):
        code = cli.main(list(command))
        out, err = capsys.readouterr()
        assert code == 0, err
        json.loads(out)
        return err.splitlines()

    assert lines(*words).count(line) == 1
    (home,) = (tmp_path / "runs").iterdir()
    assert lines(*words).count(line) == 1
    assert lines("resume", str(home)).count(line) == 1
    assert lines("verify", str(home)).count(line) == 1
    logged = [json.loads(each)["text"] for each in (home / "log.jsonl").read_text().splitlines() if "text" in each]
    assert line in logged


@pytest.mark.parametrize(("saving", "flips"), [(0.28, True), (-0.28, False)])
def test_a_market_that_flips_the_answer_is_told_of_in_sample_whatever_is_held_out(saving, flips):
    """What is held out is of other orders, and chosen by them: here of the other sign."""

    def world(liquidity, first_best):
        return {
            "market": {"liquidity": liquidity},
            "savings_vs_baselines_bps": {"best_ask": 0.01},
            "savings_in_sample_bps": {"best_ask": -0.01},
            "first_best": {"savings_vs_baselines_bps": {"best_ask": first_best}},
        }

    lines = list(across([world("persist", -0.01), world("refresh", saving)]))
    line = (
        "the answer hangs on the market: what is best with liquidity=persist saves -0.01 bps in sample against "
        "best_ask, and 0.28 bps with liquidity=refresh"
    )
    assert lines == [line] * flips
