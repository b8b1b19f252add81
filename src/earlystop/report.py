"""What a classifier has found about its labels, for a notebook: pictures, curves, a table, and what not to trust."""

import base64
import html
import io
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from earlystop import plots
from earlystop.arguments import counts, kinds, refuse, values
from earlystop.estimator import EarlyStoppingClassifier

FEW = 30  # samples of a class, below which its row says little
ALTS = (
    "The most suspicious samples, each with its label and another answer.",
    "Agreement with labels that were seen and not seen, by epoch.",
)
TABLE = ("class", "samples", "suspects", "share", "mostly answered as")


@dataclass(frozen=True)
class Report:
    """A report on labels. A notebook shows all of it; its parts are here by name.

    `summary` and `cautions` are sentences, `rows` the table of the classes below `TABLE`, `suspects` the samples that
    are counted there, the most suspicious first, as many as the estimated share of wrong labels says.

    >>> X, y = torch.eye(2).repeat(20, 1), ["cat", "dog"] * 19 + ["cat"] * 2
    >>> model = earlystop.estimator.EarlyStoppingClassifier(random_state=0).fit(X, y)
    >>> [row[0] for row in earlystop.report.report(model).rows]
    ['cat', 'dog']
    """

    summary: list[str]
    cautions: list[str]
    rows: list[list[Any]]
    suspects: list[int]
    curves: Figure
    pictures: Figure | None

    def _repr_html_(self) -> str:
        told = [f"<p>{html.escape(' '.join(self.summary))}</p>"]
        told += [_image(figure, alt) for figure, alt in ((self.pictures, ALTS[0]), (self.curves, ALTS[1])) if figure]
        head, *rows = [[html.escape(str(cell)) for cell in row] for row in (TABLE, *self.rows)]
        told.append(f"<table><tr><th>{'</th><th>'.join(head)}</th></tr>")
        told += [f"<tr><td>{'</td><td>'.join(row)}</td></tr>" for row in rows]
        told += [
            "</table><p><b>What not to trust</b></p><ul>",
            *(f"<li>{html.escape(one)}</li>" for one in self.cautions),
        ]
        return "".join([*told, "</ul>"])


def report(
    model: EarlyStoppingClassifier, X: Any = None, *, image_shape: tuple[int, ...] | None = None, most: int = 15
) -> Report:
    """What a fitted classifier says of the labels that it has learned from; no true label is needed.

    `X` are the inputs of its fit, in their order, of which the `most` suspicious are drawn if they are images (n,
    channels, height, width), or features of which each row is one of `image_shape`, as (28, 28). Without `X` nothing
    is drawn. Raises `ValueError` if the classifier is not fitted, or `X` has other samples or another shape.

    >>> X, y = torch.eye(2).repeat(20, 1), ["cat", "dog"] * 19 + ["cat"] * 2
    >>> model = earlystop.estimator.EarlyStoppingClassifier(random_state=0).fit(X, y)
    >>> earlystop.report.report(model, X, image_shape=(1, 2), most=4).rows[0][:2]
    ['cat', 21]
    """
    kinds(EarlyStoppingClassifier, "an EarlyStoppingClassifier", model=model)
    check_is_fitted(model)
    counts(least=1, most=most)
    found = model.cross_fit_
    order = found.suspicion.argsort(descending=True, stable=True)
    suspects = order[: round(found.share_wrong.estimate * len(order))]
    images = None if X is None else _images(X, len(order), image_shape)
    drawn = curves(model), None if images is None else _pictures(model, images, order[:most].tolist())
    for figure in filter(None, drawn):
        plt.close(figure)  # a notebook shows them where the report is shown
    return Report(_summary(model), cautions(model), _rows(model, suspects), suspects.tolist(), *drawn)


def cautions(model: EarlyStoppingClassifier) -> list[str]:
    """What not to trust of what a fitted classifier says of its labels, in sentences.

    >>> X, y = torch.eye(2).repeat(20, 1), [0, 1] * 20
    >>> model = earlystop.estimator.EarlyStoppingClassifier(random_state=0).fit(X, y)
    >>> len(earlystop.report.cautions(model))
    3
    """
    kinds(EarlyStoppingClassifier, "an EarlyStoppingClassifier", model=model)
    check_is_fitted(model)
    found, share = model.cross_fit_, model.cross_fit_.share_wrong
    classes = torch.bincount(found.labels, minlength=len(model.classes_))
    agreement, often = found.agreement[found.epoch], classes.max().item() / len(found.labels)
    told = [
        "A suspect is a question, not a verdict. Rare and hard samples with right labels are suspicious, too: look at "
        "them before you remove or change anything.",
        "The share of wrong labels is read off the samples where the networks are surest. It is too small if labels of "
        "hard samples, or of some classes, are wrong more often, and too large if the networks themselves are wrong "
        "there. No true label was used, so nothing here can tell.",
    ]
    if not share.steady:
        told.append(
            "Even among those samples the surer half agrees with its labels more, or less, than the rest: what the "
            "interval rests on may not hold. Do not rely on it."
        )
    if agreement < often + 0.5 * (1 - often):
        told.append(
            f"The networks agree with {agreement:.0%} of the labels that they have not seen, where the most frequent "
            f"class is {often:.0%}: most suspects are what the networks do not know. Try a better network, or better "
            "features."
        )
    if found.epoch == len(found.agreement) - 1:
        told.append("The agreement was best in the last epoch: train for more epochs.")
    if few := [str(one) for one, count in zip(model.classes_, classes.tolist()) if count < FEW]:
        told.append(f"Fewer than {FEW} samples, so that little can be said of them: {', '.join(few)}.")
    return told


