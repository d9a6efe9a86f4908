"""Initial weights: Keras' distributions, shapes' fans, independence of weights, and the same bits in every process."""

from __future__ import annotations

import hashlib
import math
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from framework.builder.plan import ModelPlan, PlannedLayer, PlannedWeight
from framework.errors import InputError, UnsupportedArgument
from framework.spec.identifiers import INITIALIZERS, Identifier
from framework.spec.layers.gru import GRUSpec
from framework.weights.initializers import TRUNCATED_STDDEV, fans, initial_weight, initial_weights


def named(name: str, **config: object) -> Identifier:
    return Identifier(class_name=name, config=config)


def draw(name: str, shape: tuple[int, ...], seed: int = 0, weight: str = "gru/kernel", **config: object) -> np.ndarray:
    return initial_weight(named(name, **config), shape, seed, weight)


@dataclass(frozen=True)
class Weight:
    shape: tuple[int, ...]
    initializer: Identifier | None


@dataclass(frozen=True)
class Plan:
    seed: int
    weights: dict[str, Weight]

    def weight_names(self) -> Iterator[tuple[str, Weight]]:
        yield from self.weights.items()


SHAPES = [(), (7,), (5, 3), (3, 5), (2, 3, 4), (2, 1, 3, 4)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", sorted(INITIALIZERS))
def test_every_initializer_gives_finite_float32_of_the_shape(name: str, shape: tuple[int, ...]) -> None:
    if (name == "orthogonal" and len(shape) < 2) or (name == "identity" and len(shape) != 2):
        with pytest.raises(UnsupportedArgument, match=rf"weight 'gru/kernel': initializer '{name}' needs .* its shape is \("):
            draw(name, shape)
        return
    values = draw(name, shape)
    assert values.dtype == np.float32
    assert values.shape == shape
    assert np.isfinite(values).all()


def test_constants() -> None:
    assert (draw("zeros", (2, 3)) == 0).all()
    assert (draw("ones", (2, 3)) == 1).all()
    assert (draw("constant", (2, 3), value=0.3) == np.float32(0.3)).all()
    assert (draw("constant", (2, 3)) == 0).all()
    np.testing.assert_array_equal(draw("identity", (2, 3), gain=2.5), np.float32([[2.5, 0, 0], [0, 2.5, 0]]))


def test_fans() -> None:
    assert fans(()) == (1, 1)
    assert fans((7,)) == (7, 7)
    assert fans((256, 3072)) == (256, 3072)
    assert fans((3, 5, 16, 32)) == (240, 480)


UNIFORM = {
    "glorot_uniform": lambda i, o: math.sqrt(6 / (i + o)),
    "he_uniform": lambda i, o: math.sqrt(6 / i),
    "lecun_uniform": lambda i, o: math.sqrt(3 / i),
}
NORMAL = {
    "glorot_normal": lambda i, o: math.sqrt(2 / (i + o)),
    "he_normal": lambda i, o: math.sqrt(2 / i),
    "lecun_normal": lambda i, o: math.sqrt(1 / i),
}
LARGE = (300, 400)


@pytest.mark.parametrize("name", sorted(UNIFORM))
def test_uniform_limits(name: str) -> None:
    limit, values = UNIFORM[name](*LARGE), draw(name, LARGE)
    # 120,000 draws come within 1/10,000 of both ends but for a chance of 2·exp(-6).
    assert limit * (1 - 2e-4) < values.max() <= np.float32(limit)
    assert -np.float32(limit) <= values.min() < -limit * (1 - 2e-4)
    assert_moments(values, 0.0, limit / math.sqrt(3))


@pytest.mark.parametrize("name", sorted(NORMAL))
def test_truncated_normals_have_the_stated_deviation_after_truncation(name: str) -> None:
    stddev, values = NORMAL[name](*LARGE), draw(name, LARGE)
    cut = 2 * stddev / TRUNCATED_STDDEV
    assert cut * 0.995 < np.abs(values).max() <= np.float32(cut)
    assert_moments(values, 0.0, stddev)


def test_random_normal_and_uniform_and_truncated_normal() -> None:
    assert_moments(draw("random_normal", LARGE), 0.0, 0.05)
    assert_moments(draw("random_normal", LARGE, mean=3.0, stddev=0.5), 3.0, 0.5)
    uniform = draw("random_uniform", LARGE, minval=1.0, maxval=3.0)
    assert uniform.min() >= 1.0
    assert uniform.max() <= 3.0
    assert_moments(uniform, 2.0, 2 / math.sqrt(12))
    truncated = draw("truncated_normal", LARGE, mean=1.0, stddev=0.1)
    assert np.abs(truncated - 1).max() <= 0.2 + 1e-6
    # The given deviation is that before the cut, as in Keras.
    assert_moments(truncated, 1.0, 0.1 * TRUNCATED_STDDEV)


def test_truncated_deviation_is_the_integral() -> None:
    density = math.exp(-2) / math.sqrt(2 * math.pi)
    assert math.isclose(math.sqrt(1 - 4 * density / math.erf(math.sqrt(2))), TRUNCATED_STDDEV, rel_tol=1e-12)


@pytest.mark.parametrize(
    ("mode", "fan"),
    [("fan_in", 2 * 30), ("fan_out", 2 * 50), ("fan_avg", (2 * 30 + 2 * 50) / 2)],
)
def test_variance_scaling_modes_on_three_axes(mode: str, fan: float) -> None:
    shape = (2, 30, 50)
    uniform = draw("variance_scaling", shape, scale=1.5, mode=mode, distribution="uniform")
    limit = math.sqrt(3 * 1.5 / fan)
    assert limit * 0.99 < np.abs(uniform).max() <= limit * (1 + 1e-6)
    for distribution in ("truncated_normal", "normal", "untruncated_normal"):
        values = draw("variance_scaling", shape, scale=1.5, mode=mode, distribution=distribution)
        assert_moments(values, 0.0, math.sqrt(1.5 / fan), tolerance=6)
    assert np.abs(draw("variance_scaling", shape, distribution="untruncated_normal")).max() > 2.5 * math.sqrt(1 / 60)


def assert_moments(values: np.ndarray, mean: float, stddev: float, tolerance: float = 5) -> None:
    """Mean and deviation lie within ``tolerance`` standard errors (that of the deviation is at most a normal's)."""
    count = values.size
    assert abs(values.mean(dtype=np.float64) - mean) < tolerance * stddev / math.sqrt(count)
    assert abs(values.std(dtype=np.float64) / stddev - 1) < tolerance / math.sqrt(2 * count)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=2, max_size=4), st.integers(0, 2**32 - 1), st.sampled_from([1.0, 0.5, -2.0]))
