"""What a sweep promises whatever happens: nothing finished is lost, replaced or harmed, and every fault is one line."""

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch
from matplotlib.figure import Figure

from earlystop import __main__, training
from earlystop.figures import fig1
from earlystop.runs import experiment, results, store, sweep
from earlystop.runs.machine import Machine
from earlystop.runs.results import load
from earlystop.runs.store import read_json, write_json

TOY = Path(__file__).with_name("toy.py")
ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "TQDM_DISABLE": "1",
    "MPLBACKEND": "agg",
    "EARLYSTOP_DEVICE": "cpu",
}
posix = pytest.mark.skipif(os.name != "posix", reason="needs signals")


def start(out, *options, file=TOY, **more):
    """The command line in a process of its own."""
    command = [sys.executable, "-m", "earlystop", "run", file, "--yes", "--out", out, *options]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": ENVIRONMENT}
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
    try:
        return subprocess.Popen(list(map(str, command)), **pipes | more)
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.fixture(autouse=True)
def one_core(monkeypatch):
    monkeypatch.setattr(sweep, "cores", lambda: 1)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("EARLYSTOP_DEVICE", "cpu")
    monkeypatch.setattr(sweep, "record", lambda one: {"numbers": {}})


@pytest.fixture
def command(monkeypatch, capsys):
    """A function that runs the command line in this process: its exit code, and the lines of its errors."""

    def run(name, *options):
        monkeypatch.setattr(sys, "argv", ["earlystop", "run", str(name), "--yes", "--jobs=1", *map(str, options)])
        capsys.readouterr()
        try:
            code = __main__.main() or 0
        except SystemExit as end:
            code = end.code
        return code, capsys.readouterr().err.splitlines()

    return run


@pytest.fixture
def blank(monkeypatch):
    """Pictures are empty files: drawing them takes most of a small run."""
    monkeypatch.setattr(Figure, "savefig", lambda self, file, **options: file.write(b"<svg/>"))


# ------------------------------------------------------------------------ damage


def unreadable(path):
    """In place of a file one that opens but cannot be read, for root, too."""
    path.unlink()
    path.symlink_to("/proc/self/mem")


def directory(path):
    path.unlink()
    (path / "inside").mkdir(parents=True)


BYTES = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-30]),
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("my notes"),
    "flipped": lambda path: path.write_bytes(bytes(b ^ (i % 97 == 0) for i, b in enumerate(path.read_bytes()))),
    "a list": lambda path: torch.save([1, 2], path),
    "directory": directory,
    "unreadable": unreadable,
}


def content(change):
    """Damage of what a whole file holds."""

    def damage(path):
        saved = torch.load(path, weights_only=True)
        change(saved)
        torch.save(saved, path)

    return damage


def put(value, *keys):
    """Damage: `value` under these keys, one in the other; nothing there if it is None."""

    def change(saved):
        *way, last = keys
        for key in way:
            saved = saved[key]
        saved.pop(last) if value is None else saved.update({last: value})

    return content(change)


def each(part, new):
    """Damage: other tensors in a part of a state."""
    return content(lambda saved: saved["state"].update({part: {k: new(v) for k, v in saved["state"][part].items()}}))


NAN = float("nan")
CELLS = {
    **{f"no {key}": put(None, key) for key in ("cell", "how", "run")},
    **{f"no {key} in how": put(None, "how", key) for key in experiment.HOW},
    **{f"{key} is a list": put([], key) for key in ("cell", "how", "run")},
    "another cell": put(0.7, "cell", "corruption_rate"),
    "NaN in the cell": put(NAN, "cell", "corruption_rate"),
    "NaN in the run": put([NAN] * 30, "run", "error"),
    "NaN seconds": put(NAN, "how", "seconds"),
    "negative seconds": put(-1.0, "how", "seconds"),
    "together is 0": put(0, "how", "together"),
}


