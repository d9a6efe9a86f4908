"""The kept state of a stateful layer belongs to one copy of a model in one process: it is no buffer, and nothing else may write it."""

from __future__ import annotations

import copy
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as lightning
import torch
from small_models import Windows, Workshop, language_model
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader

from framework.backends.torch import GRU
from framework.backends.torch.recomputation import CallLog

pytestmark = pytest.mark.torch

ARGUMENTS: dict[str, Any] = {"input_dim": 4, "return_sequences": True, "stateful": True, "dropout": 0.2, "seed": 1}


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(GRU(6, **ARGUMENTS), nn.Linear(6, 2))


def test_it_is_no_buffer() -> None:
    model = net()
    for _ in range(2):
        assert dict(model.named_buffers()) == {}
        assert set(model.state_dict()) == {"0.kernel", "0.recurrent_kernel", "0.bias", "0.dropout_masks.draws", "1.weight", "1.bias"}
        model(torch.randn(3, 5, 4))
    assert model[0].states[0].any()


@pytest.mark.parametrize("called", ["before", "after", "between"])
@pytest.mark.parametrize("average", [None, get_ema_multi_avg_fn(0.9)], ids=["mean", "ema"])
@pytest.mark.parametrize("buffers", [True, False])
def test_an_averaged_model_averages_the_weights_alone(called: str, average: Any, buffers: bool) -> None:
    model, x = net(), torch.randn(3, 5, 4)
    if called == "before":
        model(x)
    averaged = AveragedModel(model, multi_avg_fn=average, use_buffers=buffers)
    averaged.update_parameters(model)
    if called != "before":
        model(x)
    before = copy.deepcopy(averaged.module[0].states)
    averaged.update_parameters(model)
    assert str(averaged.module[0].states) == str(before)
    averaged(x[:2] if called == "after" else x)
    assert model[0].states[0].shape == (3, 6)


@pytest.mark.parametrize("from_called", [True, False])
@pytest.mark.parametrize("to_called", [True, False])
def test_a_state_dict_loads_before_and_after_the_first_call(from_called: bool, to_called: bool) -> None:
    source, target = net(), net()
    if from_called:
        source(torch.randn(3, 5, 4))
    if to_called:
        target(torch.randn(2, 5, 4))
    kept = copy.deepcopy(target[0].states)
    saved = source.state_dict()
    target.load_state_dict(saved, strict=True)
    assert str(target[0].states) == str(kept)
    assert target.state_dict()["0.dropout_masks.draws"] == int(from_called)
    without = {name: value for name, value in saved.items() if not name.endswith("draws")}
    target.load_state_dict(without, strict=True)
    with pytest.raises(RuntimeError, match=r"Unexpected key.*\"0\.kernels\""):
        target.load_state_dict({**saved, "0.kernels": torch.zeros(1)}, strict=True)


def test_a_copy_has_a_state_and_a_count_of_its_own() -> None:
    model, x = net(), torch.randn(3, 5, 4)
    model(x)
    twin = copy.deepcopy(model)
    assert torch.equal(twin[0].states[0], model[0].states[0])
    expected = model(x)
    assert not torch.equal(twin[0].states[0], model[0].states[0])
    assert torch.equal(twin(x), expected)


def test_it_moves_and_is_cast_with_the_weights() -> None:
    model = net()
    model(torch.randn(3, 5, 4))
    assert model.double()[0].states[0].dtype == torch.float64
    assert model(torch.randn(3, 5, 4, dtype=torch.float64)).dtype == torch.float64
    assert model.to(torch.bfloat16)[0].states[0].dtype == torch.bfloat16
    assert model.float().to("meta")[0].states[0].device.type == "meta"
    assert torch.equal(model.to_empty(device="cpu")[0].states[0], torch.zeros(3, 6)), "a state of no memory becomes zeros, not rubbish"


