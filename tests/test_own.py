"""Data of one's own: toy tensors, labels as given and a toy network go through the book's experiment unchanged."""

import gzip
import re
import struct
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from torch import nn

import earlystop
from earlystop import own, plots
from earlystop.images import Images, load_images
from earlystop.own import Samples, early_stopping
from earlystop.training import least_squares

DRAW = torch.Generator().manual_seed(0)
TRUE = torch.arange(120) % 3
FEATURES = 3 * torch.eye(5)[TRUE] + torch.randn(120, 5, generator=DRAW)
GIVEN = torch.where(torch.arange(120) % 4 == 0, (TRUE + 1) % 3, TRUE)
IMAGES = (40 * FEATURES.abs()).clamp(max=255).byte()[:, None, None].expand(120, 2, 6, 5)  # two channels, 6 × 5 pixels
TEST = Samples(FEATURES[:30], TRUE[:30])


def features():
    return nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 3))


def images():
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Dropout(), nn.Linear(48, 3))


@pytest.mark.parametrize(("inputs", "network"), [(FEATURES, features), (IMAGES, images), (FEATURES.numpy(), features)])
def test_features_or_images_of_ones_own_are_trained_on_with_labels_as_given(inputs, network):
    data = Samples(inputs, GIVEN.tolist(), TRUE.numpy())
    assert len(data) == 120 and torch.equal(data.wrong, torch.arange(120) % 4 == 0)
    run = early_stopping(data, network, epochs=6, batch_size=20, seeds=2)
    names = {"noisy", "true", "noisy_validation", "validation"}
    assert run.curves.keys() == names | {f"{one}_loss" for one in names}
    assert all(curve.shape == (2, 7) for curve in run.curves.values()) and run.epoch.tolist() == [*range(7)]
    again, other = (early_stopping(data, network, epochs=6, batch_size=20, seeds=n) for n in (2, 1))
    for name, curve in run.curves.items():
        assert torch.equal(curve, again.curves[name])
    assert torch.equal(run.curves["noisy"][:1], other.curves["noisy"])  # a seed more changes no other run
    assert not torch.equal(*run.curves["noisy_loss"])  # two seeds are two networks


def test_the_numbers_are_those_of_a_loop_by_hand():
    data = Samples(FEATURES, GIVEN, TRUE)
    settings = dict(validation=None, test=TEST, epochs=1, batch_size=120, optimizer="sgd", step_size=0.3)
    run = early_stopping(data, features, **settings)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = features()
    X = (FEATURES - FEATURES.mean()) / FEATURES.std()
    targets = nn.functional.one_hot(GIVEN, 3).float()
    for time in (0, 1):
        outputs = model(X)
        value = 0.5 * (outputs - targets).square().sum(dim=1).mean()
        said = outputs.argmax(dim=1)
        assert run.curves["noisy_loss"][0, time].item() == pytest.approx(value.item(), rel=1e-4)
        for name, labels in (("noisy", GIVEN), ("true", TRUE)):
            assert run.curves[name][0, time] == (said == labels).double().mean()
        assert run.curves["test"][0, time] == (said[:30] == TRUE[:30]).double().mean()  # scaled as the training is
        model.zero_grad()
        value.backward()
        with torch.no_grad():
            for weights in model.parameters():
                weights -= 0.3 * weights.grad


def test_no_label_is_drawn_again_or_changed(monkeypatch):
    monkeypatch.setattr(earlystop.data, "redraw_labels", None)
    seen, before = [], GIVEN.clone()

    def loss(outputs, labels):
        seen.append(labels)
        return least_squares(outputs, labels)

    data = Samples(FEATURES, GIVEN)
    early_stopping(data, features, validation=None, epochs=1, batch_size=120, loss=loss)
    trained = seen[1]  # the first look comes before
    assert torch.equal(trained.flatten().bincount(), GIVEN.bincount()) and torch.equal(GIVEN, before)
    assert torch.equal(data.given, GIVEN)


def test_what_is_held_out_is_not_trained_on_and_changes_with_the_seed():
    data = Samples(torch.arange(40.0)[:, None], torch.zeros(40).long())
    seen = []
    for seed in (0, 1):
        parts = own._parts(data, 0.25, None, seed, "cpu")
        train, held = (parts[name].stack.rows.flatten().tolist() for name in ("train", "validation"))
        assert sorted([*train, *held]) == [*range(40)] and len(held) == 10
        seen.append(sorted(held))
    assert seen[0] != seen[1]
    whole = own._parts(data, replace(data, given=data.given + 1), None, 0, "cpu")
    assert whole["train"].stack.size == (1, 40) and (whole["validation"].labels["given"] == 1).all()


