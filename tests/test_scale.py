"""The one switch for how large an experiment is, and how a page speaks."""

import os
import re
import subprocess
import sys
from dataclasses import FrozenInstanceError, dataclass, fields
from pathlib import Path

import pytest
import torch

from earlystop import page
from earlystop.figures import EXPERIMENTS, bench, league
from earlystop.runs.machine import here
from earlystop.runs.sizes import SCALES, Sized, current_scale, parse_scale, scale_text, sizes


@dataclass(frozen=True)
class Sizes(Sized):
    count: int = sizes(1, 20, 3000, "how many")
    rate: float = sizes(0.5, 0.25, 0.125, "how fast")
    levels: tuple = sizes((0.1, 0.2), (0.3,), (0.4, 0.5, 0.6), "levels")
    data: str = sizes("toy", "real", "real", "data")


@dataclass(frozen=True)
class OtherSizes(Sized):
    other: int = sizes(1, 2, 3, "a size that only this experiment has")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("quick", ("quick", {})),
        ("  paper ", ("paper", {})),
        ("colab train_size=2000 epochs=3", ("colab", {"train_size": "2000", "epochs": "3"})),
        ("quick widths=8,16,32", ("quick", {"widths": "8,16,32"})),
        ("quick path=a=b", ("quick", {"path": "a=b"})),
    ],
)
def test_a_scale_is_split_into_its_name_and_changes(text, expected):
    assert parse_scale(text) == expected


@pytest.mark.parametrize(
    ("text", "culprit"),
    [
        ("", "''"),
        ("Quick", "'Quick'"),
        ("large", "'large'"),
        ("epochs=3", "'epochs=3'"),
        ("quick epochs", "'epochs'"),
        ("quick epochs = 3", "'epochs'"),
    ],
)
def test_a_bad_scale_is_refused_with_what_is_wrong_in_it(text, culprit):
    with pytest.raises(ValueError, match=f"{culprit} (is unknown|should read)"):
        parse_scale(text)


@pytest.mark.parametrize("scale", SCALES)
def test_a_configuration_has_the_values_of_its_scale(scale):
    expected = {
        "quick": (1, 0.5, (0.1, 0.2), "toy"),
        "colab": (20, 0.25, (0.3,), "real"),
        "paper": (3000, 0.125, (0.4, 0.5, 0.6), "real"),
    }
    assert tuple(vars(Sizes.at(scale)).values()) == expected[scale]


def test_the_switch_sets_scale_and_sizes(monkeypatch):
    monkeypatch.setenv("EARLYSTOP_SCALE", " paper count=7 rate=1e-3 levels=0.5,1,2 other=9 ")
    assert current_scale() == "paper"
    assert Sizes.at() == Sizes(count=7, rate=0.001, levels=(0.5, 1.0, 2.0), data="real")
    assert all(isinstance(level, float) for level in Sizes.at().levels)
    # An explicit scale is that scale, whatever the switch says.
    assert Sizes.at("quick").count == 1


def test_a_size_of_a_class_that_is_derived_from_another_one_is_known(monkeypatch):
    monkeypatch.setenv("EARLYSTOP_SCALE", "quick tuning_seeds=3")
    assert league.League.at().tuning_seeds == 3 and Sizes.at().count == 1


def test_a_size_that_no_experiment_has_is_refused(monkeypatch):
    monkeypatch.setenv("EARLYSTOP_SCALE", "quick cuont=7")
    with pytest.raises(ValueError, match="no experiment has a size 'cuont'"):
        Sizes.at()


def test_changes_in_code_win_over_the_switch(monkeypatch):
    monkeypatch.setenv("EARLYSTOP_SCALE", "colab count=7 data=other")
    assert Sizes.at(count=8) == Sizes(count=8, rate=0.25, levels=(0.3,), data="other")
    assert Sizes.at("quick count=2", levels=(1.0,)) == Sizes(2, 0.5, (1.0,), "toy")


@pytest.mark.parametrize("change", ["count=many", "count=2.5", "rate=fast", "levels=0.1,x", "levels="])
def test_a_size_of_the_wrong_type_is_refused(monkeypatch, change):
    monkeypatch.setenv("EARLYSTOP_SCALE", f"quick {change}")
    key, text = change.split("=")
    with pytest.raises(ValueError, match=f"{key}={text!r} should look like"):
        Sizes.at()


def test_an_unknown_size_in_code_is_refused_with_the_known_ones():
    message = "Sizes has no size 'counts'; it has count, rate, levels, data"
    with pytest.raises(ValueError, match=message):
        Sizes.at("quick", counts=3)


def test_an_unknown_scale_is_refused():
    with pytest.raises(ValueError, match="'huge' is unknown, use one of quick, colab, paper"):
        Sizes.at("huge")


