"""What trained models were measured by, as Markdown: scores of parts of the data, and answers to a publication's inputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from framework.report.figures import backend_title, figure
from framework.spec.result import Result
from framework.spec.targets import Evaluation, Variant


def evaluation_lines(variant: Variant, results: Sequence[Result]) -> Iterator[str]:
    """Tables of the complete runs; nothing where nothing is measured of them."""
    done = [one for one in results if one.complete]
    names = [name for name in variant.evaluations if any(_of(one, name) for one in done)]
    if names:
        yield from ("", *_scores(variant, names, done))
    answered = [one for one in done if one.answers]
    if answered:
        yield from ("", *_answers(answered))


def _scores(variant: Variant, names: Sequence[str], results: Sequence[Result]) -> Iterator[str]:
    metrics = list(dict.fromkeys(metric for name in names for one in results for metric in _of(one, name)))
    yield f"| measured on | run | {' | '.join(metric.replace('_', ' ') for metric in metrics)} |"
    yield "|---" * (2 + len(metrics)) + "|"
    for name in names:
        for one in results:
            found = _of(one, name)
            cells = [figure(found[metric]) if metric in found else "" for metric in metrics]
            if found:
                yield f"| {_title(variant.evaluations[name])} | {_run(one)} | {' | '.join(cells)} |"
    signatures = dict.fromkeys(
        (key.removeprefix(f"{name}_"), text)
        for name in names
        for one in results
        for key, text in one.signatures.items()
        if key.startswith(f"{name}_")
    )
    if signatures:
        yield ""
    for metric, signature in signatures:
        yield f"- {metric.replace('_', ' ')}: `{signature}`"


def _answers(results: Sequence[Result]) -> Iterator[str]:
    yield f"| shown | {' | '.join(_run(one) for one in results)} |"
    yield "|---" * (1 + len(results)) + "|"
    for number, first in enumerate(results[0].answers):
        asked = " / ".join(str(value) for value in first.inputs.values())
        cells = []
        for one in results:
            answer = one.answers[number]
            cells.append(f"{answer.output} ({'right' if answer.right else 'not one of the right answers'})")
        yield f"| {asked} | {' | '.join(cells)} |"


def _of(result: Result, name: str) -> dict[str, float]:
    """The figures of one evaluation, by the metric's own name."""
    return {key.removeprefix(f"{name}_"): value for key, value in result.figures.items() if key.startswith(f"{name}_")}


def _title(evaluation: Evaluation) -> str:
    settings = ", ".join(f"{key} {value}" for key, value in evaluation.decoding.items())
    return evaluation.split + (f", {settings}" if settings else "")


def _run(result: Result) -> str:
    return f"{backend_title(result.backend)}, seed {result.seed}"