def test_curves_are_those_that_the_labels_allow_and_the_test_is_by_true_labels_where_there_are_some():
    unknown = early_stopping(Samples(FEATURES, GIVEN), features, test=Samples(FEATURES, GIVEN), epochs=2)
    assert {name for name in unknown.curves if "loss" not in name} == {"noisy", "noisy_validation", "test"}
    run = early_stopping(Samples(FEATURES, GIVEN), features, test=Samples(FEATURES, GIVEN, TRUE), epochs=2, seeds=3)
    test = early_stopping(Samples(FEATURES, GIVEN), features, test=Samples(FEATURES, TRUE), epochs=2, seeds=3)
    assert torch.equal(run.curves["test"], test.curves["test"])
    alone = early_stopping(Samples(FEATURES, GIVEN), features, validation=None, epochs=1)
    with pytest.raises(ValueError, match="this run has no given validation labels"):
        alone.stop()
    with pytest.raises(ValueError, match="this run has no true validation labels"):
        unknown.stop("validation")
    with pytest.raises(ValueError, match="key is 'tset', should be of noisy"):
        unknown.at_end("tset")


def test_a_run_is_stopped_where_its_validation_is_best_for_the_first_time_after_the_start():
    curves = {"noisy_validation": torch.tensor([[0.9, 0.2, 0.5, 0.5], [0.0, 0.8, 0.1, 0.8]]),
              "validation": torch.tensor([[0.1, 0.2, 0.3, 0.4]] * 2),
              "test": torch.arange(8.0).reshape(2, 4)}  # fmt: skip
    run = own.Run(torch.tensor([0, 1, 2, 10]), curves)
    assert run.stop().tolist() == [2, 1] and run.stop("validation").tolist() == [3, 3]
    assert run.at_stop("test").tolist() == [2, 5] and run.at_end("test").tolist() == [3, 7]
    start = own.Run(torch.tensor([0]), {key: curve[:, :1] for key, curve in curves.items()})
    assert start.stop().tolist() == [0, 0]
    with pytest.raises(ValueError, match="rule is 'best', should be of noisy_validation, validation"):
        run.stop("best")


def test_the_control_is_given_its_true_labels_and_drawn_in_grey():
    data = Samples(FEATURES, GIVEN, TRUE)
    assert not data.control.wrong.any() and torch.equal(data.control.inputs, data.inputs)
    run, control = (early_stopping(one, features, test=TEST, epochs=3, seeds=2) for one in (data, data.control))
    figure = own.draw(run, control)
    curves = {line.get_label(): line for line in figure.axes[0].lines}
    grey = curves["training, no wrong label"]
    assert grey.get_color() == plots.CONTROL["color"]
    assert np.allclose(grey.get_ydata(), control.curves["true"].mean(0))
    assert np.allclose(curves["training, given labels"].get_ydata(), run.curves["noisy"].mean(0))
    assert curves["stopped early"].get_xdata()[0] == run.epoch[run.stop()[0]]
    plt.close("all")
    with pytest.raises(ValueError, match="true is None: these samples know no true labels"):
        _ = Samples(FEATURES, GIVEN).control


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(data=FEATURES), r"data is Tensor of shape \(120, 5\), should be Samples"),
        (dict(network=features()), "network is Sequential.*, should be a function that makes one, as lambda"),
        (dict(network=lambda: 3), r"network\(\) is 3, should be a network"),
        (dict(network=lambda: nn.Linear(7, 3)), r"network\(\) does not take what train has: .*do not fit the model"),
        (dict(network=lambda: nn.Linear(5, 2)), r"network\(\) has 2 outputs, too few for class 2 of train"),
        (dict(network=lambda: nn.Flatten(0)), r"network\(\) gives outputs of shape \(10,\) for 2 samples, should give"),
        (dict(test=Samples(FEATURES[:, :2], TRUE)), r"network\(\) does not take what test has"),
        (dict(validation=Samples(FEATURES, TRUE + 1)), r"network\(\) has 3 outputs, too few for class 3 of validation"),
        (dict(validation=1.0), "validation is 1.0, should be a share of 120 samples"),
        (dict(validation=FEATURES), r"validation is Tensor of shape \(120, 5\)"),
        (dict(optimizer="lion"), "optimizer is 'lion', should be of adadelta, adam"),
        (dict(loss="hinge"), "loss is 'hinge', should be least_squares, cross_entropy, or a function"),
        (dict(loss=torch.nn.functional.cross_entropy), "loss gives .*, should give a number for each sample"),
        (dict(seeds=0), "seeds is 0, should be 1 or more"),
    ],
)
def test_what_does_not_fit_is_said_at_the_door(change, message):
    with pytest.raises(ValueError, match=message):
        early_stopping(**{"data": Samples(FEATURES, GIVEN), "network": features, "epochs": 1, **change})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(given=GIVEN[1:]), r"given has shape \(119,\), should have shape \(n,\), where n is 120 as of inputs"),
        (dict(true=TRUE[1:]), r"true has shape \(119,\)"),
        (dict(given=GIVEN - 1), "given has -1, should be whole numbers from 0"),
        (dict(given=GIVEN + 0.5), "given has 1.5, should be whole numbers"),
        (dict(inputs=FEATURES[0]), r"inputs has shape \(5,\), should have one row for each sample"),
        (dict(inputs=FEATURES / 0), "inputs contain NaN or infinity"),
        (dict(inputs=["a", "b"]), "inputs is .*should be numbers"),
    ],
)
def test_samples_that_cannot_be_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Samples(**{"inputs": FEATURES, "given": GIVEN, **arguments})


