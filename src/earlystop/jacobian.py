"""The Jacobian of a network, its spectrum, and the two spaces it splits residuals into."""

from collections import Counter
from collections.abc import Callable

import numpy as np
import psutil
import torch
from jaxtyping import Float
from torch import Tensor, nn

from earlystop.arguments import counts, finite, fitting, functions, kinds, refuse, tensors
from earlystop.network import ERF, Activation, Inputs, Weights, check_activation, output_weights
from earlystop.runs.machine import Machine


def jacobian(weights: Weights, inputs: Inputs, activation: Activation = ERF) -> Float[Tensor, "n k*d"]:
    """J(W): row i is the derivative of f(W, xᵢ) by the entries of W, (v ⊙ φ'(W xᵢ)) xᵢᵀ.

    >>> earlystop.jacobian.jacobian(torch.zeros(2, 3), torch.eye(3)).shape
    torch.Size([3, 6])
    """
    slopes, inputs = _slopes(weights, inputs, activation)
    return torch.einsum("nk,nd->nkd", slopes, inputs).flatten(1)


def gram(weights: Weights, inputs: Inputs, activation: Activation = ERF) -> Float[Tensor, "n n"]:
    """J Jᵀ without forming J: (XXᵀ) ⊙ (φ'(XWᵀ) diag(v²) φ'(WXᵀ)).

    >>> earlystop.jacobian.gram(torch.zeros(2, 3), torch.eye(3)).diag().round(decimals=2)
    tensor([1.2700, 1.2700, 1.2700])
    """
    slopes, inputs = _slopes(weights, inputs, activation)
    return (inputs @ inputs.T) * (slopes @ slopes.T)


def _slopes(weights: Weights, inputs: Inputs, activation: Activation) -> tuple[Float[Tensor, "n k"], Inputs]:
    """The derivative of f(W, xᵢ) by the sums that enter the hidden units, v ⊙ φ'(W xᵢ), and the inputs."""
    check_activation(activation)
    weights, inputs = tensors(weights=(weights, "k d"), inputs=(inputs, "n d"))
    return activation.derivative(inputs @ weights.T) * output_weights(len(weights), weights), inputs


def model_gram(
    model: nn.Module, inputs: Float[Tensor, "n ..."], output: Callable[[Tensor], Tensor], machine: Machine = Machine()
) -> Float[Tensor, "n n"]:
    """J Jᵀ of any model in eval mode, all of its parameters together, as float64.

    `output` maps the model's output for one sample (a vector) to a number. The part of linear layers is the product of
    two small Gram matrices, of what enters them and of the gradients of what leaves them. For all other parameters,
    gradients are taken one sample at a time, several together, in the precision of the model; only half of the
    symmetric product is computed. At most `machine.jacobian_bytes` of these rows are held, no more than half
    of the free memory; those beyond are computed again for every further part. Raises `ValueError`
    for a model in training mode, or one that couples the samples of a batch.

    >>> earlystop.jacobian.model_gram(torch.nn.Linear(2, 1).eval(), torch.eye(2), torch.sum)
    tensor([[2., 1.],
            [1., 2.]], dtype=torch.float64)
    """
    inputs = _taken(model, inputs, output)
    layers = [one for one in _linear_layers(model, inputs[:2]) if _is_alone(model, one, inputs[:3], output)]
    gram = sum((_linear_gram(model, layer, inputs, output) for layer in layers), start=inputs.new_zeros(1).double())
    done = {id(p) for layer in layers for p in layer.parameters()}
    others = [name for name, p in model.named_parameters() if id(p) not in done]
    return gram + _gram_of_rows(model, others, inputs, output, machine) if others else gram


