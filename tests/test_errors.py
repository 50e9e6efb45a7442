"""Problems are data until they are printed."""

import os

import pytest

from gan_cli.errors import (
    Problem,
    SettingsError,
    UserError,
    choice_problems,
    did_you_mean,
    printable,
    problems_in,
    require,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (None, "null"), (True, "true"), ([8, "x", None], "[8,x,null]"), ((0.5,), "[0.5]")],
)
def test_values_are_printed_as_typed(value: object, text: str) -> None:
    assert str(Problem("k", value, "no")) == f"k={text}: no"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, Grüße, 猫 🐈\u200d⬛\tand\nlines", "plain, Grüße, 猫 🐈\u200d⬛\tand\nlines"),
        ("\x1b]0;title\x07\x1b[2Jx", r"\x1b]0;title\x07\x1b[2Jx"),
        ("\x9b31m\r\x7f\0", r"\x9b31m\x0d\x7f\x00"),
        ("a\u202egnp.exe\u2066\u2028", r"a\u202egnp.exe\u2066\u2028"),
        (os.fsdecode(b"caf\xe9"), r"caf\udce9"),
    ],
)
def test_what_would_control_the_terminal_is_shown_as_text(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_a_value_stays_on_its_line() -> None:
    assert str(Problem("run", "a\nwarning: b", "no")) == r"run=a\x0awarning: b: no"


def test_keys_are_completed_once() -> None:
    below = Problem("dim", 0, "no").under("noise")
    assert str(below) == "noise.dim=0: no"
    assert below.under("model") == below
    assert str(Problem.about("", "no").under("noise")) == "noise: no"
    assert str(Problem.about("", "no")) == "no"


def test_require_collects_every_problem() -> None:
    whole = Problem("data.image_size", 30, "no", is_full=True)
    require((True, "dim", 1, "never seen"), (True, whole))
    with pytest.raises(SettingsError) as error:
        require((False, "dim", 0, "too small"), (True, "std", 1, "never seen"), (False, whole))
    assert error.value.problems == [Problem("dim", 0, "too small"), whole]
    assert [str(p) for p in problems_in(error.value, key="noise")] == [
        "noise.dim=0: too small",
        "data.image_size=30: no",
    ]


def test_other_errors_are_problems_of_their_node() -> None:
    (problem,) = problems_in(TypeError("first line\nsecond line"), key="loss")
    assert str(problem) == "loss: first line"
    (problem,) = problems_in(ValueError(), key="loss")
    assert str(problem) == "loss: ValueError"
    problems = [Problem("a", 1, "no"), Problem("b", 2, "no")]
    assert problems_in(UserError(problems), key="loss") == problems


def test_several_problems_have_a_heading_and_no_doubles() -> None:
    a, b = Problem("a", 1, "no"), Problem("b", [2], "no")
    assert str(UserError([a, b, a])) == "2 problems in the configuration:\n  a=1: no\n  b=[2]: no"
    assert str(UserError(a)) == str(UserError([a, a])) == "a=1: no"


def test_choices() -> None:
    assert choice_problems("precision", "fp32", ("fp32", "bf16")) == []
    (problem,) = choice_problems("precision", "fp23", ("fp32", "bf16"))
    assert str(problem) == "precision=fp23: use fp32, bf16. Did you mean fp32?"
    assert did_you_mean("xyz", ("fp32",)) == ""
