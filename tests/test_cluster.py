"""A sweep on a dask cluster of real processes, one of which is killed in its midst."""

import os
import signal
import subprocess
import sys
import time
from threading import Thread
from types import SimpleNamespace

import pytest
from earlystop.figure5 import Figure5
from earlystop.store import StoreError, read_json

from earlystop import __main__, sweep

distributed = pytest.importorskip("distributed")

CONFIG = Figure5.at("quick", iterations=300, samples=200, hidden_units=300, early=40, seeds=2)
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "EARLYSTOP_DEVICE": "cpu"}


@pytest.fixture(autouse=True)
def one_core(monkeypatch):
    monkeypatch.setattr(sweep, "cores", lambda: 1)
    monkeypatch.setenv("EARLYSTOP_DEVICE", "cpu")
    monkeypatch.setenv("EARLYSTOP_PRECISION", "float32")


def start(folder, *arguments):
    """A process of dask in a folder of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", *arguments], cwd=folder, env=ENVIRONMENT,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.fixture
def cluster(tmp_path):
    """The address of a scheduler, and the processes of its two workers."""
    address_file = tmp_path / "scheduler.json"
    scheduler = start(
        tmp_path, "distributed.cli.dask_scheduler", "--host=127.0.0.1", "--port=0",
        "--no-dashboard", f"--scheduler-file={address_file}",
    )  # fmt: skip
    workers = [
        start(
            tmp_path, "distributed.cli.dask_worker", f"--scheduler-file={address_file}",
            "--nthreads=1", "--no-nanny", "--no-dashboard", f"--local-directory={tmp_path / name}",
        )
        for name in ("a", "b")
    ]  # fmt: skip
    try:
        yield address_file, workers
    finally:
        for process in (*workers, scheduler):
            process.kill()
            process.wait()


@pytest.mark.leg
def test_a_sweep_on_a_cluster_survives_the_death_of_a_worker(tmp_path, cluster):
    address_file, workers = cluster
    local = read_json(sweep.run("fig5", CONFIG, "quick", tmp_path / "local", jobs=1))
    with distributed.Client(scheduler_file=str(address_file), timeout=60) as client:
        client.wait_for_workers(2, timeout=60)
        address = client.scheduler.address

        out, killed = tmp_path / "cluster", []

        def kill_one(text):
            """Called when the sweep begins: end a worker once two cells are finished."""

            def wait_and_kill():
                while len(list((out / "parts").glob("fig5-*.json"))) < 2:
                    time.sleep(0.01)
                workers[0].send_signal(signal.SIGKILL)
                killed.append(len(list((out / "parts").glob("fig5-*.json"))))

            Thread(target=wait_and_kill, daemon=True).start()

        path = sweep.run("fig5", CONFIG, "quick", out, engine="dask", address=address, say=kill_one)
    remote = read_json(path)
    assert len(remote["cells"]) >= 12 and killed and killed[0] < len(remote["cells"])
    assert workers[0].wait(timeout=10) == -signal.SIGKILL and workers[1].poll() is None
    assert remote["cells"] == local["cells"]
    (how,) = remote["runs"]
    assert how["cells"] == len(remote["cells"]) and how["threads"] == 1


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

        def result(self):
            raise distributed.KilledWorker("run_group", SimpleNamespace(address="tcp://a:1"), 4)

    monkeypatch.setattr(distributed, "Client", Cluster)
    monkeypatch.setattr(distributed, "as_completed", iter)
    with pytest.raises(StoreError, match="lost a group of cells .*the same command goes on"):
        next(sweep.on_cluster([()], "tcp://127.0.0.1:1"))


def test_without_dask_the_command_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(StoreError, match=r"pip install 'earlystop\[cluster\]'"):
        next(sweep.on_cluster([()], "tcp://127.0.0.1:1"))
