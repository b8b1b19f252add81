"""A notebook's first cell in all its branches, its table of times, and runs that are kept."""

import json
import math
import sys
from dataclasses import replace
from importlib import util
from importlib.metadata import version
from pathlib import Path

import chapters
import pairs
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

import earlystop
from earlystop import start, training
from earlystop.figures import EXPERIMENTS, fig1, fig4ab
from earlystop.runs import sweep
from earlystop.runs.machine import Machine, results_folder
from earlystop.runs.store import Checkpoint, StoreError

ROOT = Path(__file__).resolve().parents[1]

ADDRESS = "earlystop @ git+https://example.org/o/r@v0.1.0"
NAMES = sorted(path.stem for path in (ROOT / "book").glob("[0-9]*.md"))


@pytest.fixture(autouse=True)
def plain_machine(monkeypatch, tmp_path):
    """A CPU, no drive, nothing set."""
    monkeypatch.setattr(start, "DRIVE", tmp_path / "content" / "drive" / "MyDrive")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for name in ("EARLYSTOP_RESULTS", "EARLYSTOP_SCALE"):
        monkeypatch.setenv(name, "")  # so that what a first cell sets is undone
        monkeypatch.delenv(name)


# ---------------------------------------------------------------------------------- the cell


@pytest.fixture
def first_cell(monkeypatch, capsys, tmp_path):
    """Run a first cell as IPython does: what pip was asked for, what was printed, the error."""
    quiet = Config({"HistoryManager": {"enabled": False}})

    def run(package: str, installed: bool, network: bool = True, old: bool = False):
        asked, real = [], util.find_spec
        monkeypatch.setattr(util, "find_spec", lambda name: real(name) if installed or name != "earlystop" else None)
        if old or not installed:
            monkeypatch.setitem(sys.modules, "earlystop.start", None)

        def pip(line):
            asked.append(line)
            if network:
                monkeypatch.setitem(sys.modules, "earlystop.start", start)

        shell = InteractiveShell(config=quiet, ipython_dir=str(tmp_path))
        shell.register_magic_function(pip, magic_name="pip")
        error = shell.run_cell(pairs.install_cell("04_mnist", package).source).error_in_exec
        return asked, capsys.readouterr().out, error

    return run


@pytest.mark.parametrize("package", ["", ADDRESS])
def test_the_first_cell_installs_nothing_where_the_package_is(first_cell, package):
    asked, printed, error = first_cell(package, installed=True)
    assert (asked, error) == ([], None)
    assert "scale quick" in printed and len(printed.splitlines()) == 2


def test_a_missing_package_is_installed_and_torch_and_numpy_are_nailed_down(first_cell):
    asked, printed, error = first_cell(ADDRESS, installed=False)
    stay = " ".join(f"{name}=={version(name)}" for name in ("torch", "numpy"))
    assert asked == [f'install -q "{ADDRESS}" {stay}']
    assert error is None and "scale quick" in printed


def test_offline_the_first_cell_says_what_to_do(first_cell):
    _, _, error = first_cell(ADDRESS, installed=False, network=False)
    assert isinstance(error, ImportError) and "\n" not in str(error)
    assert "switch the network on" in str(error) and "restart the kernel" in str(error)


def test_without_an_address_the_first_cell_says_what_to_do(first_cell):
    asked, _, error = first_cell("", installed=False)
    assert asked == [] and isinstance(error, ImportError) and "\n" not in str(error)
    assert "run `pip install .` with this kernel's Python" in str(error)


@pytest.mark.parametrize(
    ("package", "advice"), [("", "run `pip install .` with"), (ADDRESS, f"run `%pip install '{ADDRESS}'`")]
)
def test_an_old_copy_without_a_start_is_named_in_one_line(first_cell, package, advice):
    asked, printed, error = first_cell(package, installed=True, old=True)
    assert asked == [] and ", scale " not in printed and isinstance(error, ImportError) and "\n" not in str(error)
    assert "is an old copy" in str(error) and advice in str(error)


def test_the_first_cells_differ_in_the_chapter_alone():
    first, *others = (pairs.install_cell(name, ADDRESS).source.splitlines() for name in NAMES)
    assert all(other[:-1] == first[:-1] for other in others) and len(first) <= 11
    assert first[-1] == f'earlystop.start.chapter("{NAMES[0]}", "{earlystop.__version__}")'


# ------------------------------------------------------------------------------ what it prints


def on_gpu(monkeypatch, name, capability):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: name)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)


