"""Everything public called wrongly, argument by argument: the message names the argument, and nothing passes unseen."""

import contextlib
import re
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from public import public
from torch import Tensor, nn

from earlystop import (
    adversary,
    architectures,
    augment,
    data,
    descent,
    early_learning,
    filters,
    images,
    jacobian,
    lab,
    label_noise,
    metrics,
    network,
    own,
    plots,
    remedies,
    report,
    rules,
    spaces,
    streams,
    suspects,
    theory,
    training,
    window,
)
from earlystop.estimator import EarlyStoppingClassifier
from earlystop.remedies import Task

# ------------------------------------------------------------------------ a right call of every function

DATA = data.clusterable_dataset(6, 2, 3, input_noise=0.1, n_classes=2, dtype=torch.float64)
X, Y, C = DATA.inputs, DATA.labels, DATA.centers
W = network.initial_weights(8, 3, dtype=torch.float64)
PAIRED = network.initial_weights(8, 3, paired=True, dtype=torch.float64)
GRAM = jacobian.gram(W, X)
BASIS = torch.linalg.qr(torch.randn(6, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))).Q
LOSSES, FLIPPED = torch.linspace(0.1, 1, 6), torch.arange(6) < 2
OUTPUTS, CLASSES = torch.eye(3)[[0, 1, 2, 0]], torch.tensor([0, 1, 2, 2])
IMAGES = images.load_images("digits").subset(slice(6))
MODEL = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).eval()
STACK = training.Stack([MODEL])
PIXELS = training.ImageStack.of([IMAGES], [IMAGES])
SMALL = nn.Linear(3, 2).eval()
FOUND = adversary.worst_inputs(W, DATA, starts=1, steps=1)
SAMPLES = own.Samples(torch.eye(4).repeat(2, 1), given=[0, 1, 0, 1] * 2, true=[0, 1, 1, 1] * 2)
RUN = own.early_stopping(SAMPLES, lambda: nn.Linear(4, 2), validation=0.25, epochs=1, step_size=0.1)
CURVES = {name: [0.1, 0.5, 0.4] for name in ("changed", "given", "noisy_validation", "planted", "test")}
TWICE = torch.eye(4, dtype=torch.float64).repeat(3, 1)
CLASSIFIER = EarlyStoppingClassifier(hidden_units=4, folds=2, epochs=1, random_state=0).fit(TWICE, [0, 1, 0, 1] * 3)
TASK = Task(TWICE.float(), [0, 1, 0, 1] * 3, lambda seed: nn.Linear(4, 2), epochs=1)
SAID = torch.tensor([[0.75, 0.25], [0.5, 0.5], [0.25, 0.75]], dtype=torch.float64)
FIGURE, AXES = plt.subplots()
LINEAR = early_learning.linear_dataset(8, 3, seed=1)
TASK = remedies.Task(OUTPUTS, CLASSES, lambda seed: nn.Linear(3, 3), epochs=1)
PLAIN = remedies.remedy("cross_entropy", TASK)
CALLS = {  # by function: its arguments
    adversary.worst_inputs: dict(weights=W, dataset=DATA, activation=network.ERF, starts=1, steps=1, seed=0),
    adversary.onto_cap: dict(x=X, centers=X, radius=0.1),
    adversary.broken_clusters: dict(outputs=torch.ones(len(FOUND.inputs)), found=FOUND),
    architectures.conv_net: dict(image_shape=(1, 8, 8), widths=(2, 2, 2), n_classes=10, seed=0),
    architectures.resnet: dict(depth=8, channels=1, width=2, n_classes=10, seed=0),
    architectures.glorot: dict(model=nn.Linear(2, 2), seed=0),
    architectures.count_parameters: dict(model=MODEL),
    augment.crop_and_flip: dict(images=PIXELS),
    data.class_labels: dict(n_classes=3, label_separation=0.5),
    data.clusterable_dataset: dict(
        n_samples=6, n_clusters=2, dim=3, input_noise=0.1, n_classes=2, labels=(-1.0, 1.0), label_separation=0.5,
        size_range=(0.5, 2.0), noise="cap", seed=0, dtype=torch.float32,
    ),
    data.check_clusterable: dict(dataset=DATA, size_range=(0.5, 2.0)),
    data.corrupt_clusters: dict(dataset=DATA, corruption_rate=0.4, seed=0),
    data.redraw_labels: dict(labels=Y, classes=DATA.classes, corruption_rate=0.4, seed=0),
    data.corrupt_uniformly: dict(dataset=DATA, corruption_rate=0.4, seed=0),
    data.ground_truth_label: dict(inputs=X, centers=C, center_labels=DATA.center_labels),
    data.nearest_label: dict(outputs=Y, classes=DATA.classes),
    data.around_centers: dict(dataset=DATA, n_samples=4, seed=0, noise="cap"),
    data.check_rate: dict(corruption_rate=0.4),
    descent.loss: dict(weights=W, inputs=X, labels=Y, activation=network.ERF, criterion=descent.LEAST_SQUARES),
    descent.gradient: dict(weights=W, inputs=X, labels=Y, activation=network.ERF, criterion=descent.LEAST_SQUARES),
    descent.largest_stable_step: dict(weights=W, inputs=X, activation=network.ERF, criterion=descent.LEAST_SQUARES),
    descent.gradient_descent: dict(
        weights=W, inputs=X, labels=Y, step_size=0.1, iterations=2, activation=network.ERF, ridge=0.1,
        criterion=descent.LEAST_SQUARES,
    ),
    early_learning.linear_dataset: dict(
        n_samples=8, dim=3, coin_rate=0.4, spread=0.1, seed=0, dtype=torch.float64
    ),
    early_learning.gradient: dict(weights=X[0], inputs=X, given=Y),
    early_learning.descend: dict(data=LINEAR, step_size=0.5, iterations=2, seed=0, records=3),
    early_learning.early: dict(path=early_learning.descend(LINEAR, iterations=2)),
    filters.stopping_filter: dict(values=LOSSES, step_size=0.1, iterations=3),
    filters.ridge_filter: dict(values=LOSSES, strength=0.5),
    filters.auxiliary_filter: dict(values=LOSSES, strength=0.5, step_size=0.1, iterations=3),
    filters.matching_iterations: dict(step_size=0.1, strength=0.5),
    filters.iteration_window: dict(truth=2.0, noise=0.2, step_size=0.1, tolerance=0.1),
    filters.strength_window: dict(truth=2.0, noise=0.2, tolerance=0.1),
    images.load_images: dict(name="digits", split="test"),
    images.loader: dict(name="digits"),
    images.sample_split: dict(images=IMAGES, seed=0),
    images.content_hash: dict(pixels=IMAGES.pixels),
    images.Images: dict(pixels=IMAGES.pixels, labels=IMAGES.labels),
    jacobian.jacobian: dict(weights=W, inputs=X, activation=network.ERF),
    jacobian.gram: dict(weights=W, inputs=X, activation=network.ERF),
    jacobian.model_gram: dict(model=SMALL, inputs=X.float(), output=torch.sum),
    jacobian.top_singular_values: dict(model=SMALL, inputs=X.float(), output=torch.sum, rank=2, batch_size=4),
    jacobian.singular_values: dict(gram=GRAM),
    jacobian.information_space: dict(gram=GRAM, rank=2),
    jacobian.energy_share: dict(values=Y, basis=BASIS),
    lab.address: dict(figure="stop", settings={"seed": 2}),
    lab.dataset: dict(state=lab.state("stop")),
    lab.read: dict(text="#lab-stop&seed=2"),
    lab.run: dict(state=lab.state("stop"), iterations=2),
    lab.state: dict(figure="stop", seed=2),
    label_noise.corrupt: dict(
        labels=CLASSES, corruption_rate=0.5, kind="by sample", classes=3, seed=0, inputs=OUTPUTS + torch.eye(4, 3)
    ),
    label_noise.transition: dict(labels=CLASSES, given=CLASSES.flip(0), classes=3),
    label_noise.matched: dict(labels=CLASSES, given=CLASSES.flip(0), seed=0),
    metrics.error_rate: dict(outputs=Y, labels=Y, classes=DATA.classes),
    metrics.auroc: dict(clean=LOSSES[:4], flipped=LOSSES[4:]),
    metrics.overlap: dict(clean=LOSSES[:4], flipped=LOSSES[4:], bins=5),
    metrics.loss_shares: dict(losses=LOSSES, top=1.0, bins=5),
    metrics.split_losses: dict(losses=LOSSES, flipped=FLIPPED),
    metrics.interval: dict(values=LOSSES),
    metrics.in_words: dict(values=LOSSES, form=".2f"),
    network.Activation: dict(
        name="mine", value=torch.sin, derivative=torch.cos, kappa=torch.ones_like, smoothness=1.0, third=1.0,
        rank=lambda dim: dim,
    ),
    network.check_activation: dict(activation=network.ERF),
    network.kappa_by_quadrature: dict(derivative=torch.cos, degree=10),
    network.output_weights: dict(hidden_units=4),
    network.initial_weights: dict(hidden_units=4, dim=3, seed=0, paired=False, dtype=torch.float32),
    network.predict: dict(weights=W, inputs=X, activation=network.ERF),
    own.Samples: dict(inputs=X, given=(Y > 0).long(), true=(Y > 0).long()),
    own.early_stopping: dict(
        data=SAMPLES, network=lambda: nn.Linear(4, 2), validation=0.25, test=SAMPLES, epochs=1, batch_size=4,
        optimizer="sgd", step_size=0.1, loss="least_squares", seeds=1,
    ),
    own.draw: dict(run=RUN, control=RUN),
    plots.line: dict(style=plots.TEST),
    plots.level_color: dict(index=0, count=2),
    plots.log_ticks: dict(axis=AXES.xaxis, ticks=(1.0, 10.0)),
    plots.band: dict(ax=AXES, x=torch.arange(3.0), runs=torch.ones(2, 3), label="runs"),
    plots.some: dict(points=10, most=4),
    report.report: dict(model=CLASSIFIER, X=TWICE.numpy(), image_shape=(2, 2), most=3),
    report.cautions: dict(model=CLASSIFIER),
    report.curves: dict(model=CLASSIFIER),
    plots.share_bars: dict(ax=AXES, clean=LOSSES, flipped=LOSSES, top=1.0),
    rules.noisy_validation: dict(curves=CURVES),
    rules.label_wave: dict(curves=CURVES, window=2),
    rules.label_wave_patience: dict(curves=CURVES, window=2, patience=1),
    rules.planted_flips: dict(curves=CURVES, tolerance=0.1),
    rules.discrepancy: dict(curves=CURVES, noise_level=0.3),
    rules.oracle: dict(curves=CURVES, key="given"),
    rules.last: dict(curves=CURVES),
    rules.rule: dict(name="label_wave"),
    rules.chosen: dict(curves=CURVES, rule=rules.last),
    rules.regret: dict(curves=CURVES, rule=rules.last, key="given"),
    rules.uniform_law: dict(accuracy=LOSSES, corruption_rate=0.3, classes=4),
    remedies.Task: dict(
        inputs=OUTPUTS, labels=CLASSES, network=lambda seed: nn.Linear(3, 3), classes=3,
        optimizer=lambda weights: torch.optim.SGD(weights, lr=0.1), epochs=1, batch_size=2, seed=0,
        pace=remedies.constant,
    ),
    remedies.Remedy: dict(task=TASK),
    remedies.ByLoss: dict(task=TASK, loss=training.cross_entropy),
    remedies.remedy: dict(name="cross_entropy", task=TASK),
    remedies.found_by: dict(name="cross_entropy"),
    remedies.train: dict(remedy=PLAIN),
    remedies.constant: dict(epoch=1, epochs=2),
    spaces.leverage: dict(gram=GRAM, ranks=(1, 2)),
    spaces.energy_within: dict(values=Y, vectors=BASIS, ranks=(1, 2)),
    spaces.seen: dict(noise=Y, vectors=BASIS, ranks=(1, 2)),
    spaces.constant_share: dict(noise=Y, groups=DATA.clusters),
    streams.random_stream: dict(seed=0, purpose="dice"),
    streams.batches: dict(order=torch.arange(6), batch_size=2),
    suspects.cross_fit: dict(task=TASK, folds=2, name="cross_entropy"),
    suspects.fold_of: dict(labels=CLASSES, folds=2, seed=0),
    suspects.suspicion: dict(probabilities=SAID, labels=torch.tensor([0, 1, 0])),
    suspects.share_wrong: dict(
        probabilities=SAID, labels=torch.tensor([0, 1, 0]), surest=0.5, network_error=0.01, level=0.95
    ),
    suspects.clopper_pearson: dict(hits=1, trials=3, level=0.95),
    theory.spectral_norm: dict(matrix=X),
    theory.cluster_covariance: dict(centers=C, activation=network.ERF),
    theory.cluster_covariance_monte_carlo: dict(centers=C, activation=network.ERF, samples=9, seed=0),
    theory.smallest_eigenvalue: dict(covariance=GRAM),
    theory.diversity: dict(centers=C, activation=network.ERF),
    theory.relu_diversity_bound: dict(centers=C),
    theory.theorem_scales: dict(centers=C, label_separation=2.0, activation=network.ERF),
    theory.interpolation_distance_bound: dict(
        weights=W, first=X[0], second=X[1], label_gap=2.0, activation=network.ERF
    ),
    theory.check_smooth: dict(activation=network.ERF),
    theory.jacobian_bound: dict(inputs=X, activation=network.ERF),
    theory.nuisance_bound: dict(weights=W, input_noise=0.1, samples=6, activation=network.ERF),
    theory.cluster_means: dict(values=Y, clusters=DATA.clusters),
    theory.diffuseness: dict(basis=BASIS),
    theory.conditional_mean_losses: dict(corruption_rate=0.4, n_classes=3),
    theory.plateau_distance: dict(dataset_means=torch.tensor([-0.5, 0.5]), centers=C, activation=network.ERF),
    training.least_squares: dict(outputs=OUTPUTS, labels=CLASSES),
    training.cross_entropy: dict(outputs=OUTPUTS, labels=CLASSES),
    training.adadelta: dict(stack=STACK, step_size=1.0),
    training.adam: dict(stack=STACK, step_size=0.1),
    training.momentum: dict(stack=STACK, step_size=0.1),
    training.sgd: dict(stack=STACK, step_size=0.1),
    training.channels_last: dict(x=IMAGES.inputs()),
    training.train: dict(
        stack=STACK, images=PIXELS, labels=IMAGES.labels[None], optimizer=training.sgd(STACK, 0.1), epochs=1,
        batch_size=4, seeds=[0], loss=training.least_squares,
    ),
    training.evaluate_stack: dict(stack=STACK, images=PIXELS),
    training.evaluate: dict(model=MODEL, inputs=IMAGES.inputs(), batch_size=4),
    training.last_layers: dict(stack=STACK, images=PIXELS, count=2),
    training.dead: dict(hidden=torch.ones(1, 2, 3)),
    training.accuracy: dict(outputs=OUTPUTS, labels=CLASSES),
    training.fit: dict(loss=training.least_squares),
    training.distances: dict(now=STACK.parameters, start=STACK.parameters),
    training.calibrate: dict(model=MODEL, inputs=IMAGES.inputs(), batch_size=4),
    training.Stack: dict(models=[MODEL]),
    window.first_stretch: dict(right=FLIPPED),
    window.proved_path: dict(weights=W, data=DATA, step_size=0.01, iterations=2, activation=network.ERF),
    window.closed_form: dict(weights=PAIRED, data=DATA, iterations=2, activation=network.ERF),
}  # fmt: skip
ARGUMENTS = [
    pytest.param(function, name, id=f"{function.__name__} {name}")
    for function, right in CALLS.items()
    for name in right
]


