"""The sweep of Theorem 2.2: its descents against a slow loop, its numbers where the answer is known, its pictures."""

from dataclasses import replace
from pathlib import Path
from statistics import mean

import matplotlib.pyplot as plt
import pytest
import torch

from earlystop.data import check_clusterable, nearest_label
from earlystop.evidence import centers
from earlystop.figures import fig5, fig5control, law, robustness, theorem22
from earlystop.figures.fig5 import SWEEPS, Figure5
from earlystop.figures.theorem22 import Theorem22, load_data, looks, run_cell, settings, since
from earlystop.network import ERF, GAUSSIAN_SOFTPLUS, initial_weights, output_weights
from earlystop.runs import results
from earlystop.runs.machine import Machine
from earlystop.runs.results import Result
from earlystop.streams import random_stream
from earlystop.theory import spectral_norm, theorem_scales

CONFIG = Theorem22.at("quick", samples=30, dim=6, clusters=3, hidden_units=40, stop=1, fresh=30)
CELL = settings(CONFIG)[0] | {"clusters": 3, "dim": 6, "input_noise": 0.1, "share": 1.0, "seed": 1}


def slow(cell, activation, step, iterations):
    """Gradient descent by automatic differentiation, one sample's output at a time: outputs and distances."""
    data = load_data(cell)
    x, y = data.inputs.double(), data.labels.double()
    start = initial_weights(cell["hidden_units"], cell["dim"], seed=cell["seed"], dtype=torch.float64)
    v, W, found = output_weights(len(start), start), start.clone(), []
    slopes = torch.stack([torch.outer(activation.derivative(start @ one) * v, one).flatten() for one in x])
    eta = step / torch.linalg.svdvals(slopes)[0] ** 2
    for _ in range(iterations + 1):
        outputs = torch.tensor([sum(a * activation.value(w @ one) for a, w in zip(v, W)) for one in x])
        found.append((outputs, (W - start).square().sum().sqrt()))
        loss = lambda W: 0.5 * (activation.value(x @ W.T) @ v - y).square().sum()
        W = W - eta * torch.func.grad(loss)(W)
    return data, [one for one, _ in found], [one for _, one in found]


@pytest.mark.parametrize("part", theorem22.PARTS)
@pytest.mark.parametrize("activation", [ERF, GAUSSIAN_SOFTPLUS], ids=lambda one: one.name)
def test_times_errors_and_distances_are_those_of_a_slow_loop(part, activation):
    cell = CELL | {"part": part, "activation": activation.name, "hidden_units": 20}
    found = run_cell(CONFIG, cell)
    step, last = theorem22.PARTS[part]
    clean = load_data(cell)
    limits = theorem_scales(clean.centers, 2.0, activation)
    assert (found["scale"], found["norm"]) == (limits.iterations, limits.center_norm)
    at = [round(limits.iterations / step * 2 ** (j / 2)) for j in range(-10, last + 1)]
    data, outputs, distances = slow(cell, activation, step, at[-1])
    wrong = [(nearest_label(one.float(), data.classes) != data.clean_labels).float().mean().item() for one in outputs]
    assert found["train"] == pytest.approx([wrong[i] for i in at])
    assert found["distance"] == pytest.approx([distances[i].item() for i in at], rel=1e-3, abs=1e-5)
    means = torch.stack([data.labels[data.clusters == c].mean() for c in data.clusters])
    settled = [(one - means).abs().max().item() <= 0.5 for one in outputs]
    for name, holds in (("right", [one == 0 for one in wrong]), ("settled", settled)):
        first = next((i for i, true in enumerate(holds) if true and i), -1)
        assert found[name] == pytest.approx(first * step if first > 0 else -1)


def test_a_look_finds_more_wrong_inputs_the_harder_it_looks():
    found = run_cell(CONFIG, CELL | {"part": "path", "input_noise": 0.4, "seed": 3})
    assert len(found["worst"]) == len(found["fresh"]) == len(found["train"]) == law.STOP + 1 + 9
    assert all(worst >= 1 / 3 for worst, fresh in zip(found["worst"], found["fresh"]) if fresh > 0.2)
    assert max(found["worst"]) > 0 and found["drift"] > 0


def test_the_plateau_is_what_a_wide_linear_descent_reaches():
    cell = CELL | {"hidden_units": 3000, "input_noise": 0.001}
    found = run_cell(replace(CONFIG, stop=4), cell)
    assert found["distance"][-1] == pytest.approx(found["plateau"], rel=0.02)


def test_looks_are_a_factor_of_the_root_of_two_apart_and_one_is_the_stop():
    assert looks(32.0, 0.5, 2)[law.STOP] == 64
    assert looks(32.0, 0.5, 2)[::2] == [2, 4, 8, 16, 32, 64, 128]


