"""Images with captions that say what is on them."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from framework.spec.base import Spec
from framework.spec.cleaning import CLEANINGS, Cleaning
from framework.spec.data import DATA_KINDS, DataSpec, DownloadSpec
from framework.spec.features import Features, NetworkFeaturesSpec, PatchesSpec
from framework.spec.problems import ProblemCollector, render
from framework.spec.sentences import VocabularySpec, check_vocabulary


class LargeDownloadSpec(DownloadSpec):
    """A file to fetch once and check, which is so large that its user is asked first."""

    size: int = Field(gt=0)
    """Bytes."""


class ProvidedSpec(Spec):
    """A file that nobody may fetch for its user, who has to get it."""

    filename: str
    """Path below the data folder, where the file is looked for."""

    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$")
    """Checksum that the file must have."""

    how: str
    """How to get it, in one sentence."""


class PartListsSpec(Spec):
    """Files that say which images are in which part: an image's name a line."""

    train: str
    """Images to train on."""

    validation: str | None = None
    """Images to validate on."""

    test: str | None = None
    """Images to test on."""


class CaptionSplitSpec(Spec):
    """How images are held out."""

    by: Literal["auto", "column", "lists", "fractions"] = "auto"
    """column: as the caption file says of each image; lists: as the files of ``parts`` say; fractions: drawn; auto: what there is first."""

    group_by: Literal["image", "none"] = "image"
    """image: all captions of an image lie in one part; none: captions are drawn, as in the tutorial, so that held-out images are known."""

    seed: int = Field(0, ge=0, lt=2**32)
    """Draws the parts; apart from the run's seed, so that runs with other seeds are measured on the same images."""