MADE = {  # by functions of the package, or for those who look inside, or of data that are not here
    "architectures.ResidualBlock", "architectures.seeded", "augment.CropAndFlip", "cifar10n.load", "data.Dataset",
    "descent.Criterion", "descent.DivergenceError", "descent.Trajectory", "early_learning.LinearData",
    "early_learning.LinearPath", "estimator.EarlyStoppingClassifier", "images.DataError", "lab.show", "report.Report",
    "suspects.CrossFit", "suspects.ShareWrong",
    "lab.widget", "own.Run", "plots.use_style", "theory.TheoremScales", "training.ImageStack",
    "training.TrainingStep", "training.train_epoch", "window.ClosedForm", "window.Path",
}  # fmt: skip


def test_everything_public_is_called_here():
    assert set(public().values()) - CALLS.keys() == {public()[name] for name in MADE}


def test_the_calls_are_right():
    for function, right in CALLS.items():
        function(**right)


# ------------------------------------------------------------------------ wrong ones


def misuses(value):
    """What cannot stand where `value` does."""
    if isinstance(value, Tensor):
        return [None, "text", {"a": 1}, torch.ones(len(value), 2, 3, 4, 5), value + 1j, [["ragged"], [1, 2]]]
    if isinstance(value, bool):
        return []
    if isinstance(value, int):
        return [None, "text", 2.5, [1], torch.ones(2)]
    if isinstance(value, float):
        return [None, "text", [1.0], torch.ones(2), 1j, float("nan")]
    if isinstance(value, tuple):
        return ["text", 5, {"a": 1}, ("a", "b")]
    if isinstance(value, str):
        return [None, 5, "no such name"]
    return [None, "text", 5, torch.ones(2)]  # an object, or a function


