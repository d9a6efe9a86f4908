"""A model that was trained elsewhere becomes a run: found layer by layer, held against the file's own model, used as any other."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import framework
from framework.cli.main import main
from framework.engine.model.importing import Imported, import_model
from framework.engine.model.run import Run
from framework.errors import CheckpointError, InputError, ParityError
from framework.spec.experiment import Experiment

pytestmark = [pytest.mark.torch, pytest.mark.tensorflow]

Small = Callable[..., Experiment]


def keras_model(sizes: dict[str, int], **dense: Any) -> Any:
    """The small recipe's model as somebody else would write it, with other names."""
    import keras

    model = keras.Sequential(
        [
            keras.Input(batch_shape=(sizes["batch"], None), dtype="int32"),
            keras.layers.Embedding(sizes["tokens"], sizes["width"], name="characters"),
            keras.layers.GRU(sizes["units"], return_sequences=True, stateful=True, name="recurrent"),
            keras.layers.Dense(sizes["tokens"], name="scores", **dense),
        ]
    )
    rng = np.random.default_rng(1)
    model.set_weights([rng.normal(size=one.shape).astype(np.float32) * 0.3 for one in model.get_weights()])
    return model


@pytest.fixture
def sizes(small: Small) -> dict[str, int]:
    experiment = small()
    from framework.engine.run.prepare import prepare_experiment

    layers = {layer.name: layer for layer in prepare_experiment(experiment).plan.layers}
    tokens, width = layers["embedding"].weights[0].shape
    return {"batch": experiment.data.batch_size, "tokens": tokens, "width": width, "units": layers["gru"].weights[1].shape[0]}


def opened(imported: Imported) -> Run:
    return Run(imported.folder, str(imported.folder.path.parents[1]))


def outputs(run: Run, tokens: np.ndarray) -> np.ndarray:
    [found] = run.model.trainee.predict({"tokens": tokens}).values()
    return found


@pytest.mark.parametrize("backend", ["torch", "tensorflow"])
@pytest.mark.parametrize("ending", [".keras", pytest.param(".h5", marks=pytest.mark.slow)])
def test_a_keras_model_becomes_a_run_that_computes_the_same(
    backend: str, ending: str, small: Small, sizes: dict[str, int], tmp_path: Path
) -> None:
    model = keras_model(sizes)
    model.save(tmp_path / f"my model{ending}")
    imported = import_model(tmp_path / f"my model{ending}", small(f"backend={backend}"))
    assert imported.folder.name == f"my-model-{backend}"
    assert [(one.name, one.found) for one in imported.layers] == [
        ("embedding", "characters"), ("gru", "recurrent"), ("logits", "scores"),
    ]  # fmt: skip
    assert imported.difference is not None and imported.difference < 1e-5 and imported.not_run is None
    run = opened(imported)
    assert run.status == "finished" and run.record()["imported_from"]["file"] == f"my model{ending}"
    ids = np.tile(np.arange(6, dtype=np.int32) % sizes["tokens"], (sizes["batch"], 1))
    np.testing.assert_allclose(outputs(run, ids), np.asarray(model(ids)), rtol=1e-4, atol=1e-5)
    assert len(run.generate("gate ", length=10)) == 15
    assert run.evaluate()["loss"] > 0
    assert "imported from: my model" in (run.path / "report.md").read_text()
    assert "loss.png" not in (run.path / "report.md").read_text()


def test_it_trains_on_from_the_weights_that_came(small: Small, sizes: dict[str, int], tmp_path: Path) -> None:
    keras_model(sizes).save(tmp_path / "mine.keras")
    imported = import_model(tmp_path / "mine.keras", small())
    before = opened(imported).evaluate("train")["loss"]
    run = framework.train(small(f"name={imported.folder.name}", "trainer.max_epochs=2"))
    assert run.path == imported.folder.path
    assert run.metrics()["epoch/untrained_loss"][0][1] == pytest.approx(before, rel=0.2), "not from new weights"
    assert opened(imported).evaluate("train")["loss"] < before