def test_the_default_scale_depends_on_the_gpu_alone(monkeypatch):
    for text in (None, "", "  "):
        monkeypatch.delenv("EARLYSTOP_SCALE", raising=False)
        if text is not None:
            monkeypatch.setenv("EARLYSTOP_SCALE", text)
        for gpu, expected in ((False, "quick"), (True, "colab")):
            monkeypatch.setattr(torch.cuda, "is_available", lambda gpu=gpu: gpu)
            assert scale_text() == current_scale() == expected


@pytest.mark.parametrize(
    ("asked", "cuda", "mps", "expected", "computes_in"),
    [
        ("", True, True, "cuda", "bfloat16"),
        ("auto", True, False, "cuda", "bfloat16"),
        ("", False, True, "cpu", "float32"),
        ("auto", False, False, "cpu", "float32"),
        ("cpu", True, True, "cpu", "float32"),
        ("mps", True, True, "mps", "float32"),
        ("cuda", True, False, "cuda", "bfloat16"),
        ("cuda", False, True, "this machine has no device 'cuda': use --device cpu", None),
        ("mps", True, False, "this machine has no device 'mps': use --device cpu", None),
        ("gpu", True, True, "device 'gpu' is unknown, use one of auto, cpu", None),
    ],
)
def test_the_device_is_the_one_asked_for_or_a_gpu_if_there_is_one(monkeypatch, asked, cuda, mps, expected, computes_in):
    monkeypatch.setenv("EARLYSTOP_DEVICE", asked)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (9, 0))
    if computes_in is None:
        with pytest.raises(ValueError, match=expected):
            here()
    else:
        assert (here().device, here().precision) == (expected, computes_in)


@pytest.mark.parametrize(
    ("capability", "expected"), [((7, 0), "float32"), ((7, 5), "float32"), ((8, 0), "bfloat16"), ((12, 0), "bfloat16")]
)
def test_a_gpu_before_ampere_computes_in_float32(monkeypatch, capability, expected):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)
    assert here().precision == expected


def test_the_precision_is_the_one_asked_for(monkeypatch):
    for asked in ("float32", "bfloat16"):
        monkeypatch.setenv("EARLYSTOP_PRECISION", asked)
        assert here().precision == asked
    monkeypatch.setenv("EARLYSTOP_PRECISION", "float16")
    with pytest.raises(ValueError, match="precision 'float16' is unknown, use one of auto"):
        here()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(seeds=0), "seeds is 0, should be 1 or more"),
        (dict(batch_size=-1), "batch_size is -1, should be 1 or more"),
        (dict(epochs=-1), "epochs is -1, should be 0 or more"),
        (dict(corruption_rates=(0.5, 1.5)), "corruption_rates is 1.5, should be between 0 and 1"),
        (dict(corruption_rates=(0.5, -0.5)), "corruption_rates is -0.5, should be between 0 and 1"),
        (dict(widths=(2, -3, 4)), "widths is -3, should be 1 or more"),
        (dict(widths=(2, 3)), r"widths is \(2, 3\), should be 3 numbers, as \(64, 128, 256\)"),
        (dict(epochs=float("inf")), "epochs is inf, should be finite"),
        (dict(corruption_rates=(0.5, float("nan"))), "corruption_rates is nan, should be between 0 and 1"),
        (dict(corruption_rates=(0.3, 0.3000001)), r"name each only once \(numbers count to 6 digits\)"),
        (dict(losses=("least_squares", "hinge")), "losses has 'hinge', should be of least_squares, cross_entropy"),
        (dict(data="imagenet"), "data set 'imagenet' is unknown, use one of digits, mnist"),
    ],
)
def test_a_size_out_of_its_range_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        EXPERIMENTS["fig1"].config.at("quick", **change)


def test_rates_that_differ_in_a_file_are_two():
    assert len(EXPERIMENTS["fig1"].config.at("quick", corruption_rates=(0.3, 0.300001)).corruption_rates) == 2


CONFIGS = [kind for one in Sized.__subclasses__() for kind in (one, *one.__subclasses__())]
CONFIGS = [kind for kind in CONFIGS if kind.__module__.startswith("earlystop.")]


def test_every_figure_has_a_configuration():
    shared = {bench.Bench}  # by rooms whose own sizes come on top
    assert {experiment.config for experiment in EXPERIMENTS.values()} == set(CONFIGS) - shared


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.__name__)
def test_every_size_of_an_experiment_is_known_at_three_scales(config):
    assert config.fields().keys() == {field.name for field in fields(config)}
    for key, size in config.fields().items():
        assert size.at.keys() == set(SCALES) and size.doc
        assert len({type(value) for value in size.at.values()}) == 1
        assert [getattr(config.at(scale), key) for scale in SCALES] == [*size.at.values()]
    with pytest.raises(FrozenInstanceError):
        config.at("quick").seeds = 1


