"""`python -m earlystop list | run EXPERIMENT ... | verify CLAIM ...`: the paper's figures and claims by one command."""

import argparse
import io
import sys
import time
import warnings
from pathlib import Path
from typing import NoReturn

from earlystop import __version__, ledger
from earlystop.figures import EXPERIMENTS
from earlystop.runs import draw, sweep
from earlystop.runs.experiment import Experiment, find
from earlystop.runs.machine import DEVICES, PRECISIONS, Machine, here, results_folder
from earlystop.runs.sizes import SCALES, Sized, parse_scale
from earlystop.runs.store import write_json
from earlystop.start import duration

LAST = "interrupted: what is finished is kept, the same command goes on from there"
LEAST = {"jobs": 1, "together": 1, "memory": 6, "save_every": 0}  # of the options that are numbers


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, as all others."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}: see {self.prog} --help\n")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    main = Parser(prog="python -m earlystop", description=__doc__)
    main.add_argument("--version", action="version", version=f"earlystop {__version__}")
    commands = main.add_subparsers(dest="command", required=True, metavar="list | run | verify")
    commands.add_parser("list", help="show the experiments and their sizes")
    check = commands.add_parser("verify", help="show the evidence for claims of the paper").add_argument
    check("claims", nargs="*", metavar="CLAIM", help="names of the ledger book/claims.yml (default: all)")
    check("--json", type=Path, metavar="FILE", help="write the verdicts to a file, too")
    add = commands.add_parser("run", help="compute figures and save numbers and pictures").add_argument
    names = f"{', '.join(EXPERIMENTS)}, or a file that registers one"
    add("experiments", nargs="+", metavar="EXPERIMENT", help=names)
    add("--scale", default="quick", help=f"{', '.join(SCALES)} (default: quick)")
    add("--set", action="append", default=[], metavar="KEY=VALUE", help="change a size")
    add("--seeds", type=int, help="the same as --set seeds=...")
    add("--device", choices=DEVICES, help="default: EARLYSTOP_DEVICE, or else auto")
    add("--precision", choices=PRECISIONS, help="default: EARLYSTOP_PRECISION, or else auto")
    folder = results_folder() or Path("results")
    add("--out", type=Path, default=folder, help="folder (default: EARLYSTOP_RESULTS, or else results)")
    add("--jobs", type=int, help="processes side by side (default: one a core)")
    add("--together", type=int, metavar="N", help="runs in one batch (default: 1 on a CPU, 40 on a GPU)")
    memory = "for the spectrum of a Jacobian, at least 6 (default: 12)"
    add("--memory", type=float, default=sweep.MEMORY, metavar="GB", help=memory)
    often = "how often an unfinished run is saved (default: 60)"
    add("--save-every", type=float, default=60, metavar="SECONDS", help=often)
    add("--engine", default="local", choices=("local", "dask"))
    add("--address", help="the scheduler of a dask cluster, such as tcp://host:8786")
    add("--yes", action="store_true", help="do not measure the cost first")
    return main


def list_experiments(_: argparse.Namespace) -> None:
    """Print every experiment with its sizes at each scale."""
    for name, experiment in EXPERIMENTS.items():
        print(f"\n{name}: {experiment.title}")
        print(f"    {'':18}" + "".join(f"{scale:28}" for scale in SCALES))
        for key, size in experiment.config.fields().items():
            texts = [",".join(map(str, v)) if isinstance(v, tuple) else str(v) for v in size.at.values()]
            print(f"    {key:18}" + "".join(f"{t if len(t) < 27 else t[:23] + '...':28}" for t in texts))


def configurations(arguments: argparse.Namespace) -> tuple[str, list[tuple[Experiment, Sized]]]:
    """The scale with its changed sizes, and each experiment with its configuration.

    Raises `ValueError` for all that can be known to be wrong before something is computed.
    """
    changes = [change.replace(" ", "") for change in arguments.set]
    changes += [f"seeds={arguments.seeds}"] * (arguments.seeds is not None)
    for option, least in LEAST.items():
        number = getattr(arguments, option)
        if number is not None and not number >= least:
            raise ValueError(f"--{option.replace('_', '-')} is {number}, should be {least} or more")
    if (arguments.engine == "dask") != (arguments.address is not None):
        raise ValueError("--engine dask and --address tcp://HOST:PORT go together")
    text = " ".join([arguments.scale, *changes])
    scale, sizes = parse_scale(text)
    found = [(one, one.config.at(scale, **sizes)) for one in map(find, arguments.experiments)]
    for experiment, config in found:
        experiment.all_cells(config)  # refuses sizes that make no sense together
    return text, found


def machine_of(arguments: argparse.Namespace, experiments: list[Experiment]) -> Machine:
    """The machine that was asked for. Raises `ValueError` if an experiment cannot run there."""
    machine = here(arguments.device, arguments.precision)
    if arguments.engine == "dask" and arguments.precision in (None, "auto"):
        raise ValueError("with --engine dask, name --precision float32 or bfloat16")
    if machine.device == "mps" and (unfit := [one.name for one in experiments if one.float64]):
        raise ValueError(f"{unfit[0]} needs float64, which an Apple GPU lacks: use --device cpu")
    return machine


def verify(arguments: argparse.Namespace) -> None:
    """Compute the verdicts on claims, show one with its evidence, several by a line each, and write them."""
    known = ledger.read_claims()
    if unknown := [name for name in arguments.claims if name not in known]:
        raise ValueError(f"there is no claim {unknown[0]!r}: python -m earlystop verify lists all")
    found = ledger.ledger({name: known[name] for name in arguments.claims or known})
    for entry in found["claims"]:
        print(ledger.told(entry) if arguments.claims else f"{entry['verdict']:20}{entry['id']:28}{entry['place']}")
    if arguments.json:
        write_json(arguments.json, found)


def run(arguments: argparse.Namespace) -> None:
    """Check everything that can be checked, say what it will cost, and run."""
    scale, found = configurations(arguments)
    machine = machine_of(arguments, [experiment for experiment, _ in found])
    jobs, together, memory = arguments.jobs, arguments.together, arguments.memory
    for experiment, config in found:
        print(f"{experiment.title}\n{scale} on {machine.device}, {machine.precision}")
        if arguments.engine == "dask":
            print("what it will take on a cluster is not estimated")
        elif not arguments.yes:
            seconds = sweep.estimate(experiment, config, machine, jobs, together, memory)
            print(f"{duration(seconds)} if nothing is finished yet")
        start = time.perf_counter()
        path = sweep.run(
            experiment, config, scale, arguments.out, machine, jobs=jobs, together=together,
            address=arguments.address, save_every=arguments.save_every, memory=memory,
        )  # fmt: skip
        print(f"{path} after {duration(time.perf_counter() - start)}")
        print("\n".join(map(str, draw.save(path))))


def main() -> None:
    """Exit code 0, or 2 with one line that says what is wrong, or 130 when interrupted."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace", line_buffering=True)  # ρ, where the output has no such letter
    warnings.showwarning = lambda message, *_, **__: print(f"warning: {message}", file=sys.stderr)
    try:
        arguments = parser().parse_args()
        {"list": list_experiments, "run": run, "verify": verify}[arguments.command](arguments)
    except (ValueError, RuntimeError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(f"\n{LAST}", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