@pytest.mark.parametrize("kind", [*BYTES, *CELLS])
def test_a_damaged_cell_is_named_in_one_line_and_nothing_else_is_touched(tmp_path, toy, command, blank, kind):
    assert command(TOY, "--out", tmp_path) == (0, [])
    (tmp_path / "toy-quick.json").unlink()
    path, other = sorted(tmp_path.glob("parts/toy-*.pt"))
    before = other.read_bytes(), other.stat().st_mtime_ns
    (BYTES | CELLS)[kind](path)
    code, (line,) = command(TOY, "--out", tmp_path)
    assert code == 2 and line.startswith("error: ") and str(path) in line
    assert (other.read_bytes(), other.stat().st_mtime_ns) == before
    if kind not in ("directory", "unreadable"):
        assert "delete it" in line
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert command(TOY, "--out", tmp_path) == (0, [])


STATES = {
    **{f"no {key}": put(None, key) for key in ("identity", "state", "seconds")},
    **{f"no {key} in the state": put(None, "state", key) for key in ("networks", "optimizer", "history", "epoch")},
    **{f"{key} is a list": put([1], "state", key) for key in ("networks", "optimizer", "history")},
    "another identity": put("another", "identity"),
    "epoch is a word": put("two", "state", "epoch"),
    "epoch is NaN": put(NAN, "state", "epoch"),
    "epoch is after the last": put(5, "state", "epoch"),
    "seconds are NaN": put(NAN, "seconds"),
    "history has numbers": put(5, "state", "history", "noisy"),
    "another shape": each("networks", lambda values: torch.zeros(3)),
    "NaN weights": each("networks", lambda values: values * NAN if values.is_floating_point() else values),
    "no slots": content(lambda saved: saved["state"]["optimizer"]["state"].clear()),
    "other slots": content(lambda saved: [one.update(square_avg=torch.zeros(2), acc_delta=torch.zeros(2))
                                          for one in saved["state"]["optimizer"]["state"].values()]),
}  # fmt: skip
TINY = ["train_size=40", "validation_size=20", "test_size=20", "widths=2,3,4", "batch_size=10", "epochs=4",
        "corruption_rates=0.5"]  # fmt: skip
TINY = [f"--set={change}" for change in TINY]


@pytest.fixture(scope="module")
def begun(tmp_path_factory):
    """A folder with a training of Figure 1 that was interrupted after its second epoch."""
    folder, original = tmp_path_factory.mktemp("begun"), training.train_epoch

    def interrupted(step, labels, epoch, *rest):
        if epoch == 3:
            raise KeyboardInterrupt
        original(step, labels, epoch, *rest)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setattr(training, "train_epoch", interrupted)
        patch.setattr(store.Checkpoint, "save_when_due", lambda self, state, now=0: self.save(state()))
        config = fig1.Figure1.at("quick", **dict(one.removeprefix("--set=").split("=") for one in TINY))
        sweep.run(fig1.EXPERIMENT, config, "quick", folder, Machine(), jobs=1)
    (path,) = folder.glob("parts/*/training.pt")
    assert torch.load(path, weights_only=True)["state"]["epoch"] == 2
    return folder


@pytest.mark.parametrize("kind", [*BYTES, *STATES])
def test_a_damaged_checkpoint_is_named_in_one_line_and_may_be_deleted(tmp_path, begun, command, blank, kind):
    out = tmp_path / "out"
    shutil.copytree(begun, out)
    (path,) = out.glob("parts/*/training.pt")
    (BYTES | STATES)[kind](path)
    code, lines = command("fig1", *TINY, "--out", out)
    if kind in ("no slots", "seconds are NaN"):
        assert code == 0
        return
    assert code == 2 and len(lines) == 1 and str(path.parent) in lines[0], lines
    shutil.rmtree(path.parent)
    assert command("fig1", *TINY, "--out", out) == (0, [])


@pytest.mark.parametrize(("epoch", "error", "blamed"), [
    (3, RuntimeError, True), (4, RuntimeError, False), (3, torch.OutOfMemoryError, False),
])  # fmt: skip
def test_a_state_from_which_a_run_went_on_is_not_blamed(tmp_path, begun, command, monkeypatch, epoch, error, blamed):
    """Nobody is told to delete the work of hours because memory ran out, or the loss became infinite."""
    out, original = tmp_path / "out", training.train_epoch
    shutil.copytree(begun, out)

    def fails(step, labels, now, *rest):
        if now == epoch:
            raise error("something else")
        original(step, labels, now, *rest)

    monkeypatch.setattr(training, "train_epoch", fails)
    code, (line,) = command("fig1", *TINY, "--out", out)
    assert code == 2 and "something else" in line and ("delete it" in line) == blamed