NAN = [float("nan")] * 2


@pytest.mark.parametrize(("call", "told"), [
    (lambda: metrics.auroc([0.1, 0.2], NAN), "flipped contain NaN"), (lambda: metrics.auroc(NAN, [0.1]), "clean"),
    (lambda: metrics.overlap(NAN, [0.1]), "finite losses"), (lambda: metrics.overlap([0.1], [float("inf")]), "finite"),
    (lambda: metrics.loss_shares(NAN, 1.0), "losses contain NaN"), (lambda: metrics.loss_shares([-1.0], 1), "negative"),
    (lambda: metrics.loss_shares([0.1], float("inf")), "top is inf"),
    (lambda: metrics.error_rate(NAN, [1.0, 1.0], [-1.0, 1.0]), "outputs contain NaN"),
    (lambda: metrics.error_rate([0.1], [1.0], []), "classes are"),
    (lambda: data.nearest_label([0.1], [-1.0, float("nan")]), "classes"),
    (lambda: data.ground_truth_label([NAN], [[0.0, 1.0]], [1.0]), "inputs contain NaN"),
    (lambda: data.ground_truth_label([[0.0, 1.0]], torch.ones(0, 2), torch.ones(0)), "centers are none"),
    (lambda: training.accuracy([NAN], [0]), "outputs contain NaN"),
    (lambda: training.accuracy(torch.ones(1, 0), [0]), "outputs have no classes"),
])  # fmt: skip
def test_what_is_no_number_is_no_score(call, told):
    """A comparison passes over NaN: the scores of nothing would be those of the best."""
    with pytest.raises(ValueError, match=told):
        call()


