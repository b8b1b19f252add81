"""`python -m earlystop list | run EXPERIMENT ...`: every figure of the paper by one command."""

import argparse
import io
import os
import sys
import time
from dataclasses import fields
from pathlib import Path

from earlystop.experiments import EXPERIMENTS, check
from earlystop.page import duration
from earlystop.scale import DEVICES, PRECISIONS, SCALES, bfloat16_is_emulated, device, precision
from earlystop.start import results

LAST = "interrupted: what is finished is kept, the same command goes on from there"


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, as all others."""

    def error(self, message: str) -> None:
        self.exit(2, f"error: {message}: see {self.prog} --help\n")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    main = Parser(prog="python -m earlystop", description=__doc__)
    commands = main.add_subparsers(dest="command", required=True, metavar="list | run")
    commands.add_parser("list", help="show the experiments and their sizes")
    run = commands.add_parser("run", help="compute figures and save numbers and pictures")
    run.add_argument("experiments", nargs="+", metavar="EXPERIMENT", help=", ".join(EXPERIMENTS))
    run.add_argument("--scale", default="quick", help=f"{', '.join(SCALES)} (default: quick)")
    run.add_argument("--set", action="append", default=[], metavar="KEY=VALUE",
                     help="change a size")  # fmt: skip
    run.add_argument("--seeds", type=int, help="the same as --set seeds=...")
    run.add_argument("--device", choices=DEVICES,
                     default=os.environ.get("EARLYSTOP_DEVICE") or "auto")  # fmt: skip
    run.add_argument("--precision", choices=PRECISIONS,
                     default=os.environ.get("EARLYSTOP_PRECISION") or "auto")  # fmt: skip
    run.add_argument("--out", type=Path, default=results() or Path("results"),
                     help="folder (default: EARLYSTOP_RESULTS, or else results)")  # fmt: skip
    run.add_argument("--jobs", type=int, help="processes side by side (default: one a core)")
    run.add_argument("--together", type=int, metavar="N",
                     help="runs in one batch (default: 1 on a CPU, 40 on a GPU)")  # fmt: skip
    run.add_argument("--memory", type=float, default=12, metavar="GB",
                     help="for the spectrum of a Jacobian, at least 6 (default: 12)")  # fmt: skip
    run.add_argument("--save-every", type=float, default=60, metavar="SECONDS",
                     help="how often an unfinished run is saved (default: 60)")  # fmt: skip
    run.add_argument("--engine", default="local", choices=("local", "dask"))
    run.add_argument("--address", help="the scheduler of a dask cluster, such as tcp://host:8786")
    run.add_argument("--yes", action="store_true", help="do not measure the cost first")
    return main


def list_experiments() -> None:
    """Print every experiment with its sizes at each scale."""
    for name, experiment in EXPERIMENTS.items():
        print(f"\n{name}: {experiment.title}")
        print(f"    {'':18}" + "".join(f"{scale:28}" for scale in SCALES))
        for size in fields(experiment.config):
            values = size.metadata["scales"].values()
            print(f"    {size.name:18}" + "".join(f"{_short(value):28}" for value in values))


def _short(value: object) -> str:
    text = ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return text if len(text) < 27 else text[:23] + "..."


def run(arguments: argparse.Namespace) -> None:
    """Check everything that can be checked, say what it will cost, and run."""
    from earlystop import figures, sweep

    unknown = [name for name in arguments.experiments if name not in EXPERIMENTS]
    if unknown:
        raise ValueError(f"there is no experiment {unknown[0]!r}: use {', '.join(EXPERIMENTS)}")
    for option, least in (("jobs", 1), ("together", 1), ("memory", 6), ("save_every", 0)):
        number = getattr(arguments, option)
        if number is not None and not number >= least:
            option = option.replace("_", "-")
            raise ValueError(f"--{option} is {number}, should be {least} or more")
    if (arguments.engine == "dask") != (arguments.address is not None):
        raise ValueError("--engine dask and --address tcp://HOST:PORT go together")
    if arguments.engine == "dask" and arguments.precision == "auto":
        raise ValueError("with --engine dask, name --precision float32 or bfloat16")
    changes = [change.replace(" ", "") for change in arguments.set]
    if arguments.seeds is not None:
        changes.append(f"seeds={arguments.seeds}")
    if bad := [change for change in changes if "=" not in change]:
        raise ValueError(f"--set {bad[0]!r} should read key=value, as in --set epochs=3")
    if arguments.scale not in SCALES:
        raise ValueError(f"the scale {arguments.scale!r} is unknown: use {', '.join(SCALES)}")
    os.environ["EARLYSTOP_DEVICE"] = arguments.device
    os.environ["EARLYSTOP_PRECISION"] = arguments.precision
    scale = " ".join([arguments.scale, *changes])
    where = f"{device().type}, {precision()}"
    slow = device().type == "cpu" and precision() == "bfloat16" and bfloat16_is_emulated()
    if device().type == "mps" and "fig4c" in arguments.experiments:
        raise ValueError("fig4c needs float64, which an Apple GPU lacks: use --device cpu")
    sizes = dict(change.split("=", 1) for change in changes)
    if bad := sizes.keys() & {"scale", "cls"}:  # names of arguments, not of sizes
        raise ValueError(f"there is no size {min(bad)!r}: python -m earlystop list has all of them")
    kinds = {name: EXPERIMENTS[name] for name in arguments.experiments}
    configs = {name: kind.config.at(arguments.scale, **sizes) for name, kind in kinds.items()}
    for name, config in configs.items():
        check(config)
        kinds[name].cells(config)  # refuses unknown losses and heads
    for name, config in configs.items():
        print(f"{EXPERIMENTS[name].title}\n{scale} on {where}")
        if kinds[name].deep and slow:
            print("this processor has no units for bfloat16: --precision float32 is several times as fast here")
        if not arguments.yes and arguments.engine == "local":
            seconds = sweep.estimate(name, config, arguments.jobs, arguments.together, arguments.memory)
            print(f"about {duration(seconds)} if nothing is finished yet, by two small runs")
        elif arguments.engine == "dask":
            print("what it will take on a cluster is not estimated")
        start = time.perf_counter()
        path = sweep.run(
            name, config, scale, arguments.out,
            jobs=arguments.jobs, engine=arguments.engine, address=arguments.address,
            together=arguments.together, save_every=arguments.save_every,
            memory=arguments.memory,
        )  # fmt: skip
        print(f"{path} after {duration(time.perf_counter() - start)}")
        print("\n".join(map(str, figures.save(path))))


def main() -> None:
    """Exit code 0, or 2 with one line that says what is wrong, or 130 when interrupted."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # ρ, where the output has no such letter
    arguments = parser().parse_args()
    try:
        list_experiments() if arguments.command == "list" else run(arguments)
    except (ValueError, RuntimeError, OSError) as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print(f"\n{LAST}", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
