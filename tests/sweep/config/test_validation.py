"""The key `validate`: what it takes, and what is refused."""

import pytest

from sweep.config.loading import build_config
from sweep.config.validation import Validation, parse_validation
from sweep.errors import ConfigError


@pytest.mark.parametrize("text", ["none", "folds=2", "folds=5", "folds=38", "rolling", "anchored", "leave_one_day_out"])
def test_each_validation_is_read(text):
    validation = parse_validation(text)
    if text == "none":
        assert validation is None
        return
    assert str(validation) == text
    assert validation == (Validation("folds", int(text[6:])) if "=" in text else Validation(text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "folds",
            "expected none, folds=K with 2 to 1,000 folds, rolling, anchored or leave_one_day_out, but it had 'folds'",
        ),
        ("folds=", "but it had 'folds='"),
        ("folds=-3", "but it had 'folds=-3'"),
        ("folds=2.5", "but it had"),
        ("folds=١٢", "but it had"),
        ("Rolling", "but it had 'Rolling'"),
        ("", "but it had ''"),
        ("folds=1", "but it had 'folds=1'"),
        ("folds=1001", "but it had 'folds=1001'"),
        ("none=2", "but it had 'none=2'"),
        ("x" * 5000, "but it had 'xxx"),
    ],
)
def test_another_validation_is_refused_in_a_line(text, message):
    with pytest.raises(ConfigError, match=r"^validate: ") as raised:
        parse_validation(text)
    assert message in str(raised.value)
    assert len(str(raised.value)) <= 200


def test_the_key_is_checked_before_anything_runs():
    assert build_config({"validate": "folds=4"}).question.validation == Validation("folds", 4)
    with pytest.raises(ConfigError, match="validate: expected none, folds=K"):
        _ = build_config({"validate": "kfold"}).question
    assert build_config({}).question.config_hash == build_config({"validate": "none"}).question.config_hash
    assert build_config({}).question.config_hash != build_config({"validate": "rolling"}).question.config_hash