PROCESS = """
import sys, torch
import torch.distributed as distributed
from torch.nn.parallel import DistributedDataParallel
from framework.backends.torch import GRU
rank = int(sys.argv[1])
distributed.init_process_group("gloo", init_method=sys.argv[2], rank=rank, world_size=2)
torch.manual_seed(0)
whole, xs = GRU(6, input_dim=4, return_sequences=True, stateful=True, dropout=0.3, seed=1), torch.randn(3, 4, 5, 4)
ours = GRU(6, input_dim=4, return_sequences=True, stateful=True, dropout=0.3, seed=1, weights=whole.get_weights())
both = DistributedDataParallel(ours)
rows = slice(2 * rank, 2 * rank + 2)
for step, x in enumerate(xs):
    whole.start_step(step)
    ours.start_step(step, first_row=2 * rank)
    for model, part in ((whole, x), (both, x[rows])):
        model.zero_grad()
        model(part).square().mean().backward()
    torch.testing.assert_close(ours.states[0], whole.states[0][rows])
    for one, other in zip(ours.parameters(), whole.parameters()):
        torch.testing.assert_close(one.grad, other.grad)
distributed.destroy_process_group()
print("as one process")
"""


def test_parts_of_a_batch_keep_and_drop_their_own_rows_of_the_whole() -> None:
    """What each of two processes computes: the states of its rows, and gradients whose mean is the whole batch's."""

    def layer(weights: Any = None) -> GRU:
        return GRU(6, input_dim=4, return_sequences=True, stateful=True, dropout=0.3, seed=1, weights=weights)

    torch.manual_seed(0)
    whole, xs = layer(), torch.randn(3, 4, 5, 4)
    parts = [layer(whole.get_weights()) for _ in range(2)]
    for step, x in enumerate(xs):
        whole.start_step(step)
        whole.zero_grad()
        whole(x).square().mean().backward()
        for number, part in enumerate(parts):
            rows = slice(2 * number, 2 * number + 2)
            part.start_step(step, first_row=2 * number)
            part.zero_grad()
            part(x[rows]).square().mean().backward()
            torch.testing.assert_close(part.states[0], whole.states[0][rows])
        for one, *others in zip(whole.parameters(), *(part.parameters() for part in parts), strict=True):
            torch.testing.assert_close(torch.stack([other.grad for other in others]).mean(0), one.grad)


@pytest.mark.slow
def test_processes_keep_and_drop_their_own_rows_of_the_whole_batch() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    command = [sys.executable, "-c", PROCESS]
    running = [
        subprocess.Popen([*command, str(rank), address], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for rank in (0, 1)
    ]
    for process in running:
        out, err = process.communicate(timeout=120)
        assert (process.returncode, out) == (0, "as one process\n"), err


class Watch(lightning.Callback):
    """Notes the states where a training goes on, and may ask for more within a validation."""

    def __init__(self) -> None:
        self.seen: list[Tensor] = []
        self.in_validation: list[Any] = []

    def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
        self.seen.append(module.network.layer("gru").gru.states[0].clone())

    def on_validation_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int, dataloader_idx: int = 0) -> None:
        self.in_validation.append(module.network.layer("gru").gru.states[0])


LAYERS = {
    "drop": {"kind": "dropout", "rate": 0.3},
    "gru": {"kind": "gru", "units": 6, "return_sequences": True, "stateful": True, "dropout": 0.2},
}


def trainer_of_ones_own(folder: Path, *callbacks: lightning.Callback, **options: Any) -> lightning.Trainer:
    options = {"max_epochs": 2, "limit_val_batches": 2, **options}
    return lightning.Trainer(
        default_root_dir=folder, accelerator="cpu", devices=1, logger=False, enable_progress_bar=False, enable_model_summary=False,
        callbacks=list(callbacks), **options,
    )  # fmt: skip


def batches(rows: int = 4, steps: int = 3) -> DataLoader[Any]:
    made = [*Windows(steps, batch_size=rows).epoch(0)]
    return DataLoader([(torch.from_numpy(one.inputs["tokens"]), torch.from_numpy(one.targets)) for one in made], batch_size=None)


def module_of(workshop: Workshop) -> Any:
    return workshop.trainee(language_model(**LAYERS)).native


