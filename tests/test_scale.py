"""Tasks on a local Dask cluster: any number of workers, a worker killed in the middle, errors, queues."""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from gwsurrogate_ml import scale
from gwsurrogate_ml.errors import ConfigError, DataError
from gwsurrogate_ml.scale import Mapper, cluster, queue_cluster

pytestmark = pytest.mark.process


def draw(task: tuple[int, str | None]) -> tuple[int, float]:
    """A number that depends on the task alone; the worker that does task 3 for the first time kills itself."""
    index, folder = task
    if folder is not None and index == 3:
        mark = Path(folder) / "killed"
        if not mark.exists():
            mark.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.02)
    return index, float(np.random.default_rng([7, index]).normal())


def refuse(task: int) -> int:
    raise DataError(f"task {task} is impossible")


def add_path(path: str) -> None:
    sys.path.insert(0, path)


def die(task: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture(scope="module")
def two():
    with cluster("local", workers=2) as mapper:
        yield mapper


FAKE = """
import numpy as np

def generate_modes_opt(q, chi1, chi2, omega, approximant, settings):
    t = np.arange(-900.0, 200.0, 0.1)
    phase = 0.15 * t + (2 + 0.1 * chi1 + 0.05 * chi2) * np.log(np.cosh(t / 20)) + 140.0
    h = -0.39 / q * np.exp(-0.5 * (t / 150) ** 2) * np.exp(-2j * phase)
    return t - t[0], {f"{l},{m}": h ** (m / 2) / l for l, m in settings["return_modes"]}
"""


def test_training_waveforms_are_the_same_from_a_cluster(two: Mapper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from data_prep import eob

    package = tmp_path / "fake" / "pyseobnr"  # a tool of data preparation, not installed with the tests
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "generate_waveform.py").write_text(FAKE)
    monkeypatch.syspath_prepend(str(package.parent))
    for path in (str(package.parent), str(Path(eob.__file__).parents[1])):
        two.client.run(add_path, path)
    config = eob.EobConfig(n=8, chunk=2, q_max=4.0, chi_max=0.5, duration=600.0, ringdown=100.0)
    eob.generate(tmp_path / "here", config, mapper=Mapper())
    eob.generate(tmp_path / "there", config, mapper=two)
    names = sorted(path.name for path in (tmp_path / "here").iterdir())
    assert len([name for name in names if name.startswith("chunk")]) == 4
    assert sorted(path.name for path in (tmp_path / "there").iterdir()) == names
    for name in names:
        assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "there" / name).read_bytes()


def test_results_are_those_of_one_process_in_order_though_a_worker_is_killed(two: Mapper, tmp_path: Path) -> None:
    expected = list(Mapper().map(draw, [(i, None) for i in range(30)]))
    found = list(two.map(draw, [(i, str(tmp_path)) for i in range(30)]))
    assert (tmp_path / "killed").exists()  # it did happen
    assert found == expected
    assert found == list(two.map(draw, [(i, None) for i in range(30)]))


def test_endless_tasks_are_taken_as_they_are_needed(two: Mapper) -> None:
    taken: list[int] = []

    def tasks():
        for i in itertools.count():
            taken.append(i)
            yield i, None

    results = two.map(draw, tasks())
    assert [next(results)[0] for _ in range(5)] == [0, 1, 2, 3, 4]
    results.close()
    assert len(taken) <= 5 + 2 * scale.AHEAD


def test_an_error_of_a_task_is_raised_as_it_is(two: Mapper) -> None:
    with pytest.raises(DataError, match="task 1 is impossible"):
        list(two.map(refuse, [1, 2]))
    assert list(two.map(abs, [-1, -2])) == [1, 2]


def filter_and_die_once(folder: str, function, task):
    """A piece of a search; the worker that does the second piece for the first time kills itself."""
    mark = Path(folder) / "killed"
    if task[-1] > 0 and not mark.exists():
        mark.write_text(str(os.getpid()))
        os.kill(os.getpid(), signal.SIGKILL)
    return function(task)


def test_a_search_has_the_same_triggers_from_a_cluster_though_a_worker_is_killed(two: Mapper, tmp_path: Path) -> None:
    import gwsurrogate_ml as gw
    from gwsurrogate_ml.search import segments, sharing
    from gwsurrogate_ml.strain.simulate import simulate

    model = gw.load_surrogate("nr22")
    series = simulate(None, sampling_frequency=1024.0, duration=32.0, seed=1).series
    cut = segments.blocks(segments.common_spans(series, 16.0), 20.0, 4.0, 4.0)
    data = {name: [segments.condition(s, block, 20.0, 500.0, 2.0, 2.0) for block in cut] for name, s in series.items()}
    rng = np.random.default_rng(0)
    heavier = rng.uniform(35, 45, 24)
    parameters = np.column_stack([heavier, heavier * rng.uniform(0.6, 1, 24), rng.uniform(-0.3, 0.3, (24, 2))])
    settings = {"f_max": 500.0, "threshold": 4.0, "trigger_window": 0.1, "n_bins": 8}
    work = sharing.Work(parameters, cut, data, 1024.0, 20.0, settings)
    here = [work.triggers(model, first) for first in work.starts()]

    class Deadly(Mapper):
        def map(self, function, tasks):
            return two.map(partial(filter_and_die_once, str(tmp_path), function), tasks)

    two.client.run(add_path, str(Path(__file__).parents[1]))
    there = list(sharing.shared(work, Deadly(), tmp_path, "nr22", model.info["weights_sha256"]))
    assert (tmp_path / "killed").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["killed"], "the shared file is left"
    assert len(here) == len(there) == 2
    assert sum(part.size for part in here[0]["H1"]) > 20  # observed 54
    for one, other in zip(here, there, strict=True):
        for name in series:
            for a, b in zip(one[name], other[name], strict=True):
                np.testing.assert_array_equal(a, b)
    with pytest.raises(ConfigError, match="another surrogate"):
        list(sharing.shared(work, Mapper(), tmp_path, "nr22", "0"))


def test_a_task_that_kills_every_worker_is_blamed(two: Mapper, monkeypatch: pytest.MonkeyPatch) -> None:
    two.client.run_on_scheduler(lambda dask_scheduler: setattr(dask_scheduler, "allowed_failures", 0))
    with pytest.raises(ConfigError, match="died at the same task"):
        list(two.map(die, [0]))


def test_what_cannot_be_is_refused() -> None:
    for where, said in (("cloud", "write local, condor, slurm"), ("local", "at least one")):
        with pytest.raises(ConfigError, match=said), cluster(where, workers=0):
            pass


def test_nobody_at_an_address_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scale, "CONNECT", 0.5)
    with pytest.raises(ConfigError, match="no workers"), cluster("tcp://127.0.0.1:9"):
        pass


@pytest.mark.parametrize(("where", "words"), [("slurm", "#SBATCH"), ("condor", "RequestCpus")])
def test_jobs_of_a_queue_run_one_worker_each(where: str, words: str) -> None:
    with queue_cluster(where) as queue:
        script = queue.job_script()
    assert words in script
    assert "distributed.cli.dask_worker" in script
    assert "--nthreads 1" in script


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install gwsurrogate-ml\[cluster\]"), cluster("local"):
        pass
    assert json.dumps(list(Mapper().map(abs, [-1]))) == "[1]"