def _linear_layers(model: nn.Module, few: Float[Tensor, "m ..."]) -> list[nn.Linear]:
    """The linear layers that see one vector for each sample, once, with weights that are theirs alone."""
    seen: list[nn.Module] = []
    owners = Counter(id(p) for module in model.modules() for p in module.parameters(recurse=False))
    layers = [module for module in model.modules() if type(module) is nn.Linear]
    layers = [one for one in layers if all(owners[id(p)] == 1 for p in one.parameters())]
    hooks = [one.register_forward_pre_hook(lambda m, x: seen.extend([m] * (1 + (x[0].dim() != 2)))) for one in layers]
    with torch.no_grad():
        model(few)
    for hook in hooks:
        hook.remove()
    return [one for one in layers if sum(module is one for module in seen) == 1]


def _is_alone(model: nn.Module, layer: nn.Linear, few: Tensor, output: Callable) -> bool:
    """Whether nothing else in the model uses the weights of a linear layer, as seen by the gradients of few samples."""
    mine = {id(p): p.numel() for p in layer.parameters()}
    names = [name for name, p in model.named_parameters() if id(p) in mine]
    rows = few.new_zeros(len(few), sum(mine.values()))
    _row_function(model, names, output)(few, rows)
    whole = (rows @ rows.T).double()
    return torch.allclose(
        _linear_gram(model, layer, few, output), whole, rtol=1e-3, atol=1e-3 * whole.abs().max().item()
    )


def _linear_gram(model, layer: nn.Linear, inputs, output) -> Float[Tensor, "n n"]:
    """The part of a linear layer: its gradient for a sample is δ hᵀ, from h that enters and δ at what leaves it."""
    entered, slopes = [], []

    def watch(module, arguments, left):
        entered.append(arguments[0].detach())
        slopes.append(torch.zeros_like(left, requires_grad=True))
        return left + slopes[-1]

    hook, found = layer.register_forward_hook(watch), []
    try:
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            for few in inputs.split(500):
                numbers = torch.vmap(output)(model(few))
                found += torch.autograd.grad(numbers.sum(), slopes[-1], materialize_grads=True)
    finally:
        hook.remove()
    h, delta = torch.cat(entered), torch.cat(found)
    return _mirrored(_exact_product(delta, delta)) * (_mirrored(_exact_product(h, h)) + (layer.bias is not None))


def _gram_of_rows(model, names: list[str], inputs, output, machine: Machine) -> Float[Tensor, "n n"]:
    """The part of the parameters with these names, from their rows of J."""
    rows = _row_function(model, names, output)
    n, p = len(inputs), sum(model.get_parameter(name).numel() for name in names)
    limit, tile_rows = min(machine.jacobian_bytes, 0.5 * _free_bytes(inputs.device)), machine.tile
    size = max(1, min(n, int(limit / p / inputs.element_size())))  # rows held at a time
    gram = inputs.new_zeros(n, n)
    held = inputs.new_empty(size, p)
    spare = inputs.new_empty(min(tile_rows, n) if size < n else 0, p)
    tiles = [(part, row) for part in range(0, n, size) for row in _tiles(part, n, size, tile_rows)]
    for first, (start, end) in machine.progress(tiles, "Jacobian"):
        inside = end <= first + size
        tile = held[start - first : end - first] if inside else spare[: end - start]
        rows(inputs[start:end], tile)
        known = held[: min(end - first, size)]
        gram[start:end, first : first + len(known)] = _exact_product(tile, known)
    del held, spare  # J is not needed any more
    return _mirrored(gram)


def _mirrored(gram: Float[Tensor, "n n"]) -> Float[Tensor, "n n"]:
    """The symmetric matrix with this lower half, as float64."""
    return gram.tril().double() + gram.tril(-1).T.double()


def _taken(model: nn.Module, inputs: Float[Tensor, "n ..."], output: Callable[[Tensor], Tensor]) -> Tensor:
    """The inputs as a tensor. Raises `ValueError` for a model whose J has no rows."""
    kinds(nn.Module, "a network, an nn.Module", model=model)
    functions(output=output)
    _check_mode(model)
    inputs = fitting(model, inputs)
    finite(inputs=inputs)
    _check_separate(model, inputs)
    return inputs