@pytest.mark.filterwarnings("ignore:.*num_workers.*", "ignore:.*exists and is not empty.*")
def test_validation_under_a_trainer_of_ones_own_leaves_the_training_alone(workshop: Workshop, tmp_path: Path) -> None:
    data = batches()
    validated, alone = Watch(), Watch()
    one, other = module_of(workshop), module_of(workshop)
    trainer = trainer_of_ones_own(tmp_path, validated, enable_checkpointing=False, val_check_interval=1)
    trainer.fit(one, data, batches(rows=2))
    trainer_of_ones_own(tmp_path, alone, enable_checkpointing=False, limit_val_batches=0).fit(other, data)
    assert len(validated.seen) == len(alone.seen) == 6
    assert all(torch.equal(a, b) for a, b in zip(validated.seen, alone.seen, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert [state is None for state in validated.in_validation] == [True, False] * 7, "from zeros, then from batch to batch"
    kept = one.network.layer("gru").gru.states[0].clone()
    trainer.validate(one, batches(rows=1), verbose=False)
    trainer.predict(one, batches(rows=3), return_predictions=False)
    assert torch.equal(one.network.layer("gru").gru.states[0], kept)


@pytest.mark.filterwarnings("ignore:.*num_workers.*", "ignore:.*exists and is not empty.*")
def test_a_validation_that_breaks_off_leaves_the_training_state(workshop: Workshop, tmp_path: Path) -> None:
    class Breaks(lightning.Callback):
        def on_validation_batch_end(self, *_: Any) -> None:
            raise RuntimeError("broken off")

    module, data = module_of(workshop), batches()
    with pytest.raises(RuntimeError, match="broken off"):
        options = {"enable_checkpointing": False, "num_sanity_val_steps": 0, "max_epochs": 1}
        trainer_of_ones_own(tmp_path, Breaks(), **options).fit(module, data, batches(rows=2))
    watch = Watch()
    trainer_of_ones_own(tmp_path, watch, enable_checkpointing=False, max_epochs=1, limit_val_batches=0).fit(module, data)
    assert watch.seen[0].shape == (4, 6)


@pytest.mark.filterwarnings("ignore:.*num_workers.*", "ignore:.*exists and is not empty.*")
@pytest.mark.parametrize("name", ["gru/0", "gru/state"], ids=["now", "earlier"])
def test_a_checkpoint_of_lightning_has_the_states_and_goes_on_to_the_same_bits(name: str, workshop: Workshop, tmp_path: Path) -> None:
    data, validation = batches(), batches(rows=2)
    whole, first, second = (module_of(workshop) for _ in range(3))
    watch, watch_second = Watch(), Watch()
    trainer_of_ones_own(tmp_path, watch, enable_checkpointing=False, max_epochs=2).fit(whole, data, validation)
    trainer = trainer_of_ones_own(tmp_path, max_epochs=1, enable_checkpointing=False)
    trainer.fit(first, data, validation)
    trainer.save_checkpoint(tmp_path / "one.ckpt")
    content = torch.load(tmp_path / "one.ckpt", weights_only=True)
    assert content["gatework_states"]["gru/0"].any()
    torch.save({**content, "gatework_states": {name: content["gatework_states"]["gru/0"]}}, tmp_path / "one.ckpt")
    trainer = trainer_of_ones_own(tmp_path, watch_second, enable_checkpointing=False, max_epochs=2)
    trainer.fit(second, data, validation, ckpt_path=tmp_path / "one.ckpt")
    assert all(torch.equal(a, b) for a, b in zip(watch_second.seen, watch.seen[3:], strict=True))
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), second.parameters(), strict=True))


@pytest.mark.filterwarnings("ignore:.*num_workers.*", "ignore:.*exists and is not empty.*")
def test_batches_that_are_gathered_to_one_step_have_masks_of_their_own(workshop: Workshop, tmp_path: Path) -> None:
    class Calls(lightning.Callback):
        def __init__(self) -> None:
            self.numbers: list[tuple[int, int]] = []

        def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
            log: CallLog = module.network.layer("drop").call_log
            self.numbers.append(log.coming())

    calls, module = Calls(), module_of(workshop)
    options = {"enable_checkpointing": False, "limit_val_batches": 0, "max_epochs": 1, "accumulate_grad_batches": 2}
    trainer_of_ones_own(tmp_path, calls, **options).fit(module, batches(steps=4))
    assert calls.numbers == [(0, 1), (0, 2), (1, 1), (1, 2)]