# ------------------------------------------------------------------------ pages


@pytest.fixture
def shown(monkeypatch):
    texts = []
    monkeypatch.setattr("IPython.display.display", lambda markdown: texts.append(markdown.data))
    return texts


def test_a_table_is_markdown_with_short_numbers_at_the_right(shown):
    page.table(["a", "b", "c"], [[0.123456, 50_000, "≤ 3"], [(0.25, 3), True, "**−1**"], ["text", 1e-9, "∞"]])
    assert shown[0].splitlines() == [
        "| a | b | c |",
        "| --- | --- | ---: |",
        "| 0.123 | 50,000 | ≤ 3 |",
        "| 0.25, 3 | True | **−1** |",
        "| text | 1e-09 | ∞ |",
    ]


def test_the_caption_of_a_table_stands_before_it(shown):
    page.table(["a"], [[1]], "How many.")
    assert shown[0].splitlines() == ["Table: How many.", "", "| a |", "| ---: |", "| 1 |"]


@pytest.mark.parametrize("text", ["", "\n"])
def test_an_empty_text_is_not_said(shown, text):
    with pytest.raises(ValueError, match="there is nothing to say: the text is empty"):
        page.say(text)
    assert not shown


@pytest.mark.parametrize("name", ["", " "])
def test_every_column_of_a_table_has_a_name(shown, name):
    with pytest.raises(ValueError, match="every column of a table needs a name, but they are"):
        page.table(["a", name], [[1, 2]])
    assert not shown


def test_a_row_has_as_many_cells_as_there_are_columns(shown):
    with pytest.raises(ValueError, match="a row of 1 cells, where the header has 2"):
        page.table(["a", "b"], [[1, 2], [3]])
    assert not shown


@pytest.mark.parametrize("scale", SCALES)
def test_the_sizes_are_shown_with_the_current_scale_in_bold(shown, monkeypatch, scale):
    monkeypatch.setenv("EARLYSTOP_SCALE", f"{scale} epochs=3")
    page.show_sizes(Sizes)
    header, _, first, *rest = shown[0].splitlines()
    assert re.findall(r"\*\*(.+?)\*\*", header) == [scale]
    bold = {"quick": "1", "colab": "20", "paper": "3,000"}[scale]
    assert re.findall(r"\*\*(.+?)\*\*", first) == [bold]
    assert first.replace("*", "") == "| how many | 1 | 20 | 3,000 |" and len(rest) == 3


@pytest.mark.parametrize(("value", "text"), [(999.4, "999"), (1000.0, "1,000"), (9.9e8, "990,000,000"), (1e9, "1e+09")])
def test_a_large_number_is_written_out_up_to_a_billion(shown, value, text):
    page.table(["a"], [[value], [-value], [torch.tensor(value, dtype=torch.float64)]])
    assert shown[0].splitlines()[2:] == [f"| {text} |", f"| -{text} |", f"| {text} |"]


def test_sliders_are_there_only_where_somebody_watches(monkeypatch):
    moved = []
    monkeypatch.setattr("ipywidgets.interact", lambda draw, **sliders: moved.append((draw, sliders)))
    for switch, count in (("1", 0), ("0", 1)):
        monkeypatch.setenv("TQDM_DISABLE", switch)
        page.explore(print, x=(0, 1))
        assert moved == [(print, {"x": (0, 1)})] * count


def test_progress_returns_every_item_and_is_silent_when_told(monkeypatch, capsys):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    assert list(page.progress(range(5), "counting")) == list(range(5))
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


def test_saying_shows_markdown(shown):
    page.say("the error is **0**")
    assert shown == ["the error is **0**"]


LARGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage/enabled")
PAGE_FAULTS = """
import resource, torch, earlystop
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    torch.ones(10_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(
    not LARGE_PAGES.exists() or "[madvise]" not in LARGE_PAGES.read_text(),
    reason="this system has no large pages for those who ask",
)
def test_large_arrays_lie_in_large_pages_unless_that_is_turned_off():
    def faults(**switch):
        environment = {k: v for k, v in os.environ.items() if k != "THP_MEM_ALLOC_ENABLE"}
        done = subprocess.run(
            [sys.executable, "-c", PAGE_FAULTS],
            env=environment | switch, capture_output=True, check=True, timeout=60,
        )  # fmt: skip
        return int(done.stdout)

    assert faults() < faults(THP_MEM_ALLOC_ENABLE="0") / 2  # seen: a seventeenth, on a busy machine