@pytest.mark.parametrize(
    ("gpu", "capability", "precision", "nearest"),
    [
        ("Tesla T4", (7, 5), "float32", "a T4 GPU"),
        ("NVIDIA L4", (8, 9), "bfloat16", "a T4 GPU"),
        ("NVIDIA H100 80GB HBM3", (9, 0), "bfloat16", "an H100 GPU"),
    ],
)
def test_a_gpu_gets_the_scale_precision_and_time_that_are_for_it(
    monkeypatch, capsys, gpu, capability, precision, nearest
):
    on_gpu(monkeypatch, gpu, capability)
    start.chapter("05_cifar10", earlystop.__version__)
    line = capsys.readouterr().out.splitlines()[0]
    minutes = start.times()["minutes"]["05_cifar10"]["colab"][nearest]
    assert line.startswith(f"{gpu}, {precision}, scale colab: ")
    assert line.endswith(f"{start.duration(60 * minutes)} on {nearest} (estimated).")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("quick", "on one CPU core (measured)."),
        ("quick epochs=3", "on one CPU core (measured), with other sizes."),
        ("paper", "this scale is made for a GPU, and was not timed without one."),
    ],
)
def test_a_cpu_is_told_what_to_expect_of_a_scale(monkeypatch, capsys, text, said):
    monkeypatch.setenv("EARLYSTOP_SCALE", text)
    start.chapter("04_mnist", earlystop.__version__)
    line = capsys.readouterr().out.splitlines()[0]
    assert f"scale {text}: " in line and line.endswith(said)


def test_a_package_of_another_version_is_named(capsys):
    start.chapter("04_mnist", "0.0.9")
    line = capsys.readouterr().out.splitlines()[0]
    assert "version 0.0.9" in line and earlystop.__version__ in line and "restart the kernel" in line


def test_a_mounted_drive_keeps_finished_runs_unless_another_folder_is_named(monkeypatch, capsys):
    start.DRIVE.parents[1].mkdir()
    start.chapter("04_mnist", earlystop.__version__)
    assert "drive.mount('/content/drive')" in capsys.readouterr().out
    assert results_folder() is None
    start.DRIVE.mkdir(parents=True)
    start.chapter("04_mnist", earlystop.__version__)
    assert results_folder() == start.DRIVE / "stopping-early"
    assert str(results_folder()) in capsys.readouterr().out
    monkeypatch.setenv("EARLYSTOP_RESULTS", "elsewhere")
    start.chapter("04_mnist", earlystop.__version__)
    assert results_folder() == Path.cwd() / "elsewhere"


# ---------------------------------------------------------------------------- the table of times


@pytest.mark.parametrize("name", NAMES)
def test_the_table_of_times_is_what_its_script_computes(name):
    rows = start.times()["minutes"].get(name)
    if rows is None:
        pytest.xfail(f"{name} was not timed: run python benchmarks/chapters.py")
    quick = rows["quick"]["one CPU core"]  # of two digits, as all in the table
    digit = 10 ** (math.floor(math.log10(quick)) - 1)
    for size in ("colab", "paper"):
        for which, gpu in (("small", "T4"), ("large", "H100")):
            low, high = (60 * (quick + half * digit) for half in (-0.5, 0.5))
            least, most = (chapters.rounded(chapters.minutes(name, size, gpu, rest)) for rest in (low, high))
            assert least <= rows[size][chapters.MACHINES[which]] <= most, (size, gpu)


def test_the_table_of_times_has_no_chapter_that_is_gone():
    table = start.times()
    assert table["minutes"].keys() <= {*NAMES} and table["machines"] == chapters.MACHINES


def test_a_chapter_that_was_not_timed_says_so(capsys):
    start.chapter("99_new", earlystop.__version__)
    assert capsys.readouterr().out.splitlines()[0].endswith(", scale quick: this chapter was not timed yet.")
    assert start.header("99_new") == ""


def test_operations_of_the_networks_are_those_counted_by_hand():
    layers = 26**2 * 64 * 9 + 24**2 * 128 * 64 * 9 + 12**2 * 128 * 256 + 256 * 10
    assert 2 * layers == chapters.CONV
    assert pytest.approx(2 * 40.8e6, rel=0.02) == chapters.RESNET  # 41 million, He et al. 2016


def test_a_page_that_is_no_chapter_has_no_times():
    assert start.header("status") == ""
    rows = start.times()["minutes"]["04_mnist"]
    for size, machine in ((size, f"{kind} GPU") for size in ("colab", "paper") for kind in ("a T4", "an H100")):
        assert f"{start.duration(60 * rows[size][machine])} at <code>{size}</code>" in start.header("04_mnist")
    assert start.header("04_mnist").startswith("Estimated on a T4 GPU: ")


# ------------------------------------------------------------------------------ runs that are kept