def result(change):
    """A file like a result, changed."""

    def make(path, whole):
        changed = json.loads(json.dumps(whole))
        change(changed)
        path.write_text(json.dumps(changed))

    return make


FOREIGN = {
    "notes": lambda path, whole: path.write_text("my notes"),
    "a list": lambda path, whole: path.write_text("[1, 2]"),
    "empty": lambda path, whole: path.write_bytes(b""),
    "truncated": lambda path, whole: path.write_text(json.dumps(whole)[:-5]),
    "directory": lambda path, whole: path.mkdir(),
    "a newer schema": result(lambda c: c.update(schema="earlystop result, version 2")),
    **{f"no {key}": result(lambda c, key=key: c.pop(key)) for key in results.RESULT},
    "scale is a word": result(lambda c: c.update(scale="huge")),
    "NaN": result(lambda c: c["cells"][0]["error"].__setitem__(0, NAN)),
    "words for numbers": result(lambda c: c["cells"][0]["error"].__setitem__(0, "0.5")),
    "cells are numbers": result(lambda c: c.update(cells=[1])),
    "a cell of no run": result(lambda c: c["cells"][0].update(run=7)),
    "a run without seconds": result(lambda c: c["runs"][0].pop("seconds")),
    "a run of no cells": result(lambda c: c["runs"][0].update(cells=0)),
    "a commit in words": result(lambda c: c["runs"][0].update(commit="abc")),
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("name", ["toy-backup.json", "toy-quick.json"])
def test_what_is_no_result_is_passed_over_with_a_warning_and_left_as_it_is(tmp_path, toy, command, blank, kind, name):
    assert command(TOY, "--out", tmp_path / "whole") == (0, [])
    whole, path = read_json(tmp_path / "whole" / "toy-quick.json"), tmp_path / "out" / name
    path.parent.mkdir()
    FOREIGN[kind](path, whole)
    before = path.is_dir() or path.read_bytes()
    code, lines = command(TOY, "--out", path.parent)
    assert code == 0 and len(lines) == 1, lines
    assert lines[0].startswith(f"warning: passed over, no result of toy: {path}") or f"cannot read {path}" in lines[0]
    assert ": delete" not in lines[0] and (path.is_dir() or path.read_bytes()) == before
    with pytest.warns(UserWarning, match="passed over, no result of toy"):
        found = load("toy", path.parent)
    assert found.path != path and found["cells"] == whole["cells"]


def test_a_result_whose_cells_lack_a_newer_curve_says_so(tmp_path, toy, command):
    command(TOY, "--out", tmp_path)
    path = tmp_path / "toy-quick.json"
    old = read_json(path)
    write_json(path, old | {"cells": [old["cells"][0], {k: v for k, v in old["cells"][1].items() if k != "error"}]})
    assert load("toy", tmp_path)["cells"][0] == old["cells"][0]
    with pytest.raises(store.StoreError, match="toy-quick.json has no 'error' for 1 of its cells"):
        load("toy", tmp_path).numbers("error")


# ------------------------------------------------------------------------ several commands, and their ends


@pytest.mark.parametrize("groups", [(1, 1), (1, 3)])
def test_two_sweeps_in_one_folder_end_well_with_the_numbers_of_one_alone(tmp_path, toy, command, groups):
    options = ["--seeds=3", "--set=steps=300", "--save-every=0", "--jobs=1"]
    both = [start(tmp_path, *options, f"--together={size}") for size in groups]
    said = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert not any(errors for _, errors in said)
    assert command(TOY, *options, "--out", tmp_path / "alone") == (0, [])
    for path in tmp_path.glob("toy-*.json"):
        for one, other in zip(read_json(path)["cells"], load("toy", tmp_path / "alone")["cells"], strict=True):
            assert one["error"] == pytest.approx(other["error"], rel=1e-5)  # batches round otherwise
    assert len(list(tmp_path.glob("parts/toy-*.pt"))) == 6
    assert not list(tmp_path.glob("parts/*.checkpoint")) and not list(tmp_path.rglob("*.part"))


KILLED = """
import os, random, signal, sys, time
from pathlib import Path
from types import SimpleNamespace
import torch
torch.set_num_threads(1)
from earlystop.runs import store, sweep
from earlystop.runs.experiment import find
from earlystop.runs.machine import Machine

store.time = SimpleNamespace(monotonic=lambda: 0.0, time=time.time)  # saved each step
sweep.record = lambda one: {"numbers": {}}
toy, wanted, folder, chance = find(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), random.Random(0)
config = toy.config.at("quick", steps=40, seeds=2)

def start(out):
    child = os.fork()
    if child == 0:
        status = 1
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            sweep.run(toy, config, "quick", out, Machine(), jobs=1, save_every=0)
            status = 0
        finally:
            os._exit(status)
    return child

def cells(out):
    return store.read_json(out / "toy-quick.json")["cells"]

begin = time.monotonic()
assert os.waitpid(start(folder / "whole"), 0)[1] == 0
whole = time.monotonic() - begin
kills = resumed = sweeps = 0
finished = {}
while True:
    out = folder / str(sweeps)
    child = start(out)
    if kills < wanted:
        time.sleep(chance.uniform(0, 0.6 * whole))
        os.kill(child, (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)[kills % 3])
    _, status = os.waitpid(child, 0)
    now = {path: path.stat().st_mtime_ns for path in (out / "parts").glob("toy-*.pt")}
    assert all(now.get(path) == age for path, age in finished.items()), "a finished cell was lost or computed again"
    finished = now
    if status:
        assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 1
        kills += 1
        resumed += any((out / "parts").glob("*.checkpoint/training.pt"))
        continue
    assert cells(out) == cells(folder / "whole"), "other numbers"
    assert not list(out.rglob("*.checkpoint"))
    if kills >= wanted:
        break
    sweeps, finished = sweeps + 1, {}
print("\\n", kills, resumed)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("kills", [5, pytest.param(20, marks=pytest.mark.leg)])
def test_a_run_killed_again_and_again_ends_with_the_same_numbers(tmp_path, kills):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, TOY, str(kills), tmp_path], env=ENVIRONMENT, capture_output=True, text=True
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    killed, resumed = map(int, done.stdout.splitlines()[-1].split())
    assert killed == kills and resumed >= kills / 4  # many of them in the midst of a training


@posix
@pytest.mark.leg
def test_two_processes_killed_six_times_end_with_the_same_numbers(tmp_path, toy, command):
    options, chance = ["--set=steps=60000", "--seeds=2", "--save-every=0"], random.Random(0)
    assert command(TOY, *options, "--out", tmp_path / "alone") == (0, [])
    finished, kills = {}, 0
    while kills < 6:  # twice by each signal
        process = start(tmp_path / "out", *options, "--jobs=2", start_new_session=True)
        begun = [path.stat().st_mtime_ns for path in tmp_path.glob("out/parts/*/training.pt")]
        while process.poll() is None and begun == [
            path.stat().st_mtime_ns for path in tmp_path.glob("out/parts/*/training.pt") if path.exists()
        ]:
            time.sleep(0.02)  # until it is at work
        try:
            process.wait(chance.uniform(0, 1))
        except subprocess.TimeoutExpired:
            process.send_signal((signal.SIGKILL, signal.SIGTERM, signal.SIGINT)[kills % 3])
        errors = process.communicate(timeout=60)[1]
        assert "Error" not in errors, errors
        now = {path: path.stat().st_mtime_ns for path in tmp_path.glob("out/parts/toy-*.pt")}
        assert all(now.get(path) == age for path, age in finished.items())
        kills, finished = kills + (process.returncode != 0), now
        if process.returncode == 0:
            assert load("toy", tmp_path / "out")["cells"] == load("toy", tmp_path / "alone")["cells"]
            shutil.rmtree(tmp_path / "out")
            finished = {}
    assert start(tmp_path / "out", *options, "--jobs=2").wait(300) == 0
    assert load("toy", tmp_path / "out")["cells"] == load("toy", tmp_path / "alone")["cells"]


@posix
@pytest.mark.parametrize(
    ("number", "jobs"),
    [("SIGINT", 1), *(pytest.param(number, 2, marks=pytest.mark.leg) for number in ("SIGINT", "SIGKILL"))],
)
def test_an_ended_command_leaves_no_process_and_whole_checkpoints(tmp_path, number, jobs):
    process = start(tmp_path, "--set=steps=10000000", f"--jobs={jobs}", "--save-every=0", start_new_session=True)
    deadline, workers = time.monotonic() + 120, []
    try:
        while len(list(tmp_path.glob("parts/*/training.pt"))) < jobs:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        workers = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGINT) if number == "SIGINT" else process.kill()
        errors = process.communicate(timeout=60)[1].strip().splitlines()
    finally:
        process.kill()
        _, alive = psutil.wait_procs(workers, timeout=30)
        for one in alive:  # the test failed: leave nothing behind
            one.kill()
    assert not alive and bool(workers) == (jobs > 1)
    if number == "SIGINT":  # several processes may have their interpreter warn of a semaphore that it cleans up
        assert process.returncode == 130 and errors[0] == __main__.LAST
        assert len(errors) == 1 if jobs == 1 else not any("Traceback" in line for line in errors)
    saved = list(tmp_path.glob("parts/*/training.pt"))
    assert len(saved) == jobs and not list(tmp_path.glob("toy*"))
    assert all(store.read_state(path)["state"]["errors"] for path in saved)


@pytest.mark.parametrize(("allowed", "cells", "checkpoints"), [(1, 0, 0), (2, 0, 0), (3, 0, 1), (4, 1, 0)])
def test_a_full_disk_is_told_in_one_line_and_what_is_finished_stays(
    tmp_path, monkeypatch, toy, command, allowed, cells, checkpoints
):
    """Full after the trial of the folder, the list of cells, a checkpoint, and a cell."""
    writes = []

    def full(number):
        writes.append(number)
        if len(writes) > allowed:
            raise OSError(28, "No space left on device")

    options = ["--set=steps=3", "--save-every=0", "--out", tmp_path]
    monkeypatch.setattr(store.Checkpoint, "save_when_due", lambda self, s: len(s()["errors"]) == 3 and self.save(s()))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        code, (line,) = command(TOY, *options)
    assert code == 2 and re.match("error: cannot write .*No space left on device.*free some space", line)
    assert len(list(tmp_path.glob("parts/toy-*.pt"))) == cells and not list(tmp_path.rglob("*.part"))
    assert len(list(tmp_path.glob("parts/*/training.pt"))) == checkpoints
    assert command(TOY, *options) == (0, []) and not list(tmp_path.glob("parts/*.checkpoint"))


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of 1 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder], capture_output=True).returncode:
        pytest.skip("needs the right to mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_disk_that_fills_up_is_told_in_one_line_and_nothing_finished_is_lost(small_disk, toy, command):
    assert command(TOY, "--out", small_disk) == (0, [])
    with (small_disk / "ballast").open("wb", buffering=0) as file:
        while file.write(bytes(4096)) == 4096:
            if os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_bsize <= 16_384:
                break
    output, errors = start(small_disk, "--seeds=5", "--jobs=1").communicate(timeout=120)
    assert "2 of 10 cells are finished" in output and errors.startswith("error: cannot write ")
    assert errors.count("\n") == 1 and "No space left on device" in errors and "free some space" in errors
    finished = {path: path.read_bytes() for path in small_disk.glob("parts/toy-*.pt")}
    assert 2 < len(finished) < 10 and not list(small_disk.rglob("*.part"))
    (small_disk / "ballast").unlink()
    output, errors = start(small_disk, "--seeds=5", "--jobs=1").communicate(timeout=120)
    assert errors == "" and f"{len(finished)} of 10 cells are finished" in output
    assert all(path.read_bytes() == data for path, data in finished.items())


# ------------------------------------------------------------------------ an experiment of one's own


def test_an_experiment_outside_the_package_is_computed_drawn_and_read(tmp_path, toy):
    """By two processes, from a file that anybody may write."""
    file = tmp_path / "mine" / "toy.py"
    file.parent.mkdir()
    shutil.copy(TOY, file)
    output, errors = start(tmp_path, "--seeds=2", "--jobs=2", file=file).communicate(timeout=300)
    lines = output.splitlines()
    assert errors == "" and lines[0] == toy.title and lines[1] == "quick seeds=2 on cpu, float32"
    assert "0 of 4 cells are finished, 4 to go" in lines and any(" after " in line for line in lines)
    assert Path(lines[-1]) == tmp_path / "toy-quick-seeds_2.svg" and "flipped" in Path(lines[-1]).read_text()
    result = load("toy", tmp_path)
    assert result.numbers("error", corruption_rate=0.3).shape == (2, 30) and result.stale == []
    other = result.content | {"fingerprint": {"numbers": {"two runs": {"error": [1.0]}}}}
    (stale,) = results.Result(result.path, other).stale
    assert stale.startswith("toy, two runs: error 1 → 0.")
    assert "--scale quick --set seeds=2" in results.credit(result)


OWN = """
import torch
from dataclasses import replace
from torch import nn
from earlystop.figures import fig1, splits
from earlystop.runs.experiment import register
from earlystop.training import LOSSES, evaluate_stack

def absolute(outputs, labels):
    return (outputs - nn.functional.one_hot(labels, 10)).abs().sum(dim=-1)

LOSSES["absolute"] = absolute

def network(shape, seed):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(shape.numel(), 8), nn.ReLU(), nn.Linear(8, 10))

