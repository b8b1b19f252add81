"""Pictures of a result file, beside it."""

from importlib.resources import files
from pathlib import Path

import matplotlib.pyplot as plt

from earlystop.runs.results import Result, read_result
from earlystop.runs.store import sound, write_atomically


def save(path: Path) -> list[Path]:
    """Draw a result file beside itself, as SVG; returns the pictures' paths."""
    result, pictures = Result(path, read_result(path)), []
    with plt.style.context(str(files("earlystop") / "book.mplstyle")):
        for ending, draw in result.experiment.draw.items():
            pictures.append(path.with_name(f"{path.name.split('.json')[0]}{ending}.svg"))
            with sound(path):
                figure = draw(result)
            write_atomically(pictures[-1], lambda file, figure=figure: figure.savefig(file, format="svg"))
            plt.close(figure)
    return pictures