def takes_numbers(value):
    """Whether an argument is a float, or a tensor of some."""
    return value.is_floating_point() if isinstance(value, Tensor) else type(value) is float


NUMERIC = [one for one in ARGUMENTS if takes_numbers(CALLS[one.values[0]][one.values[1]])]


@pytest.mark.parametrize(("function", "name"), NUMERIC)
@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_are_none_never_break_what_is_inside(function, name, number):
    """They are refused at the door, or pass through; no error of a library that names nothing of ours."""
    right = CALLS[function][name]
    if isinstance(right, Tensor):
        wrong = right.clone(memory_format=torch.contiguous_format)
        wrong.view(-1)[0] = number
    else:
        wrong = number
    with contextlib.suppress(ValueError):
        function(**{**CALLS[function], name: wrong})


LINEAR, OTHER = nn.Linear(3, 2), nn.Linear(3, 4)
SHADE = replace(IMAGES, pixels=IMAGES.pixels * 0)


@pytest.mark.parametrize(("call", "told"), [
    (lambda: training.Stack([LINEAR, OTHER]), "models[1] has other weights than models[0]"),
    (lambda: training.Stack([LINEAR, nn.Conv2d(1, 1, 1)]), "models[1] has other weights"),
    (lambda: training.ImageStack.of([], []), "sets are none"),
    (lambda: training.ImageStack.of([IMAGES, IMAGES.subset(slice(2))], [IMAGES] * 2), "sets[1] has the shape (2, 1"),
    (lambda: training.ImageStack.of([IMAGES], [SHADE]), "training[0] is of one shade"),
    (lambda: training.distances(*[training.Stack([nn.BatchNorm2d(1)]).state()] * 2), "'num_batches_tracked'"),
    (lambda: jacobian.energy_share([0.0, 0.0], torch.eye(2)), "values are all zero"),
    (lambda: jacobian.energy_share([0.0, 1.0], 2 * torch.eye(2)), "basis has columns that are not orthonormal"),
])  # fmt: skip
def test_what_does_not_fit_together_is_told_at_the_door(call, told):
    with pytest.raises(ValueError, match=re.escape(told)):
        call()