def curves(model: EarlyStoppingClassifier) -> Figure:
    """Agreement with labels along the training, seen and not seen, and where it stops.

    >>> X, y = torch.eye(2).repeat(20, 1), [0, 1] * 20
    >>> model = earlystop.estimator.EarlyStoppingClassifier(random_state=0).fit(X, y)
    >>> figure = earlystop.report.curves(model)
    """
    kinds(EarlyStoppingClassifier, "an EarlyStoppingClassifier", model=model)
    check_is_fitted(model)
    found, (figure, ax) = model.cross_fit_, plt.subplots(figsize=(5.5, 3.2))
    epochs = range(len(found.agreement))
    ax.plot(epochs, found.fitted, label="given labels, seen", **plots.line(plots.NOISY))
    ax.plot(epochs, found.agreement, label="given labels, not seen", **plots.line(plots.KINDS[1]))
    ax.axvline(found.epoch, color="black", linewidth=1, label="stopped early")
    ax.set(xlabel="epoch", ylabel="share answered as given", ylim=(0, 1.03))
    figure.legend(loc="outside lower center", ncols=3)
    return figure


def _summary(model: EarlyStoppingClassifier) -> list[str]:
    found, share = model.cross_fit_, model.cross_fit_.share_wrong
    return [
        f"{len(found.labels):,} labels of {len(model.classes_)} classes, judged by networks that have not seen "
        f"them, stopped after epoch {found.epoch} of {len(found.agreement) - 1}.",
        f"Estimated share of wrong labels: {share.estimate:.1%} (95% interval {share.low:.1%} to {share.high:.1%}).",
        f"The networks disagree with {1 - found.agreement[found.epoch]:.1%} of all labels.",
    ]


def _rows(model: EarlyStoppingClassifier, suspects: Tensor) -> list[list[Any]]:
    """Of each class: samples, suspects, their share, and what the networks answer most often for the suspects."""
    found, rows = model.cross_fit_, []
    answers = found.probabilities.argmax(dim=1)
    for k, one in enumerate(model.classes_.tolist()):
        samples, own = int((found.labels == k).sum()), suspects[found.labels[suspects] == k]
        other = answers[own][answers[own] != k]
        mostly = str(model.classes_[int(other.mode().values)]) if len(other) else "–"
        rows.append([str(one), samples, len(own), f"{len(own) / samples:.0%}", mostly])
    return rows


def _images(X: Any, samples: int, image_shape: tuple[int, ...] | None) -> np.ndarray | None:
    """Inputs as images (n, height, width) or with three colors behind, from 0 to 1; None if they are none."""
    (inputs,) = values(X=(X, "*"))
    told = f"X has shape {tuple(inputs.shape)}, should be that of the fit: {samples} rows of features, or images"
    refuse({told: inputs.ndim not in (2, 4) or len(inputs) != samples})
    if image_shape is not None:
        whole = isinstance(image_shape, tuple) and all(isinstance(one, int) and one > 0 for one in image_shape)
        fits = whole and len(image_shape) in (2, 3) and int(np.prod(image_shape)) == inputs[0].numel()
        size = inputs[0].numel()
        refuse({f"image_shape is {image_shape}, should be (height, width) or (channels, height, width) of {size} "
                "numbers": not fits})  # fmt: skip
        inputs = inputs.reshape(samples, *([1] * (3 - len(image_shape))), *image_shape)
    if inputs.ndim != 4:
        return None
    if inputs.shape[1] not in (1, 3):
        inputs = inputs.double().mean(dim=1, keepdim=True)
    low, high = inputs.double().min(), inputs.double().max()
    scaled = (inputs.double() - low) / (high - low).clamp(min=1e-12)
    return (scaled[:, 0] if inputs.shape[1] == 1 else scaled.permute(0, 2, 3, 1)).cpu().numpy()


def _pictures(model: EarlyStoppingClassifier, images: np.ndarray, rows: list[int]) -> Figure:
    """The most suspicious samples, with their label and what the networks answer."""
    found, columns = model.cross_fit_, 5
    figure, axes = plt.subplots(
        -(-len(rows) // columns), columns, figsize=(6.5, 1.55 * -(-len(rows) // columns)), squeeze=False
    )
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, row in zip(axes.flat, rows):
        gray = {"cmap": "gray_r", "vmin": 0, "vmax": 1} if images.ndim == 3 else {}
        ax.imshow(images[row], interpolation="nearest", **gray)
        given, answer = (model.classes_[k] for k in (found.labels[row], found.probabilities[row].argmax()))
        ax.set_title(f"given {given}, or {answer}?" if given != answer else f"given {given}", fontsize=8.5)
    return figure


def _image(figure: Figure, alt: str) -> str:
    with io.BytesIO() as file:
        figure.savefig(file, format="png", dpi=110)
        return f'<img alt="{alt}" src="data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}">'
