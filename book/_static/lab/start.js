// Where the figures come to life: on a page of the book, in a notebook, or in a worker that computes.

import { clocks } from "./clocks.js";
import { Engine } from "./engine.js";
import { far } from "./far.js";
import { guess } from "./guess.js";
import { Panel, address, h, read } from "./page.js";
import { stop } from "./stop.js";
import { vote } from "./vote.js";

const FIGURES = { stop, clocks, vote, far, guess };

/** Bring a figure to life in an element, in a state of its own, with the stored numbers that it may show. */
function enliven(root, figure, state, keep, data) {
  const panel = new Panel(root, figure, state, keep, data);
  root.classList.add("lab-alive");
  FIGURES[figure](panel);
  return panel;
}

/** All figures of a page; one of them may be in the address. */
function enlivenPage() {
  for (const root of document.querySelectorAll("[data-lab]")) {
    const figure = root.dataset.lab, asked = read(figure, location.hash);
    const panel = enliven(root, figure, asked?.state ?? JSON.parse(root.dataset.state ?? "{}"),
      (state) => history.replaceState(null, "", address(figure, state)), JSON.parse(root.dataset.data ?? "null"));
    if (asked) root.scrollIntoView({ block: "start" });
    if (asked?.refused.length)
      root.append(h("p", { class: "lab-refused", role: "status" }, `This address asks for what the figure cannot show (${asked.refused.join(", ")}): the usual setting stands instead.`));
    addEventListener("hashchange", () => { const now = read(figure, location.hash); if (now) panel.set(now.state); });
  }
}

/** In a notebook: the state is the widget's, both ways. */
export function render({ model, el }) {
  const root = h("div", { class: "lab" });
  el.append(root);
  const panel = enliven(root, model.get("figure"), model.get("state"), (state) => {
    model.set("state", { ...state });
    model.save_changes();
  }, model.get("data"));
  model.on("change:state", () => panel.set(model.get("state")));
}

if (typeof document === "undefined") {
  const engine = new Engine((message) => postMessage(message));
  onmessage = ({ data }) => engine.take(data);
} else if (document.currentScript) enlivenPage();