def optional(function, name):
    """Whether None may stand there."""
    return (function, name) in {
        (data.class_labels, "label_separation"), (lab.run, "iterations"), (window.proved_path, "step_size"),
        (plots.log_ticks, "ticks"), (own.Samples, "true"), (own.early_stopping, "test"), (own.draw, "control"),
        (own.early_stopping, "validation"), (report.report, "X"), (report.report, "image_shape"),
        *((data.clusterable_dataset, one) for one in ("n_classes", "labels", "label_separation", "size_range")),
    }  # fmt: skip


ANY_SHAPE = {(own.Samples, "inputs"), (label_noise.corrupt, "inputs"), (remedies.Task, "inputs"),
             (data.nearest_label, "outputs"), (metrics.in_words, "values"), (training.channels_last, "x"),
             (images.content_hash, "pixels"), (training.accuracy, "outputs"), (streams.batches, "order"),
             (rules.uniform_law, "accuracy")}  # fmt: skip
WORDS = {(streams.random_stream, "purpose"), (lab.read, "text"), (plots.band, "label"), (metrics.in_words, "form"),
         (network.Activation, "name")}  # fmt: skip


@pytest.mark.parametrize(("function", "name"), ARGUMENTS)
def test_a_wrong_argument_is_named(function, name):
    right = CALLS[function]
    for wrong in misuses(right[name]):
        if (wrong is None and optional(function, name)) or (function, name) in WORDS:
            continue
        if isinstance(wrong, Tensor) and not wrong.is_complex() and (function, name) in ANY_SHAPE:
            continue
        with pytest.raises(ValueError, match=rf"\b{name}\b"):
            function(**{**right, name: wrong})


