"""The NumPy initializers draw from the same distributions as Keras' own."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from framework.spec.identifiers import INITIALIZERS, Identifier
from framework.weights.initializers import fans, initial_weight

pytestmark = pytest.mark.tensorflow

VARIANCE_SCALING = [
    {"scale": 0.7, "mode": mode, "distribution": distribution}
    for mode in ("fan_in", "fan_out", "fan_avg")
    for distribution in ("truncated_normal", "untruncated_normal", "uniform")
]
CASES = [
    *[(name, {}) for name, defaults in INITIALIZERS.items() if "seed" in defaults and name != "orthogonal"],
    *[("variance_scaling", config) for config in VARIANCE_SCALING],
    ("random_normal", {"mean": 1.0, "stddev": 0.2}),
    ("truncated_normal", {"mean": 1.0, "stddev": 0.2}),
    ("random_uniform", {"minval": 0.0, "maxval": 2.0}),
]


def keras_draw(name: str, config: dict[str, object], shape: tuple[int, ...]) -> np.ndarray:
    initializer = keras.initializers.get({"class_name": name, "config": config})
    return np.asarray(initializer(shape))


def largest_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Two-sample Kolmogorov-Smirnov statistic."""
    first, second = np.sort(first.ravel()), np.sort(second.ravel())
    points = np.concatenate([first, second])
    return float(
        np.abs(
            np.searchsorted(first, points, side="right") / first.size - np.searchsorted(second, points, side="right") / second.size
        ).max()
    )


@pytest.mark.parametrize("shape", [(160, 250), (4, 50, 200)])
@pytest.mark.parametrize(
    ("name", "config"), CASES, ids=lambda value: value if isinstance(value, str) else "-".join(map(str, value.values()))
)
def test_same_distribution(name: str, config: dict[str, object], shape: tuple[int, ...]) -> None:
    theirs = keras_draw(name, {"seed": 1234, **config}, shape)
    ours = initial_weight(Identifier(class_name=name, config=config), shape, 0, "layer/weight")
    # A statistic above this has probability 1e-6 for equal distributions; scales that differ by 4 % are beyond it.
    limit = np.sqrt(-0.5 * np.log(1e-6 / 2) * 2 / ours.size)
    assert largest_distance(ours, theirs) < limit
    assert largest_distance(1.1 * ours if ours.mean() ** 2 < 0.1 else ours + 0.1, theirs) > limit


@pytest.mark.parametrize("name", ["zeros", "ones", "constant", "identity"])
def test_same_values(name: str) -> None:
    config = {"constant": {"value": 0.25}, "identity": {"gain": 3.0}}.get(name, {})
    ours = initial_weight(Identifier(class_name=name, config=config), (3, 4), 0, "layer/weight")
    np.testing.assert_array_equal(ours, keras_draw(name, config, (3, 4)))


@pytest.mark.parametrize("shape", [(6, 18), (18, 6), (2, 3, 7)])
def test_orthogonal_has_the_same_product(shape: tuple[int, ...]) -> None:
    ours = initial_weight(Identifier(class_name="orthogonal", config={"gain": 1.5}), shape, 0, "w").reshape(-1, shape[-1])
    theirs = keras_draw("orthogonal", {"gain": 1.5}, shape).reshape(-1, shape[-1])
    if ours.shape[0] < ours.shape[1]:
        ours, theirs = ours.T, theirs.T
    np.testing.assert_allclose(ours.T @ ours, theirs.T @ theirs, atol=1e-5)


def test_same_fans() -> None:
    from keras.src.initializers.random_initializers import compute_fans

    for shape in [(), (7,), (3, 5), (2, 3, 4), (2, 3, 4, 5)]:
        assert fans(shape) == compute_fans(shape)


def test_keras_gives_null_the_default_we_give_it() -> None:
    layer = keras.layers.GRU(50, kernel_initializer=None, bias_initializer=None)
    layer.build((None, None, 70))
    kernel, _, bias = layer.get_weights()
    for name, theirs in [("gru/kernel", kernel), ("gru/bias", bias)]:
        ours = initial_weight(None, theirs.shape, 0, name)
        # A uniform variable's largest value of n lies within 6/n of the limit but for a chance of e^-6.
        assert abs(np.abs(ours).max() / np.abs(theirs).max() - 1) < 12 / theirs.size