def _tiles(first: int, n: int, size: int, rows: int) -> list[tuple[int, int]]:
    """Rows from `first` on in tiles, none of which crosses the end of the rows held."""
    starts = [*range(first, min(first + size, n), rows), *range(first + size, n, rows)]
    return list(zip(starts, [*starts[1:], n]))


def _exact_product(left: Float[Tensor, "m p"], right: Float[Tensor, "n p"]) -> Float[Tensor, "m n"]:
    """left · rightᵀ in full float32: no TF32, which would drown the small singular values."""
    allowed = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = False
    try:
        return left @ right.T
    finally:
        torch.backends.cuda.matmul.allow_tf32 = allowed


def _check_mode(model: nn.Module) -> None:
    """Raise `ValueError` for a model that normalizes by the batch."""
    if any(module.training for module in model.modules()):
        raise ValueError("put the model in eval mode: batch statistics would couple the samples")
    for name, module in model.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is None:
            raise ValueError(
                f"{name or 'the model'} normalizes by the batch also in eval mode: "
                "use batch normalization with track_running_stats=True"
            )


@torch.no_grad()
def _check_separate(model: nn.Module, inputs: Float[Tensor, "n ..."]) -> None:
    """Raise `ValueError` if the model's output for a sample depends on the others: J has no rows then."""
    few = inputs[:3]
    together, alone = model(few), torch.cat([model(one[None]) for one in few])
    if not torch.allclose(together, alone, rtol=1e-3, atol=1e-3 * together.abs().max().item()):
        raise ValueError("the model's output for a sample depends on the other samples of its batch")


def _row_function(model: nn.Module, names: list[str], output: Callable[[Tensor], Tensor]):
    """A function that writes the rows of J for some inputs into a tensor, of the parameters with these names."""
    fixed = {name: p.detach() for name, p in model.named_parameters()} | dict(model.named_buffers())
    parameters = {name: fixed.pop(name) for name in names}

    def number(parameters, x):
        return output(torch.func.functional_call(model, {**fixed, **parameters}, (x[None],))[0])

    per_sample = torch.func.vmap(torch.func.grad(number), in_dims=(None, 0))

    def rows(inputs: Float[Tensor, "m ..."], out: Float[Tensor, "m p"]) -> None:
        together = 512 if inputs.is_cuda else 64
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            for few, target in zip(inputs.split(together), out.split(together)):
                gradients = per_sample(parameters, few).values()
                torch.cat([g.flatten(1) for g in gradients], dim=1, out=target)

    return rows


def _free_bytes(where: torch.device) -> float:
    if where.type == "cuda":
        return torch.cuda.mem_get_info(where)[0]
    return psutil.virtual_memory().available


def top_singular_values(
    model: nn.Module,
    inputs: Float[Tensor, "n ..."],
    output: Callable[[Tensor], Tensor],
    rank: int,
    batch_size: int = 1000,
) -> tuple[Float[Tensor, " rank"], Float[Tensor, "n rank"]]:
    """The `rank` largest singular values of J and their left singular vectors, without J.

    For n too large for J Jᵀ: Lanczos iterations (ARPACK) on the product with J Jᵀ, one backward and one forward
    derivative of the whole set each. Raises `ValueError` unless 1 ≤ rank < n, and for models that `model_gram` refuses.

    >>> model = torch.nn.Linear(3, 1).eval()
    >>> values, vectors = earlystop.jacobian.top_singular_values(model, torch.eye(3), torch.sum, rank=1)
    >>> values.round(decimals=3)
    tensor([2.], dtype=torch.float64)
    """
    inputs = _taken(model, inputs, output)
    n = len(inputs)
    counts(rank=rank)
    refuse({f"rank is {rank}, should be between 1 and {n - 1}": not 1 <= rank < n})
    counts(least=1, batch_size=batch_size)
    from scipy.sparse.linalg import LinearOperator, eigsh

    product = _gram_product(model, inputs, output, batch_size)
    operator = LinearOperator((n, n), matvec=product, dtype="float64")  # pyright: ignore[reportCallIssue]
    values, vectors = eigsh(operator, k=rank, v0=np.ones(n), tol=1e-6)  # pyright: ignore[reportArgumentType]
    order = values.argsort()[::-1].copy()  # largest first
    return torch.from_numpy(values[order]).clamp(min=0).sqrt(), torch.from_numpy(vectors[:, order])


