"""The Jacobian of a network, its spectrum, and the two spaces it splits residuals into."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from earlystop.network import ERF, Activation, output_weights
from earlystop.page import progress


def jacobian(
    weights: Float[Tensor, "k d"], inputs: Float[Tensor, "n d"], activation: Activation = ERF
) -> Float[Tensor, "n k*d"]:
    """J(W): row i is the derivative of f(W, xᵢ) by the entries of W, (v ⊙ φ'(W xᵢ)) xᵢᵀ."""
    slopes = activation.derivative(inputs @ weights.T) * output_weights(len(weights), weights)
    return torch.einsum("nk,nd->nkd", slopes, inputs).flatten(1)


def gram(
    weights: Float[Tensor, "k d"], inputs: Float[Tensor, "n d"], activation: Activation = ERF
) -> Float[Tensor, "n n"]:
    """J Jᵀ without forming J: (XXᵀ) ⊙ (φ'(XWᵀ) diag(v²) φ'(WXᵀ))."""
    slopes = activation.derivative(inputs @ weights.T) * output_weights(len(weights), weights)
    return (inputs @ inputs.T) * (slopes @ slopes.T)


def model_gram(
    model: nn.Module,
    inputs: Tensor,
    output: Callable[[Tensor], Tensor],
    chunk: int = 64,
    limit: float = 4e9,
) -> Float[Tensor, "n n"]:
    """J Jᵀ of any model in eval mode, all of its parameters together, as float64.

    `inputs` is (n, ...); `output` maps the model's output for one sample (a vector) to a number.
    Gradients are taken one sample at a time, `chunk` together, in the precision of the model.
    No more than `limit` bytes of J are held at a time: where all of it is larger, the product
    is put together from blocks of rows, which are computed again when they are needed again.
    """
    if any(module.training for module in model.modules()):
        raise ValueError("put the model in eval mode: batch statistics would couple the samples")
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    buffers = dict(model.named_buffers())
    count = sum(p.numel() for p in parameters.values())

    def number(parameters, x):
        return output(torch.func.functional_call(model, (parameters, buffers), (x[None],))[0])

    per_sample = torch.func.vmap(torch.func.grad(number), in_dims=(None, 0))

    def rows(part: slice) -> Float[Tensor, "m p"]:
        block = inputs.new_empty(len(inputs[part]), count)
        for few, target in zip(inputs[part].split(chunk), block.split(chunk)):
            gradients = per_sample(parameters, few).values()
            torch.cat([g.flatten(1) for g in gradients], dim=1, out=target)
        return block

    bytes_per_row = count * inputs.element_size()
    size = len(inputs)
    if size * bytes_per_row > limit:  # two blocks at a time
        size = max(1, int(limit / 2 / bytes_per_row))
    parts = [slice(start, start + size) for start in range(0, len(inputs), size)]
    gram = inputs.new_empty(len(inputs), len(inputs))
    for done, part in enumerate(progress(parts, "Jacobian")):
        block = rows(part)
        gram[part, part] = block @ block.T
        for other in parts[:done]:
            gram[part, other] = block @ rows(other).T
            gram[other, part] = gram[part, other].T
    return gram.double()


def singular_values(gram: Float[Tensor, "n n"]) -> Float[Tensor, " n"]:
    """Singular values of J from J Jᵀ, largest first."""
    return torch.linalg.eigvalsh(gram.double()).clamp(min=0).sqrt().flip(0)


def information_space(gram: Float[Tensor, "n n"], rank: int) -> Float[Tensor, "n rank"]:
    """Orthonormal left singular vectors of J for its `rank` largest singular values.

    Raises `ValueError` unless 1 ≤ rank ≤ n.
    """
    if not 1 <= rank <= len(gram):
        raise ValueError(f"rank is {rank}, should be between 1 and {len(gram)}")
    return torch.linalg.eigh(gram.double()).eigenvectors[:, -rank:].flip(1)


def energy_share(
    values: Float[Tensor, "... n"], basis: Float[Tensor, "n r"]
) -> Float[Tensor, "..."]:
    """Share of ‖values‖² that lies in the span of the orthonormal columns of `basis`."""
    values = values.to(basis)
    return (values @ basis).square().sum(-1) / values.square().sum(-1)
