from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from framework.config.location import SearchPath
from framework.config.overrides import OverrideReader
from framework.errors import SpecError


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> SearchPath:
    folder: Path = tmp_path_factory.mktemp("configs")
    for name in ("recipe/speech.yaml", "recipe/music.yaml", "model/big.yaml", "model/2024.yaml", "schema/model.json"):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
    return SearchPath((folder,))


def problem(search: SearchPath, text: str, multirun: bool = False) -> str:
    with pytest.raises(SpecError) as caught:
        OverrideReader(search, multirun).read([text])
    (found,) = caught.value.problems
    return str(found)


@pytest.mark.parametrize(
    ("text", "for_hydra", "kind", "value"),
    [
        ("a.b=3", "++a.b=3", "value", 3),
        ("a.b=1e-3", "++a.b=1e-3", "value", 0.001),
        ("a=null", "++a=null", "value", None),
        ("a=", "++a=", "value", ""),
        ("a = 3", "++a= 3", "value", 3),
        ("+a=3", "+a=3", "value", 3),
        ("++a=3", "++a=3", "value", 3),
        ("~a.b", "~a.b", "delete", None),
        ("a={b: 1}", "++a={b: 1}", "value", {"b": 1}),
        ("a=[1,x]", "++a=[1,x]", "value", [1, "x"]),
        ("a='3'", "++a='3'", "value", "3"),
        ("a=${size:tokens}", "++a=${size:tokens}", "value", "${size:tokens}"),
        ("recipe=music", "recipe=music", "choice", "music"),
        ("++recipe=music", "recipe=music", "choice", "music"),
        ("recipe=null", "~recipe", "choice", None),
        ("model=2024", "model='2024'", "choice", "2024"),
        ("model@other=big", "model@other=big", "choice", "big"),
        ("model={units: 3}", "++model={units: 3}", "value", {"units": 3}),
        ("model.units=3", "++model.units=3", "value", 3),
        ("hydra.mode=RUN", "hydra.mode=RUN", "hydra", "RUN"),
        ("hydra/launcher=joblib", "hydra/launcher=joblib", "hydra", "joblib"),
        # Text that Hydra's grammar refuses, or would trim, is quoted.
        ("a=I'm", "++a='I\\'m'", "value", "I'm"),
        ("a= x", "++a=' x'", "value", " x"),
        ("a=ROMEO: ", "++a=ROMEO: ", "value", "ROMEO: "),
        ("a=http://x.org/?b=1&c=2", "++a='http://x.org/?b=1&c=2'", "value", "http://x.org/?b=1&c=2"),
        ("a=one\ntwo", "++a='one\ntwo'", "value", "one\ntwo"),
        ("a=C:\\data\\my text.txt", "++a=C:\\data\\my text.txt", "value", "C:\\data\\my text.txt"),
        ("a=~/texts/*.txt", "++a='~/texts/*.txt'", "value", "~/texts/*.txt"),
        ("a=¿qué?", "++a='¿qué?'", "value", "¿qué?"),
    ],
)
def test_reading(search, text, for_hydra, kind, value):
    (one,) = OverrideReader(search).read([text])
    assert (one.for_hydra, one.kind, one.value) == (for_hydra, kind, value)


def test_a_forced_override_is_shown_as_a_plain_one(search):
    (one,) = OverrideReader(search).read(["++a.b=3"])
    assert one.text == "a.b=3"
    assert str(one.origin) == "override `a.b=3`"


def test_a_swept_value_says_so(search):
    (one,) = OverrideReader(search).read(["++a.b=3"], swept=["++a.b=3"])
    assert str(one.origin) == "sweep `a.b=3`"


SAFE = st.characters(exclude_categories=("Cs", "Cc"), exclude_characters=",[]{}()'\"\\$")
NOT_TEXT = {"null", "true", "false", "yes", "no", "on", "off", "nan", "inf"}


@settings(max_examples=60, deadline=None)
@given(st.text(SAFE, min_size=1).filter(lambda text: text.strip().lower().lstrip("+-") not in NOT_TEXT))
@example(" lead")
@example("trail ")
@example("a  b")
@example("-")
@example("#x")
def test_any_text_arrives_as_it_was_written(text):
    try:
        float(text.replace("_", ""))
    except ValueError:
        pass
    else:
        return  # it is a number
    (one,) = OverrideReader(SearchPath((Path("/nonexistent"),))).read([f"key={text}"])
    assert one.value == text