def runs(config, cells, checkpoint, machine):
    data = splits.SplitStack(config, cells, machine, config.validation_size, config.test_size)
    stack = data.stack(lambda seed: network(torch.Size(data.image_shape), seed))
    loss = LOSSES[cells[0]["loss"]]
    def measure():
        return splits.fit(loss, noisy=(evaluate_stack(stack, data.images("train")), data.given()))
    history = data.train(stack, measure, checkpoint, loss=loss)
    return [splits.run_curves(history, run) for run in range(len(cells))]

EXPERIMENT = register(replace(fig1.EXPERIMENT, name="own", title="Two layers", runs=runs, draw={}, paths={}))
"""


def test_a_loss_and_an_architecture_of_ones_own_come_through_the_same_door(tmp_path, toy, command):
    (tmp_path / "own_network.py").write_text(OWN)
    sizes = [*TINY[:3], "--set=batch_size=10", "--set=epochs=5"]
    options = [*sizes, "--set=losses=absolute,least_squares", "--set=corruption_rates=0.2", "--out", tmp_path]
    assert command(tmp_path / "own_network.py", *options, "--together=2") == (0, [])
    first, other = load("own", tmp_path)["cells"]
    assert first["loss"] == "absolute" and first["noisy_loss"][-1] < first["noisy_loss"][0] != other["noisy_loss"][0]
    assert command("fig1", "--set=losses=absolute", *TINY, "--out", tmp_path) == (0, [])  # as fig1's network can


@pytest.mark.parametrize("text", ["", "EXPERIMENT = 1"])
def test_a_file_without_an_experiment_and_one_with_a_taken_name_are_refused(tmp_path, toy, command, text):
    (tmp_path / "empty.py").write_text(text)
    sys.modules.pop("empty", None)
    code, (line,) = command(tmp_path / "empty.py")
    assert code == 2 and "empty.py has no EXPERIMENT" in line
    (tmp_path / "toy.py").write_text("")  # the name of a module that is there already
    code, (line,) = command(tmp_path / "toy.py")
    assert code == 2 and "the name of another module" in line
    with pytest.raises(ValueError, match="'fig1' already .*choose another name"):
        experiment.register(replace(toy, name="fig1"))