def _gram_product(model, inputs, output, batch_size: int) -> Callable[[np.ndarray], np.ndarray]:
    """The function u ↦ J(Jᵀu)."""
    parameters = {name: p.detach() for name, p in model.named_parameters()}
    parts = inputs.split(batch_size)

    def outputs(part: Tensor) -> Callable[[dict], Tensor]:
        return lambda weights: torch.func.vmap(output)(torch.func.functional_call(model, weights, (part,)))

    def product(u: np.ndarray) -> np.ndarray:
        few = torch.as_tensor(u, dtype=inputs.dtype, device=inputs.device).flatten().split(batch_size)
        total = {name: torch.zeros_like(p) for name, p in parameters.items()}
        for part, u_part in zip(parts, few):  # Jᵀu
            for name, change in torch.func.vjp(outputs(part), parameters)[1](u_part)[0].items():
                total[name] += change
        pushed = [torch.func.jvp(outputs(part), (parameters,), (total,))[1] for part in parts]
        return torch.cat(pushed).double().cpu().numpy()  # J(Jᵀu)

    return product


def singular_values(gram: Float[Tensor, "n n"]) -> Float[Tensor, " n"]:
    """Singular values of J from J Jᵀ, largest first.

    >>> earlystop.jacobian.singular_values([[1.0, 0.0], [0.0, 4.0]])
    tensor([2., 1.], dtype=torch.float64)
    """
    (gram,) = tensors(torch.float64, gram=(gram, "n n"))
    finite(gram=gram)
    return torch.linalg.eigvalsh(gram).clamp(min=0).sqrt().flip(0)


def information_space(gram: Float[Tensor, "n n"], rank: int) -> Float[Tensor, "n rank"]:
    """Orthonormal left singular vectors of J for its `rank` largest values. `ValueError` unless 1 ≤ rank ≤ n.

    >>> earlystop.jacobian.information_space([[1.0, 0.0], [0.0, 4.0]], rank=1).abs().flatten()
    tensor([0., 1.], dtype=torch.float64)
    """
    (gram,) = tensors(torch.float64, gram=(gram, "n n"))
    finite(gram=gram)
    counts(rank=rank)
    refuse({f"rank is {rank}, should be between 1 and {len(gram)}": not 1 <= rank <= len(gram)})
    return torch.linalg.eigh(gram).eigenvectors[:, -rank:].flip(1)


def energy_share(values: Float[Tensor, "... n"], basis: Float[Tensor, "n r"]) -> Float[Tensor, "..."]:
    """Share of ‖values‖² that lies in the span of the orthonormal columns of `basis`. `ValueError` for zero.

    >>> earlystop.jacobian.energy_share([3.0, 4.0], [[1.0], [0.0]])
    tensor(0.3600)
    """
    (basis,) = tensors(basis=(basis, "n r"))
    basis, values = tensors(basis.dtype, basis=(basis, "n r"), values=(values, "... n"))
    apart = (basis.T @ basis - torch.eye(basis.shape[1]).to(basis)).abs().max() if basis.shape[1] else 0
    refuse({
        "values are all zero: they lie in every space": not bool(values.any(dim=-1).all()),
        "basis has columns that are not orthonormal": not apart < 1e-3,
    })  # fmt: skip
    return (values @ basis).square().sum(-1) / values.square().sum(-1)
