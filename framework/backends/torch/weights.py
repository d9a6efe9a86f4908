"""Weights of a module as values to read and to set, whether they are parameters or computed from others.

``torch.nn.utils.parametrize`` (with ``weight_norm``, ``spectral_norm``, ``orthogonal``), ``prune`` and the older ``weight_norm`` put
something else in a parameter's place: what is written to the computed tensor is gone at the next call.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized
from torch.nn.utils.prune import BasePruningMethod
from torch.nn.utils.weight_norm import WeightNorm

from framework.errors import InputError

Place = tuple[nn.Module, str]
"""A weight: the module that has it, and its name there."""


def read_weight(module: nn.Module, name: str) -> Tensor:
    """The value of now."""
    if not is_parameter(module, name):
        _compute_again(module, name)
    value: Tensor = getattr(module, name)
    return value


def is_parameter(module: nn.Module, name: str) -> bool:
    """Whether the weight is a parameter itself, and not computed from others."""
    return isinstance(module._parameters.get(name), nn.Parameter)


def write_weights(label: str, weights: Iterable[tuple[Place, Tensor]]) -> None:
    """Sets weights so that reading them gives the values; all, or in an error none.

    A parametrized weight is set through the ``right_inverse`` of its parametrization.

    Args:
        label: how messages call the layer.
        weights: each with its value, of its shape.

    Raises:
        InputError: a weight is computed in a way that cannot give the value; it is named.
    """
    pairs = list(weights)
    computed = [place for place, _ in pairs if not is_parameter(*place)]
    kept = {module: {name: value.clone() for name, value in module.state_dict().items()} for module, _ in computed}
    try:
        # Parameters last: they take any value.
        for (module, name), value in sorted(pairs, key=lambda pair: is_parameter(*pair[0])):
            _write(label, module, name, value)
    except InputError:
        for module, state in kept.items():
            module.load_state_dict(state)
        raise


@torch.no_grad()
def _write(label: str, module: nn.Module, name: str, value: Tensor) -> None:
    parameter = module._parameters.get(name)
    if parameter is not None:
        parameter.copy_(value)
        return
    before = read_weight(module, name)
    value = value.to(device=before.device, dtype=before.dtype)
    if torch.equal(before, value):
        return
    if is_parametrized(module, name):
        _write_through(label, module, name, value)
    elif f"{name}_orig" in module._parameters and f"{name}_mask" in module._buffers:
        module.get_parameter(f"{name}_orig").copy_(value)
    else:
        parts = ", ".join(one for one in module._parameters if one.startswith(f"{name}_")) or "other values"
        raise InputError(
            f"{label}: {name} is computed from {parts} at each call and cannot be set; "
            "torch.nn.utils.parametrizations has forms of weight_norm and spectral_norm that take values"
        )
    _check(label, module, name, value)


def _write_through(label: str, module: nn.Module, name: str, value: Tensor) -> None:
    try:
        setattr(module, name, value)
    except (RuntimeError, ValueError, TypeError, NotImplementedError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"{label}: {name} is parametrized ({_kinds(module, name)}) in a way that takes no values: {first}") from error


def _check(label: str, module: nn.Module, name: str, value: Tensor) -> None:
    """Makes sure that a weight is what it was set to."""
    found = read_weight(module, name)
    allowed = float(torch.finfo(value.dtype).eps) ** 0.5 * value.abs().max().clamp_min(torch.finfo(value.dtype).tiny)
    wrong = int(((found - value).abs() <= allowed).logical_not().sum())
    if not wrong:
        return
    if is_parametrized(module, name):
        raise InputError(
            f"{label}: {name} is parametrized ({_kinds(module, name)}) and cannot be what it is set to: {wrong} of {value.numel()} values "
            f"would be others; torch.nn.utils.parametrize.remove_parametrizations(layer, '{name}') ends that"
        )
    raise InputError(
        f"{label}: {name} is pruned, and {wrong} of the values that it is set to are not zero where it is; "
        f"torch.nn.utils.prune.remove(layer, '{name}') ends the pruning"
    )


def _kinds(module: nn.Module, name: str) -> str:
    parametrizations: nn.ModuleDict = module.parametrizations  # type: ignore[assignment]
    return ", ".join(type(one).__name__.lstrip("_") for one in parametrizations[name].children())


def _compute_again(module: nn.Module, name: str) -> None:
    """Brings a pruned or normalized weight up to date, which torch does at the next call only."""
    for hook in module._forward_pre_hooks.values():
        if isinstance(hook, (BasePruningMethod, WeightNorm)) and getattr(hook, "_tensor_name", getattr(hook, "name", None)) == name:
            hook(module, ())
