"""A small recipe of translations and its pairs: learned in seconds, on either backend."""

from __future__ import annotations

from pathlib import Path

WORDS = {"uno": "one", "dos": "two", "tres": "three", "cuatro": "four", "año": "year"}

RECIPE = """\
# @package _global_
defaults:
  - override /data: parallel_text
  - override /model: translation_attention
  - override /decoding: greedy
  - override /tracking: none
  - _self_
recipe: mine
task: {kind: translation}
model:
  layers:
    source_embedding: {output_dim: 8, mask_zero: true}
    encoder: {units: 16}
    target_embedding: {output_dim: 8}
    decoder: {attention: {units: 8}, cell: {units: 16}, carry_state: true, mask_memory: true}
trainer: {max_epochs: 6, log_every_n_steps: 50}
optimizer: {learning_rate: 0.02}
data: {validation_fraction: 0.1, batch_size: 16}
"""


def pairs(longest: int = 3) -> str:
    """250 sentences of up to so many words, each with its translation behind a tab."""
    names = list(WORDS)
    sources = [[names[row // 5**place % 5] for place in range(longest)][: 1 + row % longest] for row in range(250)]
    return "".join(f"{' '.join(source)}\t{' '.join(WORDS[one] for one in source)}\n" for source in sources)


def write_translations(folder: Path, longest: int = 3) -> None:
    """Writes the recipe ``mine`` and ``pairs.tsv`` into a folder, as a user would."""
    (folder / "configs/recipe").mkdir(parents=True)
    (folder / "configs/recipe/mine.yaml").write_text(RECIPE)
    (folder / "pairs.tsv").write_text(pairs(longest))
