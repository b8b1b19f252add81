"""A sweep on a dask cluster of real processes, one of which is killed in its midst."""

import logging
import os
import signal
import subprocess
import sys
import time
from threading import Thread
from types import SimpleNamespace

import pytest

from earlystop import __main__
from earlystop.figures.fig5 import EXPERIMENT, Figure5
from earlystop.runs import sweep
from earlystop.runs.machine import Machine
from earlystop.runs.store import StoreError, read_json

distributed = pytest.importorskip("distributed")

CONFIG = Figure5.at("quick", iterations=300, samples=200, hidden_units=300, early=40, seeds=2)
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "EARLYSTOP_DEVICE": "cpu"}


def start(folder, *arguments):
    """A process of dask in a folder of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", *arguments], cwd=folder, env=ENVIRONMENT,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.fixture
def cluster(tmp_path):
    """The address of a scheduler, its process, and a function that starts a worker."""
    file, processes = tmp_path / "scheduler.json", []

    def worker(name):
        options = ["--nthreads=1", "--no-nanny", "--no-dashboard", f"--local-directory={tmp_path / name}"]
        processes.append(start(tmp_path, "distributed.cli.dask_worker", f"--scheduler-file={file}", *options))
        return processes[-1]

    options = ["--host=127.0.0.1", "--port=0", "--no-dashboard", f"--scheduler-file={file}"]
    processes.append(start(tmp_path, "distributed.cli.dask_scheduler", *options))
    try:
        while not file.exists():
            assert processes[0].poll() is None
            time.sleep(0.1)
        with distributed.Client(scheduler_file=str(file), timeout=60) as client:
            address = client.scheduler.address
        yield address, processes[0], worker
    finally:
        for process in processes:
            process.kill()
            process.wait()


def on(address, out, experiment=EXPERIMENT, config=CONFIG, **options):
    """A sweep on a cluster, or on this machine if the address is None; its result."""
    machine = Machine(threads=None)
    return read_json(sweep.run(experiment, config, "quick", out, machine, address=address, jobs=1, **options))


@pytest.mark.leg
def test_a_sweep_on_a_cluster_survives_the_death_of_a_worker(tmp_path, cluster, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    address, _, worker = cluster
    local = on(None, tmp_path / "local")
    workers, out, killed = [worker("a"), worker("b")], tmp_path / "cluster", []

    def kill_one():
        """End a worker once two cells are finished."""
        while len(list(out.glob("parts/fig5-*.pt"))) < 2:
            time.sleep(0.01)
        workers[0].send_signal(signal.SIGKILL)
        killed.append(len(list(out.glob("parts/fig5-*.pt"))))

    Thread(target=kill_one, daemon=True).start()
    remote = on(address, out)
    assert len(remote["cells"]) >= 12 and killed and killed[0] < len(remote["cells"])
    assert workers[0].wait(timeout=10) == -signal.SIGKILL and workers[1].poll() is None
    assert remote["cells"] == local["cells"]
    (how,) = remote["runs"]
    assert how["cells"] == len(remote["cells"]) and how["threads"] == 1


def test_a_cluster_without_workers_is_waited_for_aloud_and_one_without_scheduler_is_not(
    tmp_path, cluster, monkeypatch, toy, capsys
):
    """The toy comes from a file outside the package, which the worker finds by its path."""
    monkeypatch.setattr(sweep, "LOOK_EVERY", 0.2)
    address, scheduler, worker = cluster
    config, out = toy.config.at("quick"), []
    thread = Thread(target=lambda: out.append(on(address, tmp_path / "out", toy, config)))
    thread.start()
    wait, said = f"the cluster at {address} has no workers now: waiting for some\n", ""
    while wait not in said:
        assert thread.is_alive()
        time.sleep(0.2)
        said += capsys.readouterr().out
    time.sleep(1)
    worker("a")
    thread.join(timeout=120)
    assert out[0]["cells"] == on(None, tmp_path / "alone", toy, config)["cells"]
    said += capsys.readouterr().out
    assert said.count(wait) == 1 and f"waiting for the scheduler at {address}\n" in said
    Thread(target=lambda: (time.sleep(1), scheduler.kill()), daemon=True).start()
    with pytest.raises(StoreError, match="the cluster lost a group of cells"):
        on(address, tmp_path / "lost", toy, toy.config.at("quick", steps=10**7))
    assert not logging.getLogger("distributed.client").isEnabledFor(logging.ERROR)  # its traceback is not shown


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nowhere"])
def test_without_a_scheduler_the_command_says_so_in_one_line(tmp_path, monkeypatch, capsys, address):
    client = distributed.Client
    impatient = lambda address, timeout: client(address, timeout=0.5)
    monkeypatch.setattr(distributed, "Client", impatient)
    arguments = ["run", "fig5", "--set=iterations=3", "--yes", "--engine=dask", "--out", tmp_path]
    arguments += ["--precision=float32", f"--address={address}"]
    monkeypatch.setattr(sys, "argv", ["earlystop", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        __main__.main()
    errors = capsys.readouterr().err
    assert end.value.code == 2 and len(errors.splitlines()) == 1
    assert f"no dask scheduler at {address}" in errors and "check --address" in errors


def test_a_group_that_kills_every_worker_ends_the_command_in_one_line(monkeypatch):
    class Cluster:
        def __init__(self, *arguments, **options):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def submit(self, *call, **options):
            return self

        def scheduler_info(self):
            return {"workers": {"a": 1}}

        def result(self):
            raise distributed.KilledWorker("run_group", SimpleNamespace(address="tcp://a:1"), 4)

    monkeypatch.setattr(distributed, "Client", Cluster)
    monkeypatch.setattr(distributed, "wait", lambda futures, **_: (futures, set()))
    with pytest.raises(StoreError, match="lost a group of cells .*the same command goes on"):
        next(sweep.on_cluster([()], "tcp://127.0.0.1:1"))


@pytest.mark.parametrize("error", [TimeoutError("no answer"), ValueError("the loss is nan")])
def test_groups_that_are_finished_are_kept_before_another_ones_error_is_told(monkeypatch, error):
    groups = iter(["first", error, "third"])

    class Group:
        def __init__(self):
            self.found = next(groups)

        def result(self):
            if isinstance(self.found, Exception):
                raise self.found
            return [self.found]

    class Cluster:
        __enter__ = lambda self: self
        __exit__ = lambda self, *_: None
        submit = lambda self, *_, **__: Group()
        scheduler_info = lambda self: {"workers": {"a": 1}}

    monkeypatch.setattr(distributed, "Client", lambda *_, **__: Cluster())
    monkeypatch.setattr(distributed, "wait", lambda futures, **_: (futures, set()))
    found, groups_of = [], sweep.on_cluster([(), (), ()], "tcp://127.0.0.1:1")
    with pytest.raises(type(error), match=str(error)):
        found.extend(groups_of)
    assert sorted(found) == [["first"], ["third"]]


def test_without_dask_the_command_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(StoreError, match=r"pip install 'earlystop\[cluster\]'"):
        next(sweep.on_cluster([()], "tcp://127.0.0.1:1"))
