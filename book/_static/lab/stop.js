// Stop here: samples and their labels, the errors while a network is trained, and where to stop it.

import { Chart, iterations, iterationSlider, legend } from "./chart.js";
import { SampleMap } from "./map.js";
import { FIGURES, Computer, button, control, h, later, number, presets, share, speaker, still } from "./page.js";
import { moments, nearest } from "./theory.js";

const SWEEP = 4000; // milliseconds in which `play` goes from the first to the last iteration
const MORE = ["clusters", "classes", "samples", "dim", "hidden_units", "pace", "activation", "iterations", "seed", "one_cluster", "axes", "shell"];

/** What the reader sees at a stop, counted. */
function counted({ given, truth, labels }, outputs) {
  const answers = Array.from(outputs, (one) => nearest(one, labels)), wrong = [...given.keys()].filter((i) => given[i] !== truth[i]);
  return { all: given.length, wrong: wrong.length, right: wrong.filter((i) => answers[i] === truth[i]).length,
    errors: answers.filter((one, i) => one !== truth[i]).length };
}

class Stop {
  constructor(panel) {
    Object.assign(this, { panel, state: panel.state, computer: new Computer(panel.root), speech: speaker(), rows: [], control: [] });
    this.chart = new Chart({ title: "share of wrong answers", x: iterations(this.state.iterations),
      y: { low: 0, high: 0.6, ticks: [0, 0.2, 0.4, 0.6], text: (one) => `${100 * one} %`, label: "training samples" } });
    this.player = button("play", () => this.play());
    this.map = new SampleMap((i) => this.toggle(i));
    this.slider = iterationSlider("stop after iteration", () => this.state.iterations, (stop) => this.stopAt(stop), () => this.moments());
    this.chart.drag((value) => this.stopAt(Math.round(value)));
    panel.root.append(...this.elements());
    const again = later(() => this.compute());
    panel.on((changed) => { if (changed.size > 1 || !changed.has("stop")) again(); else this.draw(); });
    this.compute();
  }

  elements() {
    const { panel } = this;
    return [
      h("div", { class: "lab-views" }, h("div", {}, this.map.svg, SampleMap.legend(h)), h("div", {}, this.chart.svg,
        legend(["lab-given", "judged by given labels"], ["lab-true", "judged by true labels"], ["lab-control-line", "the same without wrong labels"]))),
      this.slider.element,
      h("div", { class: "lab-row" }, this.player, button("other data", () => panel.set({ seed: (this.state.seed + 1) % 1000, changed: [] })),
        button("undo my labels", () => panel.set({ changed: [] })), share(panel)),
      ...this.speech.elements,
      h("div", { class: "lab-controls" }, control(panel, "corruption_rate", { label: "wrong labels in a cluster, at most ρ" }),
        control(panel, "input_noise", { most: 0.8 })),
      h("details", {}, h("summary", {}, "more settings"), h("div", { class: "lab-controls" }, presets(panel), ...MORE.map((name) => control(panel, name)))),
    ];
  }

  toggle(i) {
    const { changed } = this.state;
    this.panel.set({ changed: changed.includes(i) ? changed.filter((one) => one !== i) : [...changed, i] });
  }

  stopAt(stop) {
    this.playing = false;
    this.panel.set({ stop: this.nearest(stop) });
  }

  /** The iterations whose outputs are kept, of which one is the stop. */
  moments() {
    return moments(this.state.iterations);
  }

  nearest(stop) {
    return this.moments().reduce((best, one) => (Math.abs(one - stop) < Math.abs(best - stop) ? one : best));
  }

  /** Train as the state says, then once more without wrong labels. */
  compute() {
    const { stop, ...config } = this.state, { root } = this.panel;
    this.rows = [];
    this.control = [];
    this.chart.change({ x: iterations(config.iterations) });
    root.setAttribute("aria-busy", "true");
    this.computer.run(config, ({ known, records = [], done, error }) => {
      if (error) this.refuse(error);
      if (known) this.begin(known);
      this.rows.push(...records);
      this.draw();
      if (done) this.computer.run({ ...config, corruption_rate: 0, changed: [] }, (other) => {
        this.control.push(...(other.records ?? []));
        this.draw();
        if (other.done) root.removeAttribute("aria-busy");
      });
    });
  }

  begin(known) {
    this.known = known;
    this.player.disabled = false;
    this.panel.root.classList.remove("lab-impossible");
    this.map.show(known.data, this.state.input_noise);
  }

  refuse(reason) {
    this.known = null;
    this.player.disabled = true;
    this.panel.root.classList.add("lab-impossible");
    this.panel.root.removeAttribute("aria-busy");
    this.speech.say(`This cannot be: ${reason}.`);
  }

  draw() {
    const { chart, rows, control: other, known, state } = this, points = (list, key) => list.map((one) => [one.iteration, one[key]]);
    chart.stretch("window", "lab-window", known?.window?.[0] ?? null, known?.window?.[1]);
    chart.line("control", "lab-control-line", points(other, "byTrue"));
    chart.line("given", "lab-given", points(rows, "byGiven"));
    chart.line("true", "lab-true", points(rows, "byTrue"));
    const stop = Math.min(state.stop, state.iterations);
    chart.upright("stop", stop);
    this.slider.show(stop);
    if (!known || !rows.length) return;
    const at = rows.findLast((one) => one.iteration <= state.stop) ?? rows[0];
    this.map.answer(at.outputs);
    this.describe(at);
  }

  describe({ iteration, outputs }) {
    const { all, wrong, right, errors } = counted(this.known.data, outputs), { window } = this.known;
    const labels = wrong ? `${right} of ${wrong} wrong labels are put right, and` : "no label is wrong, and";
    const theory = window ? `Told the true labels, the theory of chapter 6 says: stop between ${number(window[0])} and ${window[1] === Infinity ? "any later iteration" : number(window[1])} (shaded)`
      : "Told the true labels, the theory of chapter 6 says: at every iteration some answer is wrong";
    const text = `Stopped after iteration ${number(iteration)}: ${labels} ${errors} of ${all} answers are not the true label. ${theory}.`;
    this.speech.say(text);
    this.chart.svg.setAttribute("aria-label", `Share of wrong answers against the iteration. ${text}`);
  }

  /** Sweep the stop over the iterations; at once for readers who want no motion. */
  play() {
    const { panel, state } = this;
    this.playing = !this.playing && !still();
    if (still()) panel.set({ stop: state.iterations });
    const begin = performance.now();
    const go = (now) => {
      if (!this.playing) return;
      const share = Math.max(0, Math.min(1, (now - begin) / SWEEP));
      panel.set({ stop: this.nearest((1 + state.iterations) ** share - 1) });
      if (share < 1) requestAnimationFrame(go);
      else this.playing = false;
    };
    requestAnimationFrame(go);
  }
}

FIGURES.stop = (panel) => new Stop(panel);