def test_inputs_that_are_all_alike_are_refused():
    with pytest.raises(ValueError, match="inputs of data are all the same number"):
        early_stopping(Samples(torch.ones(10, 2), [0] * 10), lambda: nn.Linear(2, 2), epochs=1)


# ------------------------------------------------------------------------ the page on one's own data

PAGE = (Path(__file__).resolve().parents[1] / "book" / "own_data.md").read_text(encoding="utf8")
CELLS = re.findall(r"```\{code-cell\} ipython3\n(?:---\n.*?\n---\n|(?::[^\n]*\n)*)(.*?)```", PAGE, re.S)
SHOWN = re.findall(r"```python\n(.*?)```", PAGE, re.S)  # that needs files


@pytest.fixture
def little(monkeypatch):
    """The experiment for an epoch of one seed, whatever a page asks for."""
    original = own.early_stopping
    change = {"epochs": 1, "seeds": 1}
    monkeypatch.setattr(own, "early_stopping", lambda **settings: original(**settings | change))


def test_the_page_runs_from_its_first_cell_and_reads_what_it_wrote(little, monkeypatch):
    monkeypatch.setattr(plots, "use_style", lambda: None)
    names = {}
    for cell in CELLS:
        exec(cell, names)
    digits = load_images("digits", "test")
    assert torch.equal(names["X_test"], digits.pixels) and torch.equal(names["y_test"], digits.labels)
    assert names["run"].curves.keys() == names["control"].curves.keys()
    plt.close("all")
    (names["folder"] / "none").write_bytes(gzip.compress(b"\0\0\x0d\x01"))
    with pytest.raises(ValueError, match="none is no IDX file of bytes"):
        names["read_idx"](names["folder"] / "none")


def test_the_page_loads_fashion_mnist_from_its_four_files(tmp_path, monkeypatch):
    names = {"torch": torch}
    exec(CELLS[0], names)
    for split, count in (("train", 12), ("t10k", 5)):
        pixels, labels = torch.randint(256, (count, 28, 28), dtype=torch.uint8), torch.arange(count) % 10
        for kind, code, numbers in (("images-idx3", 2051, pixels), ("labels-idx1", 2049, labels.byte())):
            head = struct.pack(f">{1 + numbers.ndim}I", code, *numbers.shape)  # as the files begin
            path = tmp_path / f"fashion-mnist/{split}-{kind}-ubyte.gz"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(gzip.compress(head + numbers.numpy().tobytes()))
    monkeypatch.chdir(tmp_path)
    exec(SHOWN[0], names)
    assert names["X"].shape == (12, 1, 28, 28) and torch.equal(names["X_test"][:, 0], pixels)
    assert names["y"].tolist() == [*range(10), 0, 1] and names["y_test"].tolist() == [*range(5)]


def test_the_page_loads_cifar_10n_and_notices_another_order(tmp_path, monkeypatch, little):
    labels = torch.arange(20) % 10
    photos = Images(torch.randint(256, (20, 3, 32, 32), dtype=torch.uint8), labels)
    monkeypatch.setattr(earlystop.images, "load_images", lambda *name: photos)
    monkeypatch.chdir(tmp_path)
    human = {"clean_label": labels.numpy(), "worse_label": (labels.numpy() + 1) % 10}
    torch.save(human, "CIFAR-10_human.pt")
    names = {}
    exec(SHOWN[1], names)
    assert {"noisy", "true", "noisy_validation", "validation", "test"} <= names["run"].curves.keys()
    plt.close("all")
    torch.save(human | {"clean_label": labels.numpy()[::-1].copy()}, "CIFAR-10_human.pt")
    with pytest.raises(AssertionError):
        exec(SHOWN[1], {})
