"""Which framework builds and trains the model, and on what."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from framework.spec.base import Spec


class BackendSpec(Spec):
    """One of the two backends."""

    name: Literal["torch", "tensorflow"] = "torch"
    """torch: PyTorch Lightning; tensorflow: Keras."""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """auto: a GPU where there is one."""
    use_cudnn: bool | Literal["auto"] = "auto"
    """What every GRU that says ``auto`` itself does about cuDNN."""
    threads: int | None = Field(None, gt=0)
    """Processor threads; the backend's own choice when not given."""
    tune: bool = True
    """Whether a training on a CPU measures which of several ways to compute its products is the fastest here; rules decide where not.

    Ways differ in their rounding. A run keeps what was chosen and goes on with it; runs on one machine share it.
    """
