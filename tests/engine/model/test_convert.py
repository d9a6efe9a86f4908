"""A trained run becomes one of the other backend: same outputs, same text, and training goes on; or its weights go to a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import framework
from framework.cli.main import main
from framework.engine.model.agreement import TOLERANCE
from framework.engine.model.convert import convert_run
from framework.engine.model.run import Run
from framework.engine.run.checkpoint import CheckpointStore
from framework.errors import DataError, InputError, ParityError, RunError, UnsupportedArgument
from framework.spec.experiment import Experiment

pytestmark = [pytest.mark.torch, pytest.mark.tensorflow]

Small = Callable[..., Experiment]


def runs_dir(run: Run) -> str:
    return str(run.path.parents[1])


@pytest.mark.parametrize(
    ("source", "to", "kind"), [("torch", "tensorflow", "adam"), pytest.param("tensorflow", "torch", "rmsprop", marks=pytest.mark.slow)]
)
def test_training_goes_on_in_the_converted_run_as_in_the_source(source: str, to: str, kind: str, small: Small) -> None:
    settings = [
        f"optimizer={kind}",
        "data.validation_fraction=0.2",
        "data.order=contiguous",
        *(["optimizer.momentum=0.5", "optimizer.centered=true"] if kind == "rmsprop" else []),
    ]
    run = framework.train(small(*settings, f"backend={source}", "name=mine", "trainer.max_epochs=2"))
    converted = convert_run("mine", to, runs_dir=runs_dir(run))
    assert converted.folder.name == f"mine-{to}"
    assert 0 <= converted.difference <= TOLERANCE
    assert converted.notes == ()
    theirs = Run(converted.folder)
    assert theirs.generate("gate ", length=30, seed=3) == run.generate("gate ", length=30, seed=3)
    assert theirs.metrics() == run.metrics()
    assert theirs.record()["converted_from"]["run"] == "mine"
    losses = {}
    for name, backend in (("mine", source), (f"mine-{to}", to)):
        gone_on = framework.train(small(*settings, f"backend={backend}", f"name={name}", "trainer.max_epochs=3"))
        losses[backend] = [loss for step, loss in gone_on.metrics()["loss"] if step > 12]
    # An optimizer that had begun anew would be far off after one step.
    np.testing.assert_allclose(losses[to], losses[source], rtol=2e-4)
    assert len(losses[to]) == 6


def test_checkpoints_keep_their_names_positions_and_weights(small: Small) -> None:
    run = framework.train(small("data.validation_fraction=0.2", "name=mine", "model.layers.gru.dropout=0.1"))
    converted = convert_run("mine", "tensorflow", "other", runs_dir(run))
    theirs = run.convert("tensorflow")
    assert theirs.path.name == "mine-tensorflow"
    ours, measured = run.evaluate("train"), theirs.evaluate("train")
    assert measured["split"] == "train" and measured["loss"] == pytest.approx(ours["loss"], rel=1e-5)
    assert run.evaluate(scores=False)["split"] == "validation"
    assert not [note for note in converted.notes if "dropout" in note]
    for name in ("last", "previous", "best"):
        before, after = (CheckpointStore(folder.checkpoints).load(name) for folder in (run.folder, converted.folder))
        assert after.progress == before.progress
        for weight in (one for one in before.state if one.startswith(("weights/", "optimizer/momentum/"))):
            np.testing.assert_array_equal(after.state[weight], before.state[weight])
        assert after.state.keys() == before.state.keys()
        assert after.state["optimizer/iterations"] == before.state["optimizer/iterations"]
    assert not list(run.path.parent.glob(".*"))


def test_the_command_converts_and_exports(small: Small, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = framework.train(small("name=mine", "trainer.max_epochs=1"))
    where = ["--runs-dir", runs_dir(run)]
    assert main(["convert", "mine", "--to", "tensorflow", "--json", *where]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["run"].endswith("mine-tensorflow")
    assert main(["convert", "mine-tensorflow", "--to", "torch", "--name", "back", *where]) == 0
    assert "outputs differ by at most" in capsys.readouterr().out
    assert main(["evaluate", "back", "--json", *where]) == 0
    loss = json.loads(capsys.readouterr().out)["loss"]
    assert main(["evaluate", "mine", "--json", *where]) == 0
    assert loss == json.loads(capsys.readouterr().out)["loss"]
    for file in ("w.weights.h5", "w.keras", "w.pt", "w.torch.safetensors", "w.safetensors"):
        assert main(["convert", "mine", "--export", str(tmp_path / file), *where]) == 0
        check_file(run, tmp_path / file)


def check_file(run: Run, file: Path) -> None:
    from framework.engine.model.opening import trained_model
    from framework.engine.model.weight_files import load_any

    model = trained_model(run.folder)
    weights = load_any(file, model.plan)
    assert weights.keys() == dict(model.weights).keys()
    for name, array in model.weights.items():
        np.testing.assert_array_equal(weights[name], array, err_msg=f"{file} {name}")


def test_what_cannot_be_converted_is_named_and_nothing_is_written(small: Small, text: Path, tmp_path: Path) -> None:
    run = framework.train(small("name=mine", "trainer.max_epochs=1", "model.layers.gru.reset_after=false"))
    where = runs_dir(run)
    with pytest.raises(InputError, match="did you mean 'torch'"):
        convert_run("mine", "troch", runs_dir=where)
    with pytest.raises(InputError, match="is of backend torch already"):
        convert_run("mine", "torch", runs_dir=where)
    with pytest.raises(InputError, match="expected a name for a folder beside"):
        convert_run("mine", "tensorflow", "../elsewhere", where)
    with pytest.raises(RunError, match="is there already; give the new run another name"):
        convert_run("mine", "tensorflow", "mine", where)
    with pytest.raises(UnsupportedArgument, match=r"'gru'.*reset_after=False"):
        export(run, tmp_path / "w.pt")
    with pytest.raises(InputError, match=r"names no format; expected one of \.weights\.h5"):
        export(run, tmp_path / "w.txt")
    with pytest.raises(InputError, match="there is no folder"):
        export(run, tmp_path / "nowhere" / "w.pt")
    text.write_text(text.read_text() + "reset ")
    with pytest.raises(RunError, match="the data is not what run"):
        convert_run("mine", "tensorflow", runs_dir=where)
    text.unlink()
    with pytest.raises(DataError):
        convert_run("mine", "tensorflow", runs_dir=where)
    assert [one.name for one in run.path.parent.iterdir()] == ["mine"]


def export(run: Run, path: Path) -> None:
    from framework.engine.model.export import export_run

    export_run("mine", path, runs_dir(run))
    pytest.fail(f"{path} was written")


def test_disagreeing_models_leave_no_run(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    run = framework.train(small("name=mine", "trainer.max_epochs=1"))
    from framework.engine.model import agreement

    monkeypatch.setattr(agreement, "TOLERANCE", -1.0)
    with pytest.raises(ParityError, match="nothing was written"):
        convert_run("mine", "tensorflow", runs_dir=runs_dir(run))
    assert [one.name for one in run.path.parent.iterdir()] == ["mine"]


def test_a_run_without_a_checkpoint_is_refused(small: Small) -> None:
    run = framework.train(small("name=mine", "trainer.max_epochs=1"))
    (run.path / "checkpoints" / "last" / "checkpoint.json").unlink()
    with pytest.raises(InputError, match="has no checkpoint yet"):
        convert_run("mine", "tensorflow", runs_dir=runs_dir(run))