def test_never_is_told_and_the_start_does_not_count():
    assert since(torch.tensor([True, False, True, True]), 0.5) == 1.0
    assert since(torch.tensor([True, False]), 0.5) == -1.0


def test_every_setting_is_there_once_with_its_control():
    cells = settings(Theorem22.at("paper"))
    assert all(cells.count(one) == 1 for one in cells)
    assert all(one | {"share": 0.0} in cells for one in cells)
    assert any(one["share"] == 1.6 for one in cells)
    fixed = [one for one in cells if one["part"] == "path"]
    assert {one["clusters"] for one in fixed} == {8} and {one["classes"] for one in fixed} == {2, 3, 4, 6, 8}
    for one in cells[::7]:
        data = load_data(one | {"seed": 0})
        check_clusterable(data)
        assert data.corrupted.float().mean() <= one["share"] / 4 / (one["classes"] - 1) + 1e-6


# ------------------------------------------------------------------------ numbers whose answer is known


def known(config=None):
    """A result in which T = ‖C‖²/(4λ), the distance is √K, drift is ε₀, and errors begin where they are set to."""
    config = config or Theorem22.at("paper", seeds=2)
    cells = []
    for cell in theorem22.cells(config):
        K, c, d, last = cell["clusters"], cell["classes"], cell["dim"], theorem22.PARTS[cell["part"]][1]
        norm, smallest = 1 + K / d, 0.9 / K
        rho, wide = cell["share"] / 4 / (c - 1), cell["input_noise"] > 0.1
        wrong = 0.25 * (rho * c > 0.8) + 0.1 * (cell["hidden_units"] < K)
        cells.append(cell | {
            "run": 0, "scale": norm / smallest, "norm": norm, "smallest": smallest,
            "right": norm / smallest / 4, "settled": norm / smallest / 2, "plateau": K**0.5,
            "distance": [K**0.5] * (11 + last), "drift": cell["input_noise"],
            "train": [1.0] * 10 + [wrong] * (1 + last), "fresh": [1.0] * 10 + [wrong] * (1 + last),
            "worst": [1.0] * 10 + [max(wrong, 0.5 * wide)] * (1 + last),
        })  # fmt: skip
    return Result(Path("known"), {"experiment": "theorem22", "config": vars(config), "cells": cells})


