"""What a package of one's own needs to bring a task, a kind of data or a layer kind: every name of it in one place.

A module that an entry point of the group ``gatework.plugins`` names registers what it brings when it is imported; every command, worker
process and served model finds it there. Importing this module imports neither torch nor TensorFlow.
"""

from __future__ import annotations

from framework.backends.base.layer_builders import builds
from framework.backends.base.objective import Objective, Totals
from framework.builder.plan import ModelPlan, PlannedTensor, PlannedWeight
from framework.builder.rule import Inferred, ShapeProblem, Surroundings, plans
from framework.data.batches import Batch, Batches
from framework.data.captions.corpus import CaptionCorpus, caption_corpus
from framework.data.corpus import corpus
from framework.data.features.extractor import Extractor, feature_kind
from framework.data.images.found import Images
from framework.data.prepare import data_kind
from framework.data.prepared import Example, PreparedData
from framework.data.processor import Processor
from framework.errors import DataError, InputError, Problem
from framework.metrics.score import Score
from framework.spec.data import DataSpec
from framework.spec.experiment import Experiment, PathsSpec
from framework.spec.features import PixelFeaturesSpec
from framework.spec.layers.base import LayerSpec, layer_kind
from framework.spec.problems import ProblemCollector
from framework.spec.task import TaskSpec
from framework.tasks.model import Model
from framework.tasks.task import Interface, Row, Task, task

__all__ = [
    "Batch",
    "Batches",
    "CaptionCorpus",
    "DataError",
    "DataSpec",
    "Example",
    "Experiment",
    "Extractor",
    "Images",
    "Inferred",
    "InputError",
    "Interface",
    "LayerSpec",
    "Model",
    "ModelPlan",
    "Objective",
    "PathsSpec",
    "PixelFeaturesSpec",
    "PlannedTensor",
    "PlannedWeight",
    "PreparedData",
    "Problem",
    "ProblemCollector",
    "Processor",
    "Row",
    "Score",
    "ShapeProblem",
    "Surroundings",
    "Task",
    "TaskSpec",
    "Totals",
    "builds",
    "caption_corpus",
    "corpus",
    "data_kind",
    "feature_kind",
    "layer_kind",
    "plans",
    "task",
]