def test_no_option(search):
    assert problem(search, "recipe=musik") == (
        "recipe: no recipe 'musik'\n"
        "    set in: override `recipe=musik`\n"
        "    expected: one of music, speech\n"
        "    did you mean: music"
    )  # fmt: skip


def test_no_option_of_a_sweep(search):
    assert "no recipe 'rock'" in problem(search, "recipe=music,rock", multirun=True)


def test_no_equals_sign(search):
    assert problem(search, "music") == (
        "'music' sets nothing\n"
        "    set in: override `music`\n"
        "    expected: key=value, without spaces around the sign\n"
        "    did you mean: recipe=music"
    )  # fmt: skip
    assert "did you mean" not in problem(search, "qqqqqq")


@pytest.mark.parametrize("text", ["a\nb", "=a\nb", "seed=[1,\r\n", "\x1b[2J", f"seed={'x' * 5000},2", "a='\n", f"a=[{'9' * 5000}]"])
def test_an_override_is_one_short_line_of_a_message(search, text):
    told = problem(search, text)
    assert max(map(len, told.splitlines())) < 500
    assert all(line.isprintable() for line in told.splitlines())
    assert len(told.splitlines()) <= 7


def test_a_number_of_more_digits_than_python_reads(search):
    assert OverrideReader(search).read([f"a={'9' * 5000}"])[0].value == "9" * 5000
    assert "the value cannot be read" in problem(search, f"a=[{'9' * 5000}]")


@pytest.mark.parametrize(
    ("text", "what"),
    [("=3", "the key is missing"), ("a..b=3", "'a..b' is no key"), ("läyer.x=3", "'läyer.x' is no key"), ("~läyer", "'läyer' is no key")],
)
def test_no_key(search, text, what):
    assert problem(search, text).splitlines()[0] == what


def test_no_group(search):
    told = problem(search, "recipes/music=3")
    assert told.splitlines()[0] == "no config group 'recipes/music'"
    assert "expected: one of model, recipe" in told
    assert "no config group 'recip'" in problem(search, "recip@x=3")
    assert "did you mean: recipe" in problem(search, "recip@x=3")


def test_schemas_are_no_group(search):
    assert "no config group 'schema'" in problem(search, "schema=model")


def test_several_values_for_one_run(search):
    assert problem(search, "a.text=Hello, world") == (
        "a.text: several values for one run\n"
        "    value: Hello, world\n"
        "    set in: override `a.text=Hello, world`\n"
        "    expected: one value, or -m for a run with each\n"
        "    hint: a list is written 'a.text=[Hello, world]', a text with commas 'a.text=\"Hello, world\"'"
    )
    assert "several values for one run" in problem(search, "a=range(1,3)")
    assert "several values for one run" in problem(search, "recipe=music,speech")


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("a='x", "a: the value cannot be read: the quote is not closed"),
        ('a="x', "a: the value cannot be read: the quote is not closed"),
        ("a=[1,2", "a: the value cannot be read"),
        ("a={b:1", "a: the value cannot be read"),
        ("a=range(1", "a: the value cannot be read"),
    ],
)
def test_bad_syntax(search, text, first):
    told = problem(search, text)
    assert told.startswith(first)
    assert "    expected: a number, true, false, null, text, a list [a,b] or a mapping {a:1,b:2}" in told
    assert "    hint: to mean text, quote it twice" in told
    assert f"    set in: override `{text}`" in told


def test_the_hint_of_bad_syntax_works(search):
    hint = problem(search, "a=[1,2").splitlines()[-1]
    (one,) = OverrideReader(search).read([hint.split(": ", 2)[2].strip("'")])
    assert one.value == "[1,2"


def test_all_problems_at_once(search):
    with pytest.raises(SpecError) as caught:
        OverrideReader(search).read(["recipe=x", "model=y", "z", "a='", "fine=3"])
    assert len(caught.value.problems) == 4
