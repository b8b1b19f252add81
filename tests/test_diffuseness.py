"""γ and energies of the top spaces against brute force, Theorem 4.1's inequality, and the room that measures them."""

from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
import torch

from earlystop import data, spaces, theory
from earlystop.architectures import conv_net
from earlystop.figures import diffuseness, stages
from earlystop.figures.diffuseness import RANKS, Diffuseness
from earlystop.figures.splits import load_split
from earlystop.jacobian import model_gram
from earlystop.runs import results
from earlystop.runs.machine import Machine
from earlystop.runs.results import Result
from earlystop.runs.store import plain

CONFIG = Diffuseness.at(
    "quick", cnn_data="patterns", resnet_data="patterns", samples=100, validation_size=20, widths=(4, 4, 8), width=4,
    epochs=3, points=100, iterations=200,
)  # fmt: skip


# ------------------------------------------------------------------------------ the measures


def explicit(model, inputs, number):
    """J by automatic differentiation of all outputs at once."""
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    outputs = lambda p: torch.func.functional_call(model, p, (inputs,))[:, number]
    rows = torch.func.jacrev(outputs)(parameters).values()
    return torch.cat([part.flatten(1) for part in rows], dim=1).double()


def test_spaces_of_a_network_are_those_of_its_jacobian_written_out():
    torch.manual_seed(0)
    model, inputs = conv_net((1, 8, 8), (3, 4, 6)).double().eval(), torch.randn(30, 1, 8, 8).double()
    truth, noise = torch.randn(30).double(), (torch.rand(30) < 0.2).double()
    left, singular, _ = torch.linalg.svd(explicit(model, inputs, 2))
    values, vectors, gamma = spaces.leverage(model_gram(model, inputs, lambda out: out[2]), (1, 3, 7))
    assert torch.allclose(values, singular, atol=1e-6)
    for i, rank in enumerate((1, 3, 7)):
        projection = left[:, :rank] @ left[:, :rank].T
        assert gamma[i] == pytest.approx(30 * projection.diag().max().item(), rel=1e-6)
        assert gamma[i] == pytest.approx(theory.diffuseness(left[:, :rank]), rel=1e-6)
        for energy in (truth, noise):
            share = (projection @ energy).square().sum() / energy.square().sum()
            assert spaces.energy_within(energy, vectors, (rank,)).item() == pytest.approx(share.item(), rel=1e-6)
        seen = (projection @ noise).abs().max().item()
        assert spaces.seen(noise, vectors, (1, 3, 7))[i].item() == pytest.approx(seen, rel=1e-6)


