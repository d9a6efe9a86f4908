"""What a model wrote for one input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Written:
    """One sequence that a model wrote.

    Attributes:
        text: as people read it.
        tokens: what the model wrote, as people read it, its end marker included.
        read: the tokens that it read, markers included; empty where it read an image.
        score: what sequences for one input are ranked by; see :class:`framework.decoding.hypothesis.Hypothesis`.
        log_probability: in nats.
        finished: False where it was cut at the largest length.
        attention: ``(tokens, places) float32``, a place for each token that was read, or for each of the image's; None where the model
            has none or it was not asked for.
    """

    text: str
    tokens: tuple[str, ...]
    read: tuple[str, ...]
    score: float
    log_probability: float
    finished: bool
    attention: NDArray[np.float32] | None
