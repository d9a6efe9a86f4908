"""What tracking takes from a run that makes 100 steps a second, with the loss recorded every ten steps as by default."""

from __future__ import annotations

import time
from collections.abc import Callable

import psutil
import pytest
from tracking.mlflow_server import wait_until
from tracking.run_on_disk import RunOnDisk, training

STEPS = 2000
SECONDS_A_STEP = 0.01


@pytest.mark.slow
def test_tracking_takes_at_most_two_hundredths_of_a_processor(new_run: Callable[..., RunOnDisk]) -> None:
    """Counted in processor time, of the delivering process and of the run: other programs do not lengthen it."""
    run = new_run()
    with training(run, pytest.fail) as tracked:
        assert tracked.follower is not None
        process = psutil.Process(tracked.follower._process.pid)
        wait_until(lambda: "files" in run.note(), 120)
        time.sleep(3)  # MLflow is imported, and the run made: once a run, some seconds of another processor
        before, own, started = process.cpu_times(), time.process_time(), time.perf_counter()
        for step in range(1, STEPS + 1):
            if step % 10 == 0:
                run.measure(step, step)
            time.sleep(max(0.0, started + step * SECONDS_A_STEP - time.perf_counter()))
        elapsed, own = time.perf_counter() - started, time.process_time() - own
        after = process.cpu_times()
        tracked.finish()
    delivering = (after.user + after.system - before.user - before.system) / elapsed
    assert delivering < 0.02
    assert own / elapsed < 0.02