def test_orthogonal_matrix_as_a_whole(shape: list[int], seed: int, gain: float) -> None:
    matrix = draw("orthogonal", tuple(shape), seed=seed, gain=gain).reshape(-1, shape[-1]).astype(np.float64)
    rows, columns = matrix.shape
    product = matrix @ matrix.T if rows <= columns else matrix.T @ matrix
    np.testing.assert_allclose(product, gain**2 * np.eye(min(rows, columns)), atol=1e-6 * gain**2)


def test_orthogonal_is_uniform_over_signs() -> None:
    # Without the correction of signs LAPACK's Householder QR gives a first entry that is always of one sign for one column.
    signs = [np.sign(draw("orthogonal", (1, 1), seed=seed)).item() for seed in range(200)]
    assert 70 < signs.count(1.0) < 130


def test_recurrent_kernel_has_orthonormal_rows_over_all_gates() -> None:
    kernel = draw("orthogonal", (16, 48)).astype(np.float64)
    np.testing.assert_allclose(kernel @ kernel.T, np.eye(16), atol=1e-6)
    gate = kernel[:, :16]
    assert np.abs(gate @ gate.T - np.eye(16)).max() > 0.1


def test_null_is_keras_default_for_every_weight() -> None:
    for name, shape in [("gru/kernel", (4, 12)), ("gru/bias", (2, 12))]:
        np.testing.assert_array_equal(initial_weight(None, shape, 5, name), initial_weight(named("glorot_uniform"), shape, 5, name))
        assert np.abs(initial_weight(None, shape, 5, name)).min() > 0


