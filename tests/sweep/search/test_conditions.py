"""Conditions between axes, against the same condition spelled out in fractions for each combination."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from allocator.money import NANO
from allocator.order import UNBOUNDED
from sweep.errors import ConfigError
from sweep.search.conditions import holds
from sweep.search.grid import Axis, build_grid

CENT = NANO // 100


def axes_of(over=(0,), under=(0,), theta=(0,), **labels):
    further = tuple(Axis.of(name, values) for name, values in labels.items())
    parameters = (("lambda_over", over), ("lambda_under", under), ("theta_queue", theta))
    return (*further, *(Axis(name, np.array(values, np.int64)) for name, values in parameters))


def kept(text, **axes):
    return holds([text] if isinstance(text, str) else text, axes_of(**axes)).tolist()


values = st.lists(st.integers(0, 4).map(lambda cents: cents * CENT), min_size=1, max_size=4, unique=True)
terms = st.tuples(
    st.sampled_from(
        ["0.01", "2 * lambda_over", "lambda_under", "theta_queue / 3", "-lambda_over", "0.1 * lambda_under"]
    ),
    st.sampled_from(["+", "-"]),
    st.sampled_from(["lambda_over", "theta_queue", "0.02", "(lambda_under - 0.01)"]),
)
comparisons = st.builds(
    lambda one, op, other: f"{' '.join(one)} {op} {' '.join(other)}",
    terms,
    st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
    terms,
)


def exact(text):
    """The text with every number and axis as a fraction, for Python itself."""
    for name in ("lambda_over", "lambda_under", "theta_queue"):
        text = text.replace(name, f"v['{name}']")
    for number in ("0.01", "0.02", "0.1 "):
        text = text.replace(number, f"Fraction('{number.strip()}') ")
    return text


@given(values, values, values, st.lists(comparisons, min_size=1, max_size=3))
def test_sums_are_compared_exactly(over, under, theta, conditions):
    joined = f"{conditions[0]} and not ({' or '.join(conditions[1:] or ['0 > 1'])})"
    names = ("lambda_over", "lambda_under", "theta_queue")
    points = [
        {name: Fraction(value, NANO) for name, value in zip(names, point, strict=True)}
        for point in itertools.product(over, under, theta)
    ]
    expected = [eval(exact(joined), {"Fraction": Fraction, "v": point}) for point in points]  # noqa: S307
    assert kept(joined, over=over, under=under, theta=theta) == expected


def test_tenths_are_no_floats():
    assert kept("lambda_over + 0.2 == 0.3", over=[NANO // 10]) == [True]
    assert kept("lambda_over * 3 == 0.3", over=[NANO // 10]) == [True]
    assert kept("lambda_over <= 1e-9", over=[1, 2]) == [True, False]


def test_infinite_values_are_beyond_all_others_and_equal_to_one_another():
    axes = {"over": [0, UNBOUNDED], "under": [CENT, UNBOUNDED]}
    assert kept("lambda_over < lambda_under", **axes) == [True, True, False, False]
    assert kept("lambda_over <= lambda_under", **axes) == [True, True, False, True]
    assert kept("lambda_over == inf", **axes) == [False, False, True, True]
    assert kept("lambda_under - lambda_over >= 100", **axes) == [False, True, False, False]


def test_names_and_numbers_of_further_axes():
    axes = {"reference": ("touch", "mid"), "depth": (1, 5, 10), "uncross": (True, False), "max_age": ("5s", None)}
    mask = holds(["reference == 'touch' or depth in [5, 10] and not uncross", "max_age != null"], axes_of(**axes))
    expected = [
        (reference == "touch" or (depth in (5, 10) and not uncross)) and age is not None
        for reference, depth, uncross, age in itertools.product(*axes.values())
    ]
    assert mask.tolist() == expected
    assert kept("1 < depth <= 5", depth=(1, 5, 10)) == [False, True, False]
    assert kept("participation < 0.3", participation=(0.1, 0.3)) == [True, False]
    assert kept("latency == 0 or latency == '1ms'", latency=(0, "1ms", "5ms")) == [True, True, False]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("lambda_ovr < 1", "names lambda_ovr, which is no axis of this grid; it has reference, uncross, lambda_over"),
        ("lambda_over <", "cannot be read"),
        ("lambda_over", "is no comparison"),
        ("reference", "is no comparison"),
        ("lambda_over * lambda_under < 1", "multiplies or divides by what is no number"),
        ("lambda_over / 0 < 1", "multiplies or divides by what is no number"),
        ("reference < 'mid'", "compares names by what is no =="),
        ("reference == 'toch'", "names 'toch', and reference has touch, mid"),
        ("reference == touch", "names touch, which is no axis"),
        ("lambda_over == 'touch'", "compares what cannot be compared"),
        ("uncross == 1", "names 1.0, and uncross has True, False"),
        ("lambda_over in lambda_under", "needs a list after in"),
        ("lambda_over is 1", "compares by what is no <"),
        ("reference + 1 < 2", "adds or multiplies what is no number"),
        ("f(lambda_over) < 1", "holds what is no axis, number or name"),
        ("lambda_over.real < 1", "holds what is no axis, number or name"),
        ("(lambda x: x)(1) < 1", "holds what is no axis, number or name"),
        ("lambda_over < 1e300", "too many digits"),
        ("lambda_over < 0.0000000000000000000000001", "too many digits"),
        (f"lambda_over < {'9' * 400}", "too many digits"),
        ("uncross and 1e20 * theta_queue < 1", "too many digits"),
        ("not " * 400 + "(1 < 2)", "longer than 1,000"),
        ("(" * 400 + "1 < 2" + ")" * 400, "cannot be read"),
        ("lambda_over < '\x00'", "cannot be read"),
    ],
)
def test_what_is_no_condition_is_refused_in_one_line(text, says):
    with pytest.raises(ConfigError) as error:
        holds([text], axes_of(over=[0, CENT], reference=("touch", "mid"), uncross=(True, False)))
    assert str(error.value).startswith("where: ")
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_what_a_condition_drops_is_never_numbered():
    grid = build_grid(
        {"lambda_over": [0, 0.01], "lambda_under": [0, 0.01], "theta_queue": [0, 0.5]},
        {},
        ["lambda_over < lambda_under"],
    )
    assert len(grid) == 2
    assert [grid.printed(number) for number in range(2)] == [
        {"lambda_over": 0.0, "lambda_under": 0.01, "theta_queue": theta} for theta in (0.0, 0.5)
    ]
    with pytest.raises(IndexError):
        grid.point(2)
    with pytest.raises(ConfigError, match=r"^where: lambda_over < 0 drops all 27 combinations$"):
        build_grid({}, {}, ["lambda_over < 0"])