class CaptionsDataSpec(DataSpec):
    """Images with captions, perhaps several of each.

    Captions come from ``captions_path``, and their images from ``images_path``; or both from the named ``corpus``.
    """

    size_names: ClassVar[tuple[str, ...]] = ("target", "places", "features")
    places: ClassVar[tuple[str, ...]] = (
        "captions_path",
        "images_path",
        "parts.train",
        "parts.validation",
        "parts.test",
        "features.path",
        "features.names_path",
        "downloads",
        "provided",
        "accept_download",
    )
    sources: ClassVar[tuple[str, ...]] = ("captions_path", "images_path", "corpus")
    own: ClassVar[str] = "data.captions_path=FILE data.images_path=FOLDER"
    further: ClassVar[tuple[str, ...]] = ("parts",)
    shapes: ClassVar[tuple[str, ...]] = (
        "batch_size",
        "batch_tokens",
        "caption_column",
        "encoding",
        "format",
        "image_column",
        "max_malformed",
        "member",
        "pad_to",
        "split_column",
    )

    kind: Literal["captions"] = "captions"

    captions_path: str | None = None
    """File with the captions: MS-COCO's JSON, Flickr8k's ``IMAGE#NUMBER`` TAB caption, or a table with a line of column names."""

    member: str | None = None
    """Name of the file within ``captions_path``, where that is a zip archive that holds several."""

    images_path: str | Annotated[list[str], Field(min_length=1)] | None = None
    """Folder or zip archive with the images, or a list of these; archives are read where they lie."""

    corpus: str | None = None
    """Name of a registered corpus of images with captions, such as ``scenes``, which needs no download."""

    format: Literal["auto", "coco", "flickr8k", "table"] = "auto"
    """What the caption file is; auto: by its ending and its first line."""

    image_column: str = "image"
    """Name of a table's column with the images' names."""

    caption_column: str = "caption"
    """Name of a table's column with the captions."""

    split_column: str = "split"
    """Name of the column, or key of a JSON file's images, that says which part an image is in; it need not be there."""

    parts: PartListsSpec | None = None
    """Files that say which images are in which part, in place of fractions; others are left out."""

    downloads: list[LargeDownloadSpec] = []
    """Files to fetch once, and only with ``accept_download``: what the paths name by their ``filename``."""

    accept_download: bool = False
    """Whether ``downloads`` may be fetched."""

    provided: list[ProvidedSpec] = []
    """Files that the user has to get: what the paths name by their ``filename``."""

    encoding: str = "utf-8"
    """Encoding of the caption file and of lists."""

    max_malformed: float = Field(0.01, ge=0.0, le=1.0)
    """Share of the captions that may be empty or broken lines, and of the images that may be missing, broken or without a caption.

    They are left out and named. More are an error.
    """

    max_captions: int | None = Field(None, gt=0)
    """Use only this many captions."""

    max_images: int | None = Field(None, gt=0)
    """Use only this many images, with all their captions."""

    sample_seed: int | None = Field(None, ge=0, lt=2**32)
    """Draws those captions or images; null: those at the file's start."""

    features: Features = PatchesSpec()
    """What the model sees of an image."""

    cleaning: Cleaning = Field(default_factory=lambda: list(CLEANINGS["words"]))
    """What is done to each caption first: a name, or a list of steps."""

    vocabulary: VocabularySpec = VocabularySpec()
    """From captions to tokens."""

    max_length: int | None = Field(None, gt=0)
    """Leave captions out of the training that have more tokens than this, the two markers not counted."""

    validation_fraction: float = Field(0.0, ge=0.0, lt=1.0)
    """Share of the images, drawn at random, that is held out for validation; where the file says nothing of parts."""

    test_fraction: float = Field(0.0, ge=0.0, lt=1.0)
    """Share of the images, drawn at random, that is held out for a test; likewise."""

    split: CaptionSplitSpec = CaptionSplitSpec()
    """How images are held out."""

    order: Literal["shuffled", "buckets"] = "shuffled"
    """shuffled: captions in a new random order each epoch; buckets: captions of like length together, the batches in a new random order."""

    batch_tokens: int | None = Field(None, gt=0)
    """Tokens of a batch at most, in place of ``batch_size``: its rows times its longest caption; for ``buckets``."""

    pad_to: Literal["batch", "longest"] = "batch"
    """How long a batch is: as its longest caption, or as the longest of all the data."""

    drop_remainder: bool = True
    """Leave out a last batch of the training that is not full; held-out parts are read whole."""

    declared_sizes: dict[str, Annotated[int, Field(gt=0)]] = {}
    """``target``: tokens of the vocabulary, the special ones counted; ``places`` and ``features``: what the model sees of an image."""

    declared_lengths: dict[Literal["target"], Annotated[int, Field(gt=1)]] = {}
    """``target``: tokens of the longest caption, start and end counted; for ``explain``, and likewise checked."""

    @property
    def validates(self) -> bool:
        """Whether something is held out for validation."""
        if self.split.by == "column":
            return True
        return self.validation_fraction > 0 if self.parts is None else self.parts.validation is not None

    def fetched(self) -> tuple[DownloadSpec, ...]:
        """The downloads that are read."""
        named = {self.captions_path, *self.images()}
        return tuple(one for one in self.downloads if one.filename in named)

    @property
    def at_hand(self) -> bool:
        """Whether it can be read without a download, and without files that the user may not have got yet."""
        named = {self.captions_path, *self.images()}
        return not self.fetched() and not any(one.filename in named for one in self.provided)

    @property
    def quick(self) -> bool:
        """Not where a network has to see every image first."""
        return not isinstance(self.features, NetworkFeaturesSpec)

    def images(self) -> list[str]:
        """``images_path`` as a list."""
        if self.images_path is None:
            return []
        return [self.images_path] if isinstance(self.images_path, str) else list(self.images_path)

    def never_reproduces(self) -> dict[str, object]:
        """What is seen through a network that has learned nothing."""
        return {"features.weights": "random"} if self.features.random else {}

    def whole(self) -> dict[str, object]:
        """Nothing held out or left out."""
        held_out = {"test_fraction": 0.0, "parts": None, "split": {"by": "fractions"}}
        limits = {"max_captions": None, "max_images": None, "max_length": None}
        return {**super().whole(), **held_out, **limits, "drop_remainder": False}

    def known_sizes(self) -> dict[str, int]:
        """As declared where nothing replaces the declared files, and what the kind of features tells."""
        replaced = (self.downloads or self.provided) and self.at_hand
        shape = self.features.shape
        seen = {} if shape is None else dict(zip(("places", "features"), shape, strict=True))
        return {**seen, **({} if replaced else self.declared_sizes)}

    def known_lengths(self) -> dict[str, int]:
        """As declared, where the sizes are. A step reads a token of the target and makes the next: there is one step less."""
        sizes = self.known_sizes()
        found = {"target": self.declared_lengths["target"] - 1} if "target" in self.declared_lengths and "target" in sizes else {}
        return {**({"image": sizes["places"]} if "places" in sizes else {}), **found}

    def check(self, collector: ProblemCollector) -> None:
        """Rules between the settings."""
        self._check_places(collector)
        if self.validation_fraction + self.test_fraction >= 1:
            message = f"nothing is left to train on beside a validation_fraction of {self.validation_fraction:g}"
            collector.add("data.test_fraction", message, value=render(self.test_fraction))
        if self.split.by == "lists" and self.parts is None:
            collector.add("data.parts", "is missing", expected="files with the images of each part: {train: FILE, test: FILE}")
        if self.max_captions is not None and self.max_images is not None:
            collector.add("data.max_images", "is given beside max_captions", value=render(self.max_images), hint="set one of them to null")
        if self.batch_tokens is not None and self.order != "buckets":
            message = "shuffled captions are too different in length to be counted by tokens"
            collector.add("data.batch_tokens", message, value=render(self.batch_tokens), hint="set data.order=buckets")
        check_vocabulary(self.vocabulary, self.validates or self.test_fraction > 0 or self.parts is not None, collector)

    def _check_places(self, collector: ProblemCollector) -> None:
        if self.corpus is not None:
            return
        offline = "data=scenes needs no file"
        if self.captions_path is None:
            collector.add("data.captions_path", "is missing", expected="a file with captions", hint=offline)
        if self.images_path is None and self.features.kind != "file":
            collector.add("data.images_path", "is missing", expected="a folder or a zip archive with images", hint=offline)


DATA_KINDS.add("captions", CaptionsDataSpec)
