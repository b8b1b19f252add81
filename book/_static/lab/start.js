// Where the figures come to life: on a page of the book, in a notebook, or in a worker that computes.

import { Engine } from "./engine.js";
import { FIGURES, Panel, address, h, read } from "./page.js";

/** Bring a figure to life in an element, in a state of its own, with the stored numbers that it may show. */
function enliven(root, figure, state, keep, data) {
  const panel = new Panel(root, figure, state, keep, data);
  root.classList.add("lab-alive");
  FIGURES[figure](panel);
  return panel;
}

/** Say under a figure what of an address it cannot show. */
function tellRefused(root, names) {
  root.querySelector(".lab-refused")?.remove();
  const some = [...new Set(names)].slice(0, 5).join(", ");
  if (names.length) root.append(h("p", { class: "lab-refused", role: "status" },
    `This address asks for what the figure cannot show (${some}): the usual setting stands instead.`));
}

/** All figures of a page; one of them may be in the address. */
function enlivenPage() {
  const roots = [...document.querySelectorAll("[data-lab]")];
  for (const root of roots) {
    const figure = root.dataset.lab, asked = read(figure, location.hash);
    const panel = enliven(root, figure, asked?.state ?? JSON.parse(root.dataset.state ?? "{}"),
      (state) => history.replaceState(null, "", address(figure, state)), JSON.parse(root.dataset.data ?? "null"));
    if (asked) {
      root.scrollIntoView({ block: "start" });
      tellRefused(root, asked.refused);
    }
    addEventListener("hashchange", () => {
      const now = read(figure, location.hash);
      if (!now) return;
      panel.set(now.state);
      tellRefused(root, now.refused);
    });
  }
  const [mark] = location.hash.split("&");
  const strange = mark.startsWith("#lab-") && roots.every((root) => mark !== `#lab-${root.dataset.lab}`);
  if (strange && roots.length) tellRefused(roots[0], [mark.slice(1, 35)]);
}

/** In a notebook: the state is the widget's, both ways. */
export function render({ model, el }) {
  // JupyterLab would move its cells by arrow keys, were they not given to what has the focus.
  const root = h("div", { class: "lab", onfocusin: ({ target }) => target.setAttribute("data-lm-suppress-shortcuts", "true") });
  el.append(root);
  const panel = enliven(root, model.get("figure"), model.get("state"), (state) => {
    model.set("state", { ...state });
    model.save_changes();
  }, model.get("data"));
  const follow = () => panel.set(model.get("state"));
  model.on("change:state", follow);
  return () => model.off("change:state", follow);
}

if (typeof document === "undefined") {
  const engine = new Engine((message) => postMessage(message));
  onmessage = ({ data }) => engine.take(data);
} else if (document.currentScript) enlivenPage();
