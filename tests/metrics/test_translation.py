"""Scores of translations: sacreBLEU's documented example and command line, and BLEU counted by hand."""

from __future__ import annotations

import math
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.errors import InputError
from framework.metrics.translation import bleu, chrf, sentence_chrf

# Of sacreBLEU's README, "Using SacreBLEU from Python".
TRANSLATIONS = ["The dog bit the man.", "It wasn't surprising.", "The man had just bitten him."]
REFERENCES = [
    ["The dog bit the man.", "The dog had bit the man."],
    ["It was not unexpected.", "No one was surprised."],
    ["The man bit him first.", "The man had bitten the dog."],
]


def test_the_documented_example() -> None:
    assert round(bleu(TRANSLATIONS, REFERENCES, lowercase=False).value, 2) == 48.53
    assert round(chrf(TRANSLATIONS, REFERENCES, lowercase=False).value, 2) == 59.73


def test_signatures_say_what_was_counted() -> None:
    assert bleu(TRANSLATIONS, REFERENCES).signature.startswith("nrefs:2|case:lc|eff:no|tok:13a|smooth:exp|version:")
    assert "case:lc" in bleu(TRANSLATIONS, REFERENCES, "none").signature
    assert "tok:none" in bleu(TRANSLATIONS, REFERENCES, "none").signature
    assert chrf(TRANSLATIONS, REFERENCES).signature.startswith("nrefs:2|case:lc|eff:yes|nc:6|nw:0|")
    assert bleu(TRANSLATIONS, [one[: 1 + place % 2] for place, one in enumerate(REFERENCES)]).signature.startswith("nrefs:var|")


def test_the_command_line_gives_the_same(tmp_path: Path) -> None:
    (tmp_path / "translations").write_text("\n".join(TRANSLATIONS) + "\n")
    for number in range(2):
        (tmp_path / f"references{number}").write_text("\n".join(one[number] for one in REFERENCES) + "\n")

    def told(*words: str) -> str:
        files = [str(tmp_path / f"references{number}") for number in range(2)]
        command = [sys.executable, "-m", "sacrebleu", *files, "-i", str(tmp_path / "translations"), "-b", "-w", "4", *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    assert told("-m", "bleu", "-lc") == f"{bleu(TRANSLATIONS, REFERENCES).value:.4f}"
    assert told("-m", "bleu", "-lc", "-tok", "none", "--force") == f"{bleu(TRANSLATIONS, REFERENCES, 'none').value:.4f}"
    assert told("-m", "chrf", "--chrf-lowercase") == f"{chrf(TRANSLATIONS, REFERENCES).value:.4f}"


def counted(translations: Sequence[Sequence[str]], references: Sequence[Sequence[Sequence[str]]]) -> float:
    """BLEU as Papineni et al. 2002 define it, section 2.3; 0 where an n-gram order has no match."""
    logs = 0.0
    for order in range(1, 5):
        right = whole = 0
        for translation, several in zip(translations, references, strict=True):
            ngrams = [Counter(zip(*(one[place:] for place in range(order)), strict=False)) for one in (translation, *several)]
            most: Counter[tuple[str, ...]] = Counter()
            for one in ngrams[1:]:
                most |= one
            right += (ngrams[0] & most).total()
            whole += ngrams[0].total()
        if not right:
            return 0.0
        logs += math.log(right / whole) / 4
    length = sum(map(len, translations))
    closest = sum(
        min((abs(len(one) - len(translation)), len(one)) for one in several)[1]
        for translation, several in zip(translations, references, strict=True)
    )
    return 100 * math.exp(logs + min(0.0, 1 - closest / length))


WORDS = st.lists(st.sampled_from(["a", "b", "c"]), min_size=4, max_size=12)


@settings(max_examples=60)
@given(st.lists(st.tuples(WORDS, st.lists(WORDS, min_size=1, max_size=4)), min_size=1, max_size=4))
def test_any_numbers_of_references_are_counted_as_the_paper_says(pairs: list[tuple[list[str], list[list[str]]]]) -> None:
    translations, references = [one for one, _ in pairs], [several for _, several in pairs]
    expected = counted(translations, references)
    found = bleu([" ".join(one) for one in translations], [[" ".join(one) for one in several] for several in references], "none")
    if expected:  # where an order has no match, sacreBLEU smooths
        assert math.isclose(found.value, expected, rel_tol=1e-9)


def test_a_reference_counts_for_its_own_source_alone() -> None:
    # "it rains" is right for the second source only: a stream of references that closes up would give it to the first.
    references = [["snow falls in the north"], ["it rains here today again", "so it rains and rains on"]]
    right = bleu(["snow falls in the north", "so it rains and rains on"], references)
    assert math.isclose(right.value, 100)
    assert bleu(["so it rains and rains on", "snow falls in the north"], references).value < 10


def test_tokenized_text_is_taken_as_it_is() -> None:
    spaced = "it s very cold here ."
    assert math.isclose(bleu([spaced], [[spaced]], "none").value, 100)
    assert math.isclose(bleu(["It S very cold here ."], [[spaced]], "none").value, 100)
    # As one running text, "it's" is another word than "it s".
    assert bleu([spaced], [["It's very cold here."]]).value < 80


def test_one_sentence_has_a_score_of_its_own() -> None:
    best, worst = sentence_chrf(["The man had just bitten him.", "no"], [["the man had just bitten him."], ["yes, sir", "quite"]])
    assert math.isclose(best, 100)
    assert worst < 10
    alone = [chrf([one], [several]).value for one, several in zip(TRANSLATIONS, REFERENCES, strict=True)]
    assert sentence_chrf(TRANSLATIONS, REFERENCES) == alone


@pytest.mark.parametrize(
    ("translations", "references", "message"),
    [
        ([], [], "there are no translations to score"),
        (["a"], [["a"], ["b"]], "there are 1 translations and references of 2 sources"),
        (["a", "b"], [["a"], []], "source 2 has no reference"),
    ],
)
def test_what_cannot_be_scored_is_refused(translations: list[str], references: list[list[str]], message: str) -> None:
    for score in (bleu, chrf, sentence_chrf):
        with pytest.raises(InputError, match=message):
            score(translations, references)


def test_without_sacrebleu_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    with pytest.raises(InputError, match=r"need sacreBLEU, which is not installed: pip install 'gatework\[translation\]'"):
        bleu(["a"], [["a"]])
