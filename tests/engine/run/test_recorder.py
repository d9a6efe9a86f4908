"""Every value once, whatever was killed in between."""

from __future__ import annotations

from pathlib import Path

from framework.engine.run.recorder import Recorder, read_records


def values(path: Path) -> list[tuple[int, dict[str, float]]]:
    return [(record.step, dict(record.values)) for record in read_records(path)]


def test_values_come_back_in_order(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    recorder = Recorder(path)
    recorder.record(1, 0.1, {"loss": 2.5})
    recorder.record(2, 0.2, {"loss": 2.25, "learning_rate": 1e-3})
    recorder.close()
    assert values(path) == [(1, {"loss": 2.5}), (2, {"loss": 2.25, "learning_rate": 1e-3})]


def test_a_line_cut_by_a_kill_is_dropped_and_what_is_done_again_is_not_recorded_twice(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    recorder = Recorder(path)
    for step in (1, 2, 3):
        recorder.record(step, step / 10, {"loss": float(step)})
    recorder.close()
    path.write_text(path.read_text()[:-9])
    again = Recorder(path)
    for step in (2, 3, 4):
        again.record(step, step / 10, {"loss": float(step)})
    again.close()
    assert values(path) == [(step, {"loss": float(step)}) for step in (1, 2, 3, 4)]
    assert again.has("loss")
    assert not again.has("val_loss")