SIZES = dict(train_size=40, batch_size=10, epochs=4)
TINY = fig1.Figure1.at("quick", **SIZES, validation_size=20, test_size=20, widths=(2, 3, 4))
TINY_4AB = fig4ab.Figure4ab.at("quick", **SIZES, validation_size=20, test_size=20, width=2)
CELLS = {
    "fig1": (TINY, {"loss": "cross_entropy", "corruption_rate": 0.5, "seed": 0}),
    "fig3": (EXPERIMENTS["fig3"].config.at("quick", **SIZES, widths=(2, 3, 4)), {"corruption_rate": 0.5, "seed": 0}),
    "fig4ab": (TINY_4AB, {"corruption_rate": 0.5, "seed": 0}),
    "fig4c": (EXPERIMENTS["fig4c"].config.at("quick", samples=20, batch_size=10, epochs=2, width=2),
              {"head": "single", "seed": 0}),
}  # fmt: skip


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("EARLYSTOP_RESULTS", str(tmp_path / "drive"))
    monkeypatch.setenv("EARLYSTOP_DEVICE", "cpu")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path / "drive"


def same(one, other):
    """Equal numbers, however they are nested."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return torch.equal(torch.as_tensor(one), torch.as_tensor(other))


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("first", ["chapter", "command"])
def test_a_chapter_uses_what_the_command_computed_and_the_reverse(folder, monkeypatch, name, first):
    """The whole run, with the losses of all samples or the singular values, not what is published of it."""
    (config, cell), experiment = CELLS[name], EXPERIMENTS[name]
    config = replace(config, **{size: (cell[key],) for key, size in experiment.sweep.items() if key != "seed"})
    monkeypatch.setattr(sweep, "record", lambda experiment: {})
    chapter = lambda: experiment.run(config, **cell)
    command = lambda: sweep.run(experiment, config, "quick", folder, Machine(), jobs=1)
    (computed,) = experiment.runs(config, [cell], None, Machine())
    chapter() if first == "chapter" else command()
    ((path, age),) = {path: path.stat().st_mtime_ns for path in folder.rglob("*.pt")}.items()  # no checkpoint stays
    monkeypatch.setattr(training, "train_epoch", None)
    assert same(chapter(), computed)
    assert command().parent == folder and path.stat().st_mtime_ns == age
    monkeypatch.delenv("EARLYSTOP_RESULTS")
    with pytest.raises(TypeError, match="NoneType"):  # without a folder nothing is kept
        chapter()


def test_an_interrupted_run_goes_on_where_it_was(folder, monkeypatch):
    monkeypatch.delenv("EARLYSTOP_RESULTS")
    expected, trained, original = fig1.run(TINY, 0.5), [], training.train_epoch
    monkeypatch.setenv("EARLYSTOP_RESULTS", str(folder))

    def disconnected(step, labels, epoch, *rest):
        trained.append(epoch)
        if trained == [1, 2, 3]:
            raise KeyboardInterrupt
        original(step, labels, epoch, *rest)

    monkeypatch.setattr(training, "train_epoch", disconnected)
    monkeypatch.setattr(Checkpoint, "save_when_due", lambda self, state, now=0: self.save(state()))
    with pytest.raises(KeyboardInterrupt):
        fig1.run(TINY, 0.5)
    assert fig1.run(TINY, 0.5) == expected
    assert trained == [1, 2, 3, 3, 4]


@pytest.mark.parametrize("change", ["rate", "seed", "epochs", "optimizer", "nothing"])
def test_another_run_is_computed_and_kept_apart(folder, change):
    fig4ab.run(TINY_4AB, 0.5)
    config = replace(TINY_4AB, seeds=5, corruption_rates=(0.1, 0.5))  # these only list the runs
    config = replace(config, **{"epochs": {"epochs": 2}, "optimizer": {"optimizer": "momentum"}}.get(change, {}))
    rate, seed = (0.4 if change == "rate" else 0.5), int(change == "seed")
    (computed,) = fig4ab.runs(config, [{"corruption_rate": rate, "seed": seed}], None, Machine())
    assert torch.equal(fig4ab.run(config, rate, seed).losses, computed["losses"])
    assert len(list(folder.rglob("*.pt"))) == 1 + (change != "nothing")


def test_a_damaged_kept_run_is_named_with_what_to_do(folder):
    fig1.run(TINY, 0.5)
    (path,) = folder.rglob("*.pt")
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(StoreError, match=f"{path} is damaged .*: delete it and run again"):
        fig1.run(TINY, 0.5)


def test_a_folder_that_cannot_be_written_is_named(folder):
    folder.write_text("a file")
    with pytest.raises(StoreError, match=f"cannot write {folder}.*EARLYSTOP_RESULTS"):
        fig1.run(TINY, 0.5)


def test_the_table_is_small_and_says_how_it_was_made():
    assert start.MINUTES.stat().st_size < 4000
    content = json.loads(start.MINUTES.read_text())
    assert content["command"] == "python benchmarks/chapters.py" and content["quick measured on"]
