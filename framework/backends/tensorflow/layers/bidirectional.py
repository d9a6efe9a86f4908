"""A recurrent layer run forwards and backwards over the same sequence."""

from __future__ import annotations

from typing import Any, cast

import keras

from framework.backends.base.gru_arguments import keywords_of
from framework.backends.tensorflow.gru import GRU
from framework.backends.tensorflow.layers.base import BuildContext
from framework.backends.tensorflow.layers.gru import filled
from framework.backends.tensorflow.layers.table import builds
from framework.builder.plan import PlannedLayer
from framework.spec.layers.bidirectional import BidirectionalSpec
from framework.spec.layers.gru import GRUSpec


@builds("bidirectional")
def build_bidirectional(planned: PlannedLayer, context: BuildContext) -> keras.layers.Layer:
    """Two GRUs over the same sequence, one of them backwards."""
    spec = cast(BidirectionalSpec, planned.spec)
    shared = context.shared(planned)
    backward = spec.backward_layer or spec.layer.model_copy(update={"go_backwards": not spec.layer.go_backwards, "seed": None})
    directions = {}
    for name, inner in (("forward", spec.layer), ("backward", backward)):
        changes = {**_inner(shared, inner, name), "return_state": spec.return_state}
        directions[name] = GRU(**keywords_of(filled(inner, f"{planned.name}/{name}", context), **changes))
    return Bidirectional(directions["forward"], backward_layer=directions["backward"], merge_mode=spec.merge_mode, **shared)


@keras.saving.register_keras_serializable(package="gatework")
class Bidirectional(keras.layers.Bidirectional):  # type: ignore[misc]
    """Keras' layer, whose states, where it returns them, are one: joined as the outputs are.

    The arguments are those of ``keras.layers.Bidirectional``.

    Source: Keras documentation, "Bidirectional layer".
    """

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: Any = None) -> Any:
        """The output, or the list of output and state."""
        results = super().call(sequences, initial_state=initial_state, mask=mask, training=training)
        if not self.return_state:
            return results
        output, one, other = results
        return [output, self._joined(one, other)]

    def _joined(self, one: Any, other: Any) -> Any:
        if self.merge_mode == "concat":
            return keras.ops.concatenate([one, other], axis=-1)
        if self.merge_mode == "mul":
            return one * other
        return one + other if self.merge_mode == "sum" else (one + other) / 2

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        """Shape of the output, or a list of the shapes of output and state."""
        shapes = [layer.compute_output_shape(sequences_shape) for layer in (self.forward_layer, self.backward_layer)]
        parts = [list(pair) for pair in zip(*shapes, strict=True)] if self.return_state else [shapes]
        joined = [(*one[:-1], one[-1] + other[-1] if self.merge_mode == "concat" else one[-1]) for one, other in parts]
        return joined if self.return_state else joined[0]

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """The mask of the outputs; the state has none."""
        mask = previous_mask[0] if isinstance(previous_mask, (list, tuple)) else previous_mask
        mask = mask if self.return_sequences else None
        return [mask, None] if self.return_state else mask


def _inner(shared: dict[str, Any], spec: GRUSpec, direction: str) -> dict[str, Any]:
    return {
        "name": spec.name or f"{direction}_gru",
        "dtype": spec.dtype or shared["dtype"],
        "trainable": spec.trainable and shared["trainable"],
    }
