"""How a chapter is executed: with the build's own settings, in as many kernels as fit, never waited for in vain."""

from __future__ import annotations

import re
import threading
import time
from contextlib import suppress
from pathlib import Path

import nbformat
import psutil
from joblib import cpu_count
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

BYTES_PER_KERNEL = 1.5e9  # a chapter with torch needs up to about 1.5 GB
BYTES_BESIDE = 0.7e9  # the build itself, and the workers
STARTS = 3  # of a kernel that dies before its first cell: another process may have taken its port
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
ANSI = re.compile(r"\x1b\[[0-9;]*m")

# Variables that change what a page shows or stop it, and that the build sets itself or does without.
FOREIGN = re.compile(
    r"MPLBACKEND|MATPLOTLIBRC|IPYTHONDIR|TORCH_LOGS|EARLYSTOP_PROGRESS|(TQDM|OMP|NUMEXPR|VECLIB)_.*"
    r"|(KMP|GOMP_CPU)_AFFINITY|(MKL|OPENBLAS)_NUM_THREADS|MKL_DYNAMIC"
    r"|JUPYTER_(?!ALLOW_INSECURE_WRITES|PLATFORM_DIRS).*"
    r"|PYTHON(WARNINGS|OPTIMIZE|STARTUP|INSPECT|VERBOSE|PROFILEIMPORTTIME|DEVMODE|TRACEMALLOC|ASYNCIODEBUG|IOENCODING|BREAKPOINT)"
)
OURS = re.compile(r"EARLYSTOP_(SCALE|DEVICE|PRECISION|RESULTS|CACHE|REQUIRE_SITE|COLAB)")


def own_settings(environment, build: Path) -> str:
    """Give kernels the build's own settings; return a line that names those from outside that are not used, or ''."""
    ours = dict.fromkeys(THREADS, "1") | {  # one thread each, however many chapters run
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "MATPLOTLIBRC": str(Path(__file__).with_name("matplotlibrc")),
        "TQDM_DISABLE": "1",  # nobody watches: no progress bars, no live widgets
        "IPYTHONDIR": str(build / ".ipython"),
        "JUPYTER_RUNTIME_DIR": str(build / ".ipython" / "runtime"),
        "JUPYTER_PREFER_ENV_PATH": "1",  # the kernel of this environment, not a user's of the same name
    }
    unused = []
    for name in sorted(environment):
        value, known = environment[name], FOREIGN.fullmatch(name)
        if known and value:
            unused += [f"{name}={value}"] * (value != ours.get(name))
            del environment[name]
        elif name.startswith("EARLYSTOP_") and not known and not OURS.fullmatch(name):
            unused.append(name)
    environment.update(ours)
    return f"Not used, the build has settings of its own: {', '.join(unused)}" if unused else ""


def memory() -> int:
    """Bytes that this process may use: those of the machine, or fewer where its control groups say so."""
    limits, lines = [psutil.virtual_memory().total], []
    with suppress(OSError):
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    for _, controllers, group in (line.split(":", 2) for line in lines):
        top = Path("/sys/fs/cgroup", controllers)
        inside, name = top / group.lstrip("/"), "memory.limit_in_bytes" if controllers else "memory.max"
        for folder in [inside, *inside.parents] if controllers in ("", "memory") else []:  # version 2, version 1
            with suppress(OSError, ValueError):  # there is none, or it is "max"
                limits.append(int((folder / name).read_text()))
    return min(limits)


def how_many(chapters: int) -> int:
    """How many chapters to execute at once: as many as cores and memory allow, and at least one."""
    return max(1, min(cpu_count(), chapters, int((memory() - BYTES_BESIDE) / BYTES_PER_KERNEL)))


class Watch(threading.Thread):
    """Ends a kernel that has used no processor for some time while it was waited for; one that uses it is only slow."""

    tick, least = 2.0, 0.003  # seconds between two looks; share of a processor below which a kernel does nothing

    def __init__(self, client: NotebookClient, patience: float):
        super().__init__(daemon=True)
        self.client, self.patience, self.hung, self.cell, self.over = client, patience, False, None, threading.Event()
        client.on_cell_start = lambda cell, cell_index: setattr(self, "cell", cell)

    def __enter__(self) -> Watch:
        self.start()
        return self

    def __exit__(self, *_) -> None:
        self.over.set()
        self.join()

    def run(self) -> None:
        """Look at the kernel's processor time until the end; a suspended machine makes no looks."""
        used, quiet = 0.0, 0.0
        while not self.over.wait(self.tick):
            now = sum(self.each(lambda process: sum(process.cpu_times()[:4])))  # with children that have ended
            quiet += self.tick
            if not now or abs(now - used) > self.least * quiet:
                used, quiet = now, 0.0
            elif 0 < self.patience <= quiet:
                self.hung = True
                self.each(lambda process: process.kill())
                return

    def each(self, action) -> list:
        """Do something to each of the kernel's processes; there are none before it starts and after its end."""
        pid, done = getattr(getattr(self.client.km, "provisioner", None), "pid", None), []
        with suppress(psutil.Error):
            for process in [kernel := psutil.Process(pid), *kernel.children(recursive=True)] if pid else []:
                with suppress(psutil.Error):
                    done.append(action(process))
        return done

    def words(self, problem: Exception) -> str:
        """What happened to the kernel, and where."""
        source = self.cell.source.strip() if self.cell is not None else ""
        where = f"in the cell that begins with {source.splitlines()[0]!r}" if source else "before its first cell"
        if self.hung:
            return (
                f"Its kernel has not used the processor for {self.patience:.0f} s {where}, so it was ended: "
                "it waits for something that does not come. Build again; only what is missing is executed."
            )
        if isinstance(problem, DeadKernelError):
            return f"Its kernel died {where}. A system that runs out of memory ends processes: is there enough of it?"
        return f"Its kernel could not be used {where}: {problem}"


def run_notebook(notebook: nbformat.NotebookNode, folder: str, patience: float) -> tuple[float, str]:
    """Execute a notebook for as long as it takes; return its seconds, and the error or ''."""
    start, error = time.perf_counter(), ""
    for _ in range(STARTS):
        client = NotebookClient(
            notebook,
            resources={"metadata": {"path": folder}},
            timeout=None,
            record_timing=False,
            startup_timeout=86_400,
            iopub_timeout=86_400,
            extra_arguments=["--log-level=40"],
        )
        with Watch(client, patience) as watch:
            try:
                client.execute()
                error = ""
            except CellExecutionError as problem:
                error = ANSI.sub("", str(problem))
            except (DeadKernelError, RuntimeError) as problem:
                error = watch.words(problem)
        if not error or watch.cell is not None or watch.hung:
            break
    return time.perf_counter() - start, error