def test_weights_are_independent_of_each_other() -> None:
    kernel = Weight((6, 12), named("glorot_uniform"))
    both = initial_weights(Plan(3, {"first/kernel": kernel, "second/kernel": kernel}))
    alone = initial_weights(Plan(3, {"second/kernel": kernel}))
    assert list(both) == ["first/kernel", "second/kernel"]
    np.testing.assert_array_equal(both["second/kernel"], alone["second/kernel"])
    assert (both["first/kernel"] != both["second/kernel"]).any()
    other_seed = initial_weights(Plan(4, {"second/kernel": kernel}))
    assert (other_seed["second/kernel"] != alone["second/kernel"]).any()


def test_own_seed_wins_over_model_seed_and_name() -> None:
    seeded = named("he_normal", seed=-7)
    first = initial_weight(seeded, (4, 5), 1, "a/kernel")
    np.testing.assert_array_equal(first, initial_weight(seeded, (4, 5), 2, "b/kernel"))
    assert (first != initial_weight(named("he_normal", seed=7), (4, 5), 1, "a/kernel")).any()
    # The model's seed of the same number is another stream.
    assert (first != initial_weight(named("he_normal"), (4, 5), -7, "a/kernel")).any()


def test_takes_the_builders_plan() -> None:
    weights = (
        PlannedWeight("kernel", (3, 12), named("glorot_uniform")),
        PlannedWeight("recurrent_kernel", (4, 12), named("orthogonal")),
    )
    layer = PlannedLayer("gru", GRUSpec(units=4), references={}, inputs=(), outputs={}, weights=weights)
    plan = ModelPlan(inputs={}, layers=(layer,), outputs={}, batch_size=None, seed=9)
    given = initial_weights(plan)
    assert {name: value.shape for name, value in given.items()} == {"gru/kernel": (3, 12), "gru/recurrent_kernel": (4, 12)}
    np.testing.assert_array_equal(given["gru/kernel"], initial_weight(named("glorot_uniform"), (3, 12), 9, "gru/kernel"))


PROGRAM = """
import hashlib
from framework.spec.identifiers import INITIALIZERS, Identifier
from framework.weights.initializers import initial_weight
digest = hashlib.sha256()
for name in INITIALIZERS:
    digest.update(initial_weight(Identifier(class_name=name), (40, 120), 11, "layer/" + name).tobytes())
print(digest.hexdigest())
"""


def test_same_bits_in_another_process() -> None:
    digest = hashlib.sha256()
    for name in INITIALIZERS:
        digest.update(initial_weight(named(name), (40, 120), 11, "layer/" + name).tobytes())
    # Another hash seed and another number of threads of the linear algebra.
    environment = {"PYTHONHASHSEED": "5", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": ":".join(sys.path)}
    other = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, env=environment)
    assert other.stdout.strip() == digest.hexdigest()


def test_known_values() -> None:
    """Fixed once: a change here changes where every seed starts."""
    uniform = [[-0.8042104840278625, -1.0684847831726074], [0.7373597621917725, 0.07756989449262619]]
    normal = [[0.6318017244338989, 1.8708417415618896], [0.7735241055488586, 0.19032444059848785]]
    np.testing.assert_array_equal(draw("glorot_uniform", (2, 2), seed=1), np.float32(uniform))
    np.testing.assert_array_equal(draw("he_normal", (2, 2), seed=1), np.float32(normal))


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        ("variance_scaling", {"mode": "fan_inn"}, r"mode .* is 'fan_inn'; expected one of fan_in, .* \(did you mean 'fan_in'\?\)"),
        (
            "variance_scaling",
            {"distribution": "cauchy"},
            "distribution of initializer 'variance_scaling' is 'cauchy'; expected one of normal",
        ),
        ("variance_scaling", {"scale": 0.0}, "scale of initializer 'variance_scaling' is 0.0; expected a number above 0"),
        ("random_normal", {"stddev": -1.0}, "stddev of initializer 'random_normal' is -1.0; expected 0 or more"),
        ("random_uniform", {"minval": 1.0, "maxval": 0.0}, "minval of initializer 'random_uniform' is 1.0, which is above its maxval 0.0"),
        ("magic", {}, "unknown initializer 'magic'; expected one of zeros, ones"),
    ],
)
def test_wrong_settings_are_named_with_their_weight(name: str, config: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=f"weight 'gru/kernel': {message}"):
        draw(name, (3, 3), **config)
