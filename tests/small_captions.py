"""A small recipe of captions and its pictures: learned in seconds, on either backend."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

COLOURS = ("red", "lime", "blue", "white", "black", "yellow", "cyan", "magenta")

RECIPE = """\
# @package _global_
defaults:
  - override /data: captions
  - override /model: captioning_attention
  - override /decoding: greedy
  - override /tracking: none
  - _self_
recipe: mine
task: {kind: captioning}
model:
  layers:
    encoder: {units: 16}
    target_embedding: {output_dim: 8}
    decoder: {attention: {units: 8}, cell: {units: 16}, carry_state: true}
    hidden: {units: 16}
trainer: {max_epochs: 10, log_every_n_steps: 50}
optimizer: {learning_rate: 0.02}
data:
  captions_path: captions.csv
  images_path: photos
  features: {kind: patches, image_size: 4, patch_size: 2, batch_size: 16, positions: none}
  validation_fraction: 0.1
  test_fraction: 0.1
  batch_size: 16
decoding: {max_length: 8}
paths: {cache_dir: cache}
"""


def colour_of(number: int) -> str:
    """The colour of a picture."""
    return COLOURS[number * 5 % 8]


def write_pictures(folder: Path, count: int = 80) -> None:
    """Writes ``photos/0.png`` and so on, each of one colour, and ``captions.csv`` with two captions of each."""
    (folder / "photos").mkdir(parents=True)
    lines = ["image,caption"]
    for number in range(count):
        colour = colour_of(number)
        Image.new("RGB", (8 + number, 8), colour).save(folder / f"photos/{number}.png")
        lines += [f"{number}.png,A {colour} picture.", f"{number}.png,This is {colour}."]
    (folder / "captions.csv").write_text("\n".join(lines) + "\n")


def write_captions(folder: Path) -> None:
    """Writes the recipe ``mine`` and its pictures into a folder, as a user would."""
    (folder / "configs/recipe").mkdir(parents=True)
    (folder / "configs/recipe/mine.yaml").write_text(RECIPE)
    write_pictures(folder)
