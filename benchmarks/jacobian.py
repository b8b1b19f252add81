"""The spectrum of a ResNet's Jacobian: J Jᵀ against `jacrev`, `nngeometry`, `neural-tangents`."""

from collections.abc import Callable

import torch
from common import about, alternate, arguments, compared, print_about, print_compared, print_table, save, timed
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap

from earlystop.architectures import count_parameters, resnet
from earlystop.figures import fig4c
from earlystop.figures.fig4c import Figure4c
from earlystop.jacobian import model_gram, singular_values, top_singular_values
from earlystop.runs.experiment import peak_memory
from earlystop.runs.machine import here
from earlystop.streams import random_stream
from earlystop.training import calibrate

SHARES = (0.1, 0.01, 0.001)


def first(outputs: Tensor) -> Tensor:
    """The number that J is taken of: the single output."""
    return outputs[0]


def problem(n: int, depth: int, width: int) -> tuple[nn.Module, Tensor]:
    """A ResNet with one output in eval mode, and n random images of 3 × 32 × 32."""
    model = resnet(depth, 3, width, 1).to(here().device)
    inputs = torch.randn(n, 3, 32, 32, generator=random_stream(0, "images")).to(here().device)
    calibrate(model, inputs)
    return model, inputs


def ours(model: nn.Module, inputs: Tensor) -> Tensor:
    """All singular values of J from J Jᵀ."""
    return singular_values(model_gram(model, inputs, first))


def _parameters(model: nn.Module) -> dict[str, Tensor]:
    return {name: p.detach() for name, p in model.named_parameters()}


def whole_jacobian(model: nn.Module, inputs: Tensor) -> Tensor:
    """J by `jacrev` of all outputs; one at a time, which was faster than all at once."""

    def outputs(parameters):
        return functional_call(model, parameters, (inputs,))[:, 0]

    parts = jacrev(outputs, chunk_size=1)(_parameters(model))
    return torch.cat([part.flatten(1) for part in parts.values()], dim=1)


def sample_jacobian(model: nn.Module, inputs: Tensor) -> Tensor:
    """J by `jacrev` of one output, `vmap` over the samples, all at once."""

    def output(parameters, x):
        return functional_call(model, parameters, (x[None],))[0, 0]

    parts = vmap(jacrev(output), in_dims=(None, 0))(_parameters(model), inputs)
    return torch.cat([part.flatten(1) for part in parts.values()], dim=1)


def against_jacrev(n: int, depth: int, width: int, repeats: int, whole: bool) -> list[dict]:
    """Ours against J itself and its SVD; J of the `whole` set costs n² gradients."""
    model, inputs = problem(n, depth, width)
    ways = {
        "ours: J Jᵀ, eigenvalues": lambda: ours(model, inputs),
        "vmap of jacrev, svdvals": lambda: torch.linalg.svdvals(sample_jacobian(model, inputs)),
    }
    if whole:
        ways["jacrev of the set, svdvals"] = lambda: torch.linalg.svdvals(whole_jacobian(model, inputs))
    rows = compared(alternate(ways, repeats), next(iter(ways)))
    return _with_difference(rows, ways)


def _with_difference(rows: list[dict], ways: dict[str, Callable]) -> list[dict]:
    """Add how far each way's singular values are from as many of ours, relative to the largest."""
    own = ways[rows[0]["way"]]()
    for row in rows[1:]:
        values = ways[row["way"]]().to(own)
        row["difference / σ₁"] = ((values - own[: len(values)]).abs().max() / own[0]).item()
    return rows


def against_packages(n: int, depth: int, width: int, repeats: int, implementation: str) -> tuple[list[dict], list[str]]:
    """Ours against the packages that are installed, and a line for each that is not.

    All of them find J Jᵀ; its eigenvalues come from `singular_values` everywhere.
    """
    model, inputs = problem(n, depth, width)
    ways = {"ours": lambda: ours(model, inputs)}
    missing = []
    for name, prepare in (
        ("nngeometry", lambda: _nngeometry(model, inputs)),
        (f"neural-tangents, {implementation}", lambda: _tangents(model, inputs, implementation)),
    ):
        try:
            gram = prepare()
        except ImportError as error:
            missing.append(f"{name} is left out: {error}")
            continue
        ways[name] = lambda gram=gram: singular_values(gram())
    rows = compared(alternate(ways, repeats), "ours")
    return _with_difference(rows, ways), missing


def _nngeometry(model: nn.Module, inputs: Tensor) -> Callable[[], Tensor]:
    """`GramMatrix` of the whole set in one batch, so that no gradient is taken twice."""
    from nngeometry.gram import GramMatrix
    from torch.utils.data import DataLoader, TensorDataset

    def gram() -> Tensor:
        data = TensorDataset(inputs, torch.zeros(len(inputs)))
        loader = DataLoader(data, batch_size=len(inputs))
        return GramMatrix(model, loader).to_torch()[0, :, 0].detach()

    return gram