def random_instance(seed):
    """A Gram matrix of random rank and decay, and sparse noise with entries of at most one."""
    generator = torch.Generator().manual_seed(seed)
    n = int(torch.randint(5, 60, (), generator=generator))
    gram = torch.randn(n, n, generator=generator).double() * torch.rand(n, generator=generator).double() ** 4
    chosen = torch.rand(n, generator=generator) < torch.rand((), generator=generator)
    noise = torch.where(chosen, 2 * torch.rand(n, generator=generator) - 1, torch.zeros(n)).double()
    noise[0] = 1.0
    return gram @ gram.T, noise, (1, n // 3 + 1, n)


@pytest.mark.parametrize("first", range(0, 200, 50))
def test_what_a_space_sees_of_the_noise_is_at_most_gamma_rho(first):
    for seed in range(first, first + 50):
        gram, noise, ranks = random_instance(seed)
        _, vectors, gamma = spaces.leverage(gram, ranks)
        rho = (noise != 0).double().mean()
        assert (spaces.seen(noise, vectors, ranks) <= gamma * rho * (1 + 1e-9)).all()
        assert (gamma >= torch.tensor(ranks).double() * (1 - 1e-9)).all() and gamma[-1].item() == pytest.approx(
            len(gram)
        )


def test_the_bound_is_reached_and_a_tighter_one_is_wrong():
    """All noise in one of four clusters: the space of the clusters sees γρ of it."""
    clusters = torch.arange(40) // 10
    members = torch.nn.functional.one_hot(clusters).double()
    noise = (torch.arange(40) < 5).double()
    _, vectors, gamma = spaces.leverage(members @ members.T, (4,))
    seen = spaces.seen(noise, vectors, (4,)).item()
    assert gamma.item() == pytest.approx(4) and seen == pytest.approx(0.5) and seen > 0.99 * gamma.item() * 5 / 40


def test_of_flips_that_agree_a_cluster_sees_the_share_that_is_flipped():
    clean = data.clusterable_dataset(200, 4, 20, n_classes=2, labels=(0, 1), input_noise=0.2)
    noise = data.corrupt_clusters(clean, 0.2).labels - clean.labels
    assert spaces.constant_share(noise, clean.clusters) == pytest.approx(0.2)


def test_impossible_questions_are_refused():
    with pytest.raises(ValueError, match=r"ranks are \(1, 6\), should be between 1 and 5"):
        spaces.leverage(torch.eye(5), (1, 6))
    with pytest.raises(ValueError, match=r"ranks are \(0,\)"):
        spaces.leverage(torch.eye(5), (0,))
    with pytest.raises(ValueError, match="all zero"):
        spaces.energy_within(torch.zeros(5), torch.eye(5)[:, :2], (1,))


# ------------------------------------------------------------------------------ the room


def cell(network, rate=0.3, seed=0):
    return {"network": network, "corruption_rate": rate, "seed": seed}


@pytest.fixture(scope="module")
def found():
    """Runs of every network with noise and without, for two seeds."""
    cells = [cell(name, rate, seed) for name in ("cnn", "clusters", "resnet") for rate in (0.0, 0.3) for seed in (0, 1)]
    return [(one, diffuseness.runs(CONFIG, [one], None, Machine())[0]) for one in cells]


def of(found, name, rate, seed=0):
    return next(run for one, run in found if one == cell(name, rate, seed))


@pytest.mark.parametrize("name", ["cnn", "clusters", "resnet"])
def test_a_control_is_trained_on_true_labels_and_looks_at_the_same_noise(found, name):
    noisy, control = of(found, name, 0.3), of(found, name, 0.0)
    for key in ("truth", "noise", "gamma", "values", "seen"):  # before training all is the same
        assert torch.equal(noisy[f"{key}_start"], control[f"{key}_start"])
    assert noisy["rho"] == control["rho"] > 0 and noisy["constant"] == control["constant"]
    assert all(control[f"given_{time}"] == control[f"true_{time}"] for time in stages.TIMES)
    assert noisy["given_end"] != noisy["true_end"] or noisy["given_start"] != noisy["true_start"]
    assert not torch.equal(noisy["values_end"], control["values_end"])


@pytest.mark.parametrize("name", ["cnn", "clusters", "resnet"])
def test_shares_grow_with_the_space_and_obey_the_inequality(found, name):
    for rate in (0.0, 0.3):
        run = of(found, name, rate)
        for time in stages.TIMES:
            for key in ("truth", "clean", "noise", "gamma"):
                assert (run[f"{key}_{time}"].diff() >= 0).all() and run[f"{key}_{time}"].shape == (len(RANKS),)
            assert (run[f"seen_{time}"] <= run[f"gamma_{time}"] * run["rho"] * (1 + 1e-9)).all()
            assert run[f"truth_{time}"][-1].item() == pytest.approx(1) == run[f"gamma_{time}"][-1].item() / 100
        assert run["epoch_start"] == 0 <= run["epoch_early"] <= run["epoch_end"]


def test_the_gram_matrix_is_that_of_the_chosen_output_on_the_training_images():
    config = replace(CONFIG, output=3, epochs=0)
    *_, views = stages.images(config, cell("cnn"), Machine())
    name, _, outputs, gram = next(views)
    model, split = conv_net((3, 8, 8), (4, 4, 8)).eval(), load_split("patterns", 100, 20, 0.3, test_size=0)
    rows = explicit(model, split.inputs("train"), 3)
    assert name == "start" and torch.allclose(gram, rows @ rows.T, rtol=1e-4, atol=1e-4 * gram.max().item())
    assert torch.allclose(outputs, model(split.inputs("train"))[:, 3].double(), atol=1e-6)


def test_truth_and_noise_are_those_of_the_chosen_class():
    truth, noise, classes, _ = stages.images(replace(CONFIG, output=3), cell("resnet", seed=1), Machine())
    split = load_split("patterns", 100, 20, 0.3, seed=1, test_size=0)
    assert torch.equal(classes, split.train.labels) and torch.equal(truth, (classes == 3).double())
    assert torch.equal(truth + noise, (split.noisy == 3).double()) and noise.abs().max() == 1


def test_early_is_where_the_clean_validation_loss_is_least(monkeypatch):
    losses, original = [], stages.least_squares
    monkeypatch.setattr(stages, "least_squares", lambda *pair: losses.append(original(*pair)) or losses[-1])
    run = diffuseness.runs(replace(CONFIG, epochs=6), [cell("cnn")], None, Machine())[0]
    means = torch.stack([one.mean() for one in losses])
    assert len(means) == 7 and run["epoch_early"] == means.argmin() and run["epoch_end"] == 6


def test_a_damaged_size_is_refused_at_the_door():
    with pytest.raises(ValueError, match="samples is 50, should be 100 or more"):
        replace(CONFIG, samples=50)
    with pytest.raises(ValueError, match="networks has 'vgg', should be of clusters, cnn, resnet"):
        replace(CONFIG, networks=("vgg",))


def test_the_data_of_all_networks_is_named():
    known = diffuseness.hashes(Diffuseness.at("paper"))
    assert known.keys() == {f"{name}, {part}" for name in ("mnist", "cifar10") for part in ("train", "test")}
    assert diffuseness.hashes(CONFIG) == {} == diffuseness.hashes(Diffuseness.at("paper", networks=("clusters",)))


# ------------------------------------------------------------------------------ what is made of a result


@pytest.fixture(scope="module")
def result(found):
    cells = [plain(one | run) for one, run in found]
    return Result(Path("made-up.json"), {"experiment": "diffuseness", "config": plain(vars(CONFIG)), "cells": cells})


def test_every_quantity_has_a_number_for_each_seed(result, found):
    names = ("noise_outside", "clean_inside", "contrast", "gamma_by_rank", "condition", "condition_low", "bound_used")
    for name in (*names, "alignment_learned"):
        values = getattr(diffuseness, name)(result)
        assert values.shape == (2,) and values.isfinite().all(), name
    assert (diffuseness.bound_used(result) <= 1 + 1e-6).all() and (diffuseness.gamma_by_rank(result) >= 1).all()
    top = {name: RANKS.index(4 if name == "clusters" else 10) for name in ("cnn", "clusters", "resnet")}
    inside = [of(found, name, 0.3, 1)["noise_early"][at].item() for name, at in top.items()]
    assert diffuseness.noise_outside(result)[1].item() == pytest.approx(1 - max(inside), abs=1e-5)
    products = [
        2 * of(found, name, 0.3, 1)["gamma_early"][at] * of(found, name, 0.3, 1)["rho"] for name, at in top.items()
    ]
    assert diffuseness.condition(result)[1].item() == pytest.approx(min(products).item(), abs=1e-4)
    assert torch.equal(diffuseness.condition(result), diffuseness.condition_low(result))  # there is one rate above 0
    ways = [1 - of(found, name, 0.0, 1)["truth_start"][3] / of(found, name, 0.0, 1)["truth_end"][3]
            for name in ("cnn", "resnet")]  # fmt: skip
    assert diffuseness.alignment_learned(result)[1].item() == pytest.approx(min(ways).item(), abs=1e-4)


def test_the_picture_shows_every_network_with_its_control(result):
    figure = diffuseness.EXPERIMENT.draw[""](result)
    axes = figure.axes
    assert [ax.get_title() for ax in axes] == ["convolutional network", "four clusters", "ResNet"]
    constant = result.numbers("constant", network="cnn", corruption_rate=0.3).mean().item()
    assert (
        axes[0].lines[-1].get_ydata()[0] == pytest.approx(constant)
        and axes[0].lines[-1].get_label() == "constant noise"
    )
    control = next(line for line in axes[1].lines if line.get_label() == "noise, control")
    mean = result.numbers("noise_end", network="clusters", corruption_rate=0.0).mean(0)
    assert control.get_ydata() == pytest.approx(mean.numpy())
    plt.close(figure)


def test_the_picture_of_gamma_has_the_control_the_least_and_the_most_that_is_of_use(result):
    figure = diffuseness.EXPERIMENT.draw["-gamma"](result)
    for ax, name in zip(figure.axes, ("cnn", "clusters", "resnet"), strict=True):
        *found, control, least, most = (line.get_ydata() for line in ax.lines)
        where = {"network": name, "corruption_rate": 0.3}
        for curve, time in zip(found, stages.TIMES, strict=True):
            assert curve == pytest.approx(result.numbers(f"gamma_{time}", **where).mean(0).numpy())
        assert control == pytest.approx(result.numbers("gamma_end", **where | {"corruption_rate": 0.0}).mean(0).numpy())
        assert tuple(least) == RANKS and 2 * most[0] * result.numbers("rho", **where).mean() == pytest.approx(1)
        assert (curve >= least - 1e-6).all()
    plt.close(figure)


def test_sentences_by_hand_hold_in_the_stored_run():
    """Another run may need other words: read the section of chapter 6 on real networks before this is changed."""
    stored = results.load("diffuseness")
    rate = max(stored.levels("corruption_rate"))
    top = lambda key, name: diffuseness.measured(
        stored, key, diffuseness.classes(name), network=name, corruption_rate=rate
    )
    constant, wrong = (
        stored.numbers(key, network="clusters", corruption_rate=rate) for key in ("constant", "wrong_early")
    )
    assert (top("gamma_early", "clusters") < 5).all() and (top("truth_early", "clusters") > 0.95).all()
    assert ((top("noise_early", "clusters") - constant).abs() < 0.02).all()
    assert not wrong.any() and (diffuseness.bounds(stored, rate) > 0.5).all()
    low = min(one for one in stored.levels("corruption_rate") if one > 0)
    met = (diffuseness.bounds(stored, low) < 0.5).sum(1).tolist()
    assert stored.levels("network") == ["cnn", "clusters", "resnet"] and met[1:] == [len(stored.levels("seed")), 0]
    cnn, resnet = (top("gamma_early", name) / 10 for name in ("cnn", "resnet"))
    assert ((cnn > 2) & (cnn < 4)).all() and (resnet > cnn.max()).all()
    errs = stored.numbers("wrong_early", network="resnet", corruption_rate=rate)  # hardly better than always "no"
    assert ((errs > 0.05) & (errs < 0.1)).all()


def test_the_table_of_all_networks_has_the_range_over_the_seeds(result):
    rows = diffuseness.overview(result)
    gamma = diffuseness.measured(result, "gamma_early", 4, network="clusters", corruption_rate=0.3)
    assert [row[:2] for row in rows] == [
        ["convolutional network", 10], ["four clusters", 4], ["ResNet", 10]]  # fmt: skip
    assert all(format(end, ".0f") in rows[1][2] for end in (gamma.min().item(), gamma.max().item()))