ANSWERS = {
    "time_slope": 1, "settling_slope": 1, "time_constant": 0.25, "time_over_clusters": (1 + 32 / 20) / 0.9 / 4,
    "distance_slope": 0.5, "distance_constant": 1, "plateau_ratio": 1, "drift_slope": 1,
    "drift_constant": 1 / (64 * 3 * 8 / 0.9),
    "distance_over_samples": 1, "time_over_samples": 1,
    "inside_train": 0, "inside_fresh": 0, "inside_worst": 0,
    "safe_radius": 0.1 / (2 * (0.9 / 8) ** 2 / 64), "safe_share": 1.5, "labels_per_class": 8 * 2.5 / 28 / 0.75,
    "width_constant": 10 / (4 * 1.1**2 / 0.45**4),
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
def test_each_number_is_found_where_it_is_known(name):
    found = getattr(law if hasattr(law, name) else robustness, name)(known())
    assert found.shape == (2,) and found.tolist() == pytest.approx([ANSWERS[name]] * 2)


def test_a_run_that_never_gets_there_has_no_time_and_no_width():
    result = known()
    for cell in result["cells"]:
        cell |= {"right": -1.0, "train": [1.0] * len(cell["train"])}
    assert law.time_constant(result).tolist() == [torch.inf] * 2
    assert robustness.width_needed(result, 8).tolist() == [torch.inf] * 2
    assert robustness.safe_rates(result, 2).tolist() == [0, 0]


def test_the_last_good_value_ends_at_the_first_bad_one():
    errors = torch.tensor([[0, 0.01, 0.5, 0], [0.2, 0, 0, 0]])
    assert robustness.last_good((1, 2, 3, 4), errors, 0.01).tolist() == [2, 0]


@pytest.mark.parametrize("name", theorem22.EXPERIMENT.draw)
def test_pictures_show_every_level_with_labels(name):
    figure = theorem22.EXPERIMENT.draw[name](known())
    for ax in figure.axes:
        assert ax.has_data() and ax.get_xlabel()
    assert figure.axes[0].get_ylabel()
    plt.close(figure)


def test_the_picture_of_the_theorem_shades_what_it_covers():
    from earlystop.figures import law_pictures

    result = known()
    covered = law_pictures.covered(result)
    K = torch.tensor(law.CLUSTERS * 2)
    norm, smallest = 1 + K / torch.tensor([20.0] * 5 + [100.0] * 5), 0.9 / K
    assert covered.tolist() == ((K**2 * norm**2 / smallest**4 <= 1000) & (2 * smallest**2 / K**2 >= 0.005)).tolist()
    assert covered.any() and not covered.all()


# ------------------------------------------------------------------------ identities on random centers


def test_the_norm_of_centers_lies_between_one_and_their_number():
    power = centers.width_power(range(20))
    assert (power >= 2).all() and (power <= 4).all()
    assert (centers.norms([0], [(5, 2)]) >= 2.5 - 1e-9).all()  # at least K/d, which it is for a tight frame
    moved = torch.randn(10, 20, generator=random_stream(0, "centers"), dtype=torch.float64)
    close = 1 + 0.01 * moved
    norm = spectral_norm(close / close.norm(dim=1, keepdim=True)) ** 2  # K for equal centers
    assert 9.99 < norm <= 10


def test_the_norm_is_the_largest_eigenvalue_of_the_correlations():
    C = torch.randn(10, 20, generator=random_stream(4, "centers"), dtype=torch.float64)
    C = torch.stack([c / c.square().sum().sqrt() for c in C])
    assert centers.norms([4], [(10, 20)]).item() == pytest.approx(torch.linalg.eigvalsh(C @ C.T)[-1].item())
    wide = centers.norms([4], centers.PAIRS)[0]
    ratios = [n / max(1, K / d) for n, (K, d) in zip(wide.tolist(), centers.PAIRS)]
    assert centers.norm_over_ratio([4]).item() == pytest.approx(max(ratios))
    many = [d * n**2 / K**2 for n, (K, d) in zip(wide.tolist(), centers.PAIRS) if d <= K]
    assert centers.parameters_over_fourth_power([4]).item() == pytest.approx(max(many))


def test_flips_to_other_classes_by_chance_move_the_mean_of_the_outer_class_over_the_border_at_one_in_k_bar():
    for classes in (2, 3, 4, 8):
        labels = torch.linspace(-1, 1, classes, dtype=torch.float64)
        rates = 1 / classes + torch.tensor([-1e-6, 1e-6], dtype=torch.float64)
        below, above = nearest_label((1 - rates) * labels[0] + rates * labels[1:].mean(), labels).tolist()
        assert below == -1 < above


# ------------------------------------------------------------------------ Figure 5 without noise


def test_the_control_of_figure_5_has_its_sizes_clusters_and_no_wrong_label():
    config = fig5control.Control.at("paper")
    theirs = vars(Figure5.at("paper"))
    assert {key for key, value in vars(config).items() if theirs[key] != value} == {"corruption_rate", "seeds"}
    cells = fig5control.cells(config)
    assert [one["clusters"] for one in cells[:: config.seeds]] == list(SWEEPS["clusters"])
    small = replace(config, samples=24, dim=5, iterations=6, early=3)
    cell = cells[0] | {"hidden_units": 10}
    (run,) = fig5control.runs(small, [cell], None, Machine())
    kept = fig5control.summary(run, cell)
    assert set(kept) == set(fig5control.KEPT) and run["flipped"] == 0
    assert len(kept["error_true"]) == len(kept["iteration"])


def test_the_control_is_drawn_beside_the_clusters_of_figure_5():
    stored, control = results.load("fig5"), results.load("fig5control")
    figure = fig5.draw_sweeps(stored, control)
    drawn = {line.get_label(): line.get_ydata() for line in figure.axes[1].lines}
    for iteration, name in zip((80, 4500), fig5.STOPS):
        expected = [mean(c["error_true"][c["iteration"].index(iteration)] for c in control.select(clusters=K))
                    for K in SWEEPS["clusters"]]  # fmt: skip
        assert drawn[f"{name}, no wrong labels"].tolist() == pytest.approx(expected)
    assert len(figure.axes[0].lines) == 2 and len(figure.legends[0].get_texts()) == 4
    plt.close(figure)


def test_numbers_of_figure_5_are_those_of_its_cells():
    stored = results.load("fig5")
    cells = stored.select(**fig5.paper_cell(stored["config"]))
    early = [cell["error_true"][cell["iteration"].index(80)] for cell in cells]
    assert fig5.early_error(stored).tolist() == early
    assert fig5.late_error_given(stored).tolist() == [cell["error_given"][-1] for cell in cells]
    assert fig5.late_gap(stored).tolist() == [abs(cell["error_true"][-1] - cell["flipped"]) for cell in cells]
    harm = [cell["fresh_error_late"] - cell["fresh_error_early"] for cell in cells]
    assert fig5.fresh_harm(stored).tolist() == harm
    for name, key in (("flipped_share", "flipped"), ("early_order", "auroc_early"), ("late_overlap", "overlap_late")):
        assert getattr(fig5, name)(stored).tolist() == [cell[key] for cell in cells]
    found = fig5.center_distance(range(3))
    centers_of = [fig5.load_data(Figure5.at("paper"), seed).centers for seed in range(3)]
    assert found.tolist() == pytest.approx([(a - b).norm().item() for a, b in centers_of])
    assert (found >= 1).all()