def _tangents(model: nn.Module, inputs: Tensor, implementation: str) -> Callable[[], Tensor]:
    """`empirical_ntk_fn` of the whole set at once, compiled, so that no gradient is taken twice."""
    import jax
    import neural_tangents as nt
    from jax_resnet import translated

    apply, parameters = translated(model.cpu())
    kernel = nt.empirical_ntk_fn(
        apply, trace_axes=(-1,), vmap_axes=0, implementation=nt.NtkImplementation[implementation]
    )
    kernel = jax.jit(kernel, static_argnums=1)  # x2 is None: the same set
    images = jax.numpy.asarray(inputs.cpu().numpy())
    model.to(here().device)

    def gram() -> Tensor:
        found = kernel(images, None, parameters)
        return torch.from_numpy(jax.device_get(found).copy())

    return gram


def float32_error(n: int, depth: int, width: int) -> list[dict]:
    """Largest relative error of our values above a share of σ₁, against an SVD in float64."""
    model, inputs = problem(n, depth, width)
    values = ours(model, inputs)
    exact = torch.linalg.svdvals(sample_jacobian(model.cpu().double(), inputs.cpu().double()))
    error = (values.cpu() / exact - 1).abs()
    rows = []
    for share in SHARES:
        above = exact > share * exact[0]
        rows.append({"above": share, "values": int(above.sum()), "error": error[above].max().item()})
    return rows


def largest_only(n: int, depth: int, width: int, rank: int, repeats: int) -> list[dict]:
    """The route without memory for J: the `rank` largest values by Lanczos iterations."""
    model, inputs = problem(n, depth, width)
    ways = {
        "ours, all values": lambda: ours(model, inputs),
        f"ours, the {rank} largest, without J": lambda: top_singular_values(model, inputs, first, rank)[0],
    }
    rows = compared(alternate(ways, repeats), next(iter(ways)))
    return _with_difference(rows, ways)


def full_size(n: int) -> list[dict]:
    """Seconds of each stage of Figure 4c on n images of CIFAR-10, before training."""
    config = Figure4c.at("paper", samples=n)
    inputs, _ = fig4c.load_data(config)
    model = resnet(config.depth, inputs.shape[1], config.width, 1).to(here().device)
    calibrate(model, inputs)
    rows, found = [], {}

    def gram() -> None:
        found["gram"] = model_gram(model, inputs, first, limit=7e9)

    stages = {
        "gradients and J Jᵀ": gram,
        "eigenvalues": lambda: torch.linalg.eigvalsh(found["gram"]),
        "eigenvalues and eigenvectors": lambda: torch.linalg.eigh(found["gram"]),
    }
    for stage, work in stages.items():
        seconds = timed(work)
        rows.append({"stage": stage, "seconds": seconds, "peak memory in GB": peak_memory(here().device)})
    return rows


def main() -> None:
    """All comparisons, or with --full the paper's size alone."""
    parser = arguments(__doc__)
    parser.add_argument("--samples", type=int, default=300, help="for vmap (default: 300)")
    parser.add_argument("--whole-samples", type=int, default=100, help="for jacrev (default: 100)")
    parser.add_argument("--package-samples", type=int, default=200, help="(default: 200)")
    parser.add_argument("--error-samples", type=int, default=60, help="(default: 60)")
    parser.add_argument("--rank", type=int, default=10, help="largest values alone (default: 10)")
    parser.add_argument("--depth", type=int, default=20, help="of the ResNet (default: 20)")
    parser.add_argument("--width", type=int, default=16, help="of its first stage (default: 16)")
    parser.add_argument("--nt", default="JACOBIAN_CONTRACTION", metavar="IMPLEMENTATION",
                        help="of neural-tangents (default: JACOBIAN_CONTRACTION)")  # fmt: skip
    parser.add_argument("--full", type=int, nargs="?", const=10_000, metavar="N",
                        help="only the stages for N images of CIFAR-10 (10,000)")  # fmt: skip
    options = parser.parse_args()
    facts = about("nngeometry", "neural-tangents", "jax")
    print_about(facts)
    content = {"benchmark": "jacobian", **facts}
    if options.full:
        content["full"] = full_size(options.full)
        rows = [[*row.values()] for row in content["full"]]
        print_table(f"n = {options.full:,} on CIFAR-10", [*content["full"][0]], rows)
        return save(options.save, content)

    shape = options.depth, options.width
    count = count_parameters(resnet(options.depth, 3, options.width, 1))
    size = f"ResNet-{options.depth}, {count:,} parameters"
    content["jacrev"] = {}
    for n, whole in ((options.whole_samples, True), (options.samples, False)):
        rows = content["jacrev"][n] = against_jacrev(n, *shape, options.repeats, whole)
        print_compared(f"{size}, n = {n}", rows, "difference / σ₁")
    rows, missing = against_packages(options.package_samples, *shape, options.repeats, options.nt)
    content["packages"] = rows
    print_compared(f"{size}, n = {options.package_samples}", rows, "difference / σ₁")
    for line in missing:
        print(line)
    n = options.error_samples
    rows = content["top"] = largest_only(n, *shape, options.rank, options.repeats)
    print_compared(f"{size}, n = {n}", rows, "difference / σ₁")
    rows = content["error"] = float32_error(n, *shape)
    print_table(
        f"largest relative error of our values against float64, n = {n}",
        ["above this share of σ₁", "how many", "error"],
        [[*row.values()] for row in rows],
    )
    save(options.save, content | {"options": {k: str(v) for k, v in vars(options).items()}})


if __name__ == "__main__":
    main()