@pytest.mark.parametrize(("function", "name"), ARGUMENTS)
def test_a_list_or_an_array_is_taken_by_its_numbers(function, name):
    right = CALLS[function]
    value = right[name]
    if not isinstance(value, Tensor):
        return
    for other in (value.numpy(), *([] if value.dtype == torch.uint8 else [value.tolist()])):
        found, expected = (told(function(**{**right, name: one})) for one in (other, value))
        assert len(found) == len(expected) > 0
        for one, another in zip(found, expected):
            torch.testing.assert_close(one, another, check_dtype=False, rtol=1e-5, atol=1e-5)


def told(result):
    """The tensors and numbers of a result."""
    if isinstance(result, tuple | list):
        return [one for part in result for one in told(part)]
    if hasattr(result, "__dict__") and not isinstance(result, Tensor):
        return [one for part in vars(result).values() if isinstance(part, Tensor | float) for one in told(part)]
    if isinstance(result, str):
        return [float(result.split()[0])] if result[0].isdecimal() and "to" in result else [len(result)]
    return [1 if result is None else result]


ALONE = {(metrics.auroc, "clean"), (metrics.auroc, "flipped"), (metrics.overlap, "clean"), (metrics.overlap, "flipped"),
         (metrics.error_rate, "classes"), (data.nearest_label, "outputs"), (data.nearest_label, "classes"),
         (network.predict, "weights"), (network.predict, "inputs")}  # fmt: skip


def rows(function):
    """The tensors of a call that have a row for each of the same things."""
    found = {name: value for name, value in CALLS[function].items() if isinstance(value, Tensor) and value.ndim}
    lengths = [len(value) for value in found.values()]
    return [name for name, value in found.items() if lengths.count(len(value)) > 1 and (function, name) not in ALONE]


MATCHED = [
    pytest.param(function, name, id=f"{function.__name__} {name}") for function in CALLS for name in rows(function)
]