def test_a_state_dict_of_torch_is_taken_by_names_that_are_given(small: Small, sizes: dict[str, int], tmp_path: Path) -> None:
    import torch

    tokens, width, units = sizes["tokens"], sizes["width"], sizes["units"]
    parts = {
        "a": torch.nn.Embedding(tokens, width),
        "b": torch.nn.GRU(width, units, batch_first=True),
        "c": torch.nn.Linear(units, tokens),
    }
    module = torch.nn.ModuleDict(parts)
    torch.save(module.state_dict(), tmp_path / "w.pt")
    imported = import_model(tmp_path / "w.pt", small(), layers={"logits": "c"}, name="theirs")
    assert imported.folder.name == "theirs" and imported.difference is None
    assert imported.not_run == f"{tmp_path / 'w.pt'} holds weights alone"
    ids = torch.arange(6).repeat(sizes["batch"], 1) % tokens
    expected = parts["c"](parts["b"](parts["a"](ids))[0]).detach().numpy()
    np.testing.assert_allclose(outputs(Run(imported.folder), ids.numpy().astype(np.int32)), expected, rtol=1e-4, atol=1e-5)


def test_what_does_not_fit_is_shown_and_nothing_is_written(small: Small, sizes: dict[str, int], tmp_path: Path) -> None:
    experiment = small()
    runs = Path(experiment.paths.runs_dir)
    keras_model({**sizes, "units": sizes["units"] + 1}).save(tmp_path / "wider.keras")
    with pytest.raises(CheckpointError, match=r"gru/recurrent_kernel +\(\d+, \d+\) +\(\d+, \d+\)") as caught:
        import_model(tmp_path / "wider.keras", experiment)
    assert "layers of the file: " in str(caught.value)
    keras_model(sizes, activation="softmax").save(tmp_path / "soft.keras")
    with pytest.raises(ParityError, match=r"the models of soft\.keras and the recipe disagree"):
        import_model(tmp_path / "soft.keras", experiment)
    with pytest.raises(InputError, match="did you mean 'gru'"):
        import_model(tmp_path / "soft.keras", experiment, layers={"grue": "recurrent"})
    with pytest.raises(InputError, match=r"cannot read .*none\.keras"):
        import_model(tmp_path / "none.keras", experiment)
    assert not [*runs.glob("*/*")]


def test_a_model_of_somebodys_own_layers_is_taken_without_being_run(small: Small, sizes: dict[str, int], tmp_path: Path) -> None:
    import keras

    @keras.saving.register_keras_serializable(package="elsewhere")
    class Scores(keras.layers.Dense):  # type: ignore[misc]
        pass

    model = keras_model(sizes)
    own = keras.Sequential([*model.layers[:-1], Scores(sizes["tokens"], name="scores")])
    own.build((sizes["batch"], None))
    own.save(tmp_path / "own.keras")
    keras.saving.get_custom_objects().pop("elsewhere>Scores")
    imported = import_model(tmp_path / "own.keras", small(), layers={"logits": "scores"})
    assert imported.difference is None and imported.not_run is not None
    assert "cannot be run here" in imported.not_run


def test_the_command(small: Small, sizes: dict[str, int], text: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    keras_model(sizes).save(tmp_path / "mine.keras")
    words = ["--recipe", "text_generation", "data=text", f"data.path={text}", "data.batch_size=" + str(sizes["batch"])]
    words += [f"model.layers.gru.units={sizes['units']}", f"model.layers.embedding.output_dim={sizes['width']}"]
    words += [f"paths.runs_dir={tmp_path / 'runs'}", "tracking=none"]
    assert main(["import", str(tmp_path / "mine.keras"), *words]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].split() == ["layer", "kind", "in", "the", "file", "weights"]
    assert said[2].split()[:3] == ["gru", "gru", "recurrent"]
    assert "outputs differ by at most" in said[4]
    assert said[5] == f"imported {tmp_path / 'runs' / 'text_generation' / 'mine-torch'}"
    assert main(["import", str(tmp_path / "mine.keras"), *words]) == 2
    assert "is there already; give the new run another name" in capsys.readouterr().err
    assert main(["import", str(tmp_path / "mine.keras"), *words, "--name", "two", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["layers"][0]["found"] == "characters" and found["difference"] < 1e-5
    assert main(["import", str(tmp_path / "mine.keras"), *words, "--layer", "gru"]) == 2
    assert "expected a layer of the recipe and one of the file" in capsys.readouterr().err
    assert main(["import", str(tmp_path / "mine.keras"), "data=text"]) == 2
    assert "recipe" in capsys.readouterr().err
