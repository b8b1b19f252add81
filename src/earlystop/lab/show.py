"""A living figure where it is asked for: on a built page, or as a widget in a live session."""

import functools
import html
import json
from typing import Any

from earlystop.lab.state import state
from earlystop.runs.progress import nobody_watches


def show(figure: str, data: dict[str, Any] | None = None, **changes: Any) -> None:
    """Show a figure of the laboratory, some of its settings changed; one of stored numbers is given them as `data`.

    In a live session it is a widget; on a built page the place where a script brings it to life, in front of the
    picture of the next cell, which stands there without a script and in print. `ValueError` for a wrong setting.
    """
    from IPython.display import HTML, display

    if nobody_watches():
        display(HTML(place(figure, data, **changes)))
    else:
        display(widget(figure, data, **changes))


def place(figure: str, data: dict[str, Any] | None = None, **changes: Any) -> str:
    """The element of a page in which a script brings the figure to life."""
    settings = state(figure, **changes)
    parts = {"state": {name: settings[name] for name in changes}} | ({} if data is None else {"data": data})
    texts = {name: json.dumps(one, ensure_ascii=False, separators=(",", ":")) for name, one in parts.items()}
    kept = " ".join(f'data-{name}="{html.escape(text)}"' for name, text in texts.items())
    return f'<div class="lab" data-lab="{figure}" {kept}></div>'


def widget(figure: str, data: dict[str, Any] | None = None, **changes: Any) -> Any:
    """The figure as an `anywidget`: its trait `state` is read and set from Python, and follows the reader's hand."""
    return _widget_class()(figure=figure, data=data, state=state(figure, **changes))


@functools.cache
def _widget_class() -> type:
    import anywidget
    import traitlets

    from earlystop.laboratory import module, styles

    class Lab(anywidget.AnyWidget):
        """A living figure in a notebook."""

        _esm, _css = module(), styles()
        figure = traitlets.Unicode().tag(sync=True)
        state = traitlets.Dict().tag(sync=True)
        data = traitlets.Dict(allow_none=True).tag(sync=True)

        @traitlets.validate("state")
        def _fits(self, proposal):
            return state(self.figure, **proposal["value"])

    return Lab