@pytest.mark.parametrize(("function", "name"), MATCHED)
def test_of_tensors_that_belong_together_none_may_be_shorter_or_of_one_row(function, name):
    right = CALLS[function]
    for rows in (right[name][:-1], right[name][:1]):
        with pytest.raises(ValueError, match=r"has shape .*should have"):
            function(**{**right, name: rows})


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: network.predict(W, X.float()), "inputs is float32, but weights float64: give both alike"),
        (lambda: network.predict(W, X[:, :2]), "inputs has shape (6, 2), should have shape (n, d), where d is 3"),
        (lambda: network.predict(W, X, torch.relu), "activation is relu, should be an Activation, such as ERF"),
        (lambda: descent.loss(W, X, Y, criterion="logistic"), "criterion is 'logistic', should be a Criterion"),
        (lambda: data.redraw_labels(CLASSES, 3, 0.5), "classes has shape (), should have shape (K,)"),
        (lambda: data.nearest_label(Y, [1, 0]), "classes are [1, 0], should go up"),
        (lambda: data.check_rate(30), "corruption_rate is 30, should be between 0 and 1"),
        (lambda: data.corrupt_clusters(X, 0.3), "dataset is Tensor of shape (6, 3), should be a Dataset"),
        (lambda: data.around_centers(DATA, 3, noise="ball"), "noise is 'ball', should be 'cap', 'shell' or 'offset'"),
        (lambda: images.Images(IMAGES.inputs(), IMAGES.labels), "pixels are torch.float32, should be"),
        (lambda: images.Images(IMAGES.pixels[:, 0], IMAGES.labels), "pixels has shape (6, 8, 8), should"),
        (lambda: images.load_images(X), "name is Tensor of shape (6, 3), should be a name"),
        (lambda: architectures.conv_net(IMAGES.pixels.shape), "image_shape is torch.Size([6, 1, 8, 8]), should"),
        (lambda: training.cross_entropy(OUTPUTS, CLASSES + 1), "labels should be classes from 0 to 2"),
        (lambda: training.least_squares(OUTPUTS, OUTPUTS), "labels has shape (4, 3), should have (4,) for"),
        (lambda: training.evaluate(MODEL, torch.ones(3, 5)), "inputs of shape (3, 5) do not fit the model: mat1"),
        (lambda: training.Stack(MODEL), "models is Sequential"),
        (lambda: metrics.split_losses(LOSSES, [2, 0, 1, 1, 1, 1]), "flipped should be True and False"),
        (lambda: lab.run("stop"), "state is 'stop', should be the settings of a figure"),
        (lambda: streams.random_stream(None, "x"), "seed is None, should be a whole number"),
        (lambda: network.Activation("step", "sin", torch.cos, torch.ones_like, 1.0), "value is 'sin', should be"),
    ],
)  # fmt: skip
def test_typical_mistakes_are_told_what_would_be_right(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call()


def test_labels_may_be_whole_numbers_and_numbers_of_another_precision_arrays():
    whole = descent.gradient_descent(W, X, Y.long(), step_size=0.1, iterations=3)
    floats = descent.gradient_descent(W, X, Y, step_size=0.1, iterations=3)
    assert torch.equal(whole.outputs, floats.outputs)
    arrays = descent.loss(W, X.numpy().astype(np.float32), Y.tolist())
    torch.testing.assert_close(arrays, descent.loss(W, X, Y), rtol=1e-6, atol=0)
    assert arrays.dtype == torch.float64


def test_a_list_of_numbers_keeps_their_digits():
    assert data.clusterable_dataset(
        4, 2, 3, input_noise=0.1, labels=[0.1, 0.3], dtype=torch.float64
    ).classes.tolist() == [0.1, 0.3]


@pytest.mark.parametrize("value", [torch.sin, lambda z: torch.sin(z), nn.Tanh(), torch.nn.functional.silu])
def test_an_activation_may_be_made_of_functions_that_write_into_no_tensor(value):
    slope = lambda z: torch.func.vmap(torch.func.grad(lambda one: value(one[None])[0]))(z.flatten()).reshape(z.shape)
    mine = network.Activation("mine", value, slope, network.kappa_by_quadrature(slope, 20), 1.2)
    run = descent.gradient_descent(W, X, Y, step_size=0.1, iterations=2, activation=mine)
    step = W - 0.1 * descent.gradient(W, X, Y, mine)
    torch.testing.assert_close(run.outputs[1], network.predict(step, X, mine))
    out = torch.empty(3)
    assert mine.value(torch.zeros(3), out=out) is out
    assert replace(mine, name="again").value is mine.value and network.ERF.value is torch.erf


def test_images_of_ones_own_need_no_title_and_may_be_arrays():
    mine = images.Images(IMAGES.pixels.numpy(), IMAGES.labels.tolist(), given=IMAGES.labels.numpy().astype(np.uint8))
    assert (
        mine.title == "images of your own" and torch.equal(mine.given, mine.labels) and mine.given.dtype == torch.int64
    )
    with pytest.raises(ValueError, match="7 images asked for, but images of your own has 6"):
        images.sample_split(mine, 7)
