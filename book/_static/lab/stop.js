// Stop here: samples and their labels, training, and where to stop it.

import { Chart, iterations, iterationSlider, legend } from "./chart.js";
import { Computer, button, control, h, later, number, presets, s, share, speaker, still } from "./page.js";

const SIZE = 300, PLAY = 4000; // of the map, and milliseconds of a sweep

/** Where each cluster's disc is: in a ring. */
function discs(clusters, radius) {
  const middle = SIZE / 2, ring = clusters > 1 ? middle * 0.62 : 0;
  const most = clusters > 1 ? Math.min(middle - ring - 4, ring * Math.sin(Math.PI / clusters) - 4) : middle - 4;
  return Array.from({ length: clusters }, (_, i) => {
    const angle = 2 * Math.PI * (i / clusters) - Math.PI * (0.5 + 1 / clusters);
    return { x: middle + ring * Math.cos(angle), y: middle + ring * Math.sin(angle), r: most * (0.45 + 0.55 * radius), full: most };
  });
}

/** A place for each sample: samples of a cluster on a spiral of even spacing in its disc. */
function places(data, all) {
  const seen = new Array(all.length).fill(0);
  return Array.from(data.clusterOf, (cluster) => {
    const i = seen[cluster]++, disc = all[cluster], far = disc.r * 0.88 * Math.sqrt((i + 0.5) / data.sizes[cluster]);
    return { x: disc.x + far * Math.cos(2.39996 * i), y: disc.y + far * Math.sin(2.39996 * i) };
  });
}

class Map2 {
  constructor(toggle) {
    this.toggle = toggle;
    this.svg = s("svg", { viewBox: `0 0 ${SIZE} ${SIZE}`, class: "lab-map", role: "group" });
    this.back = s("g", { "aria-hidden": "true" });
    this.front = s("g");
    this.svg.append(this.back, this.front);
    this.svg.addEventListener("click", (event) => this.pick(event));
    this.svg.addEventListener("keydown", (event) => this.keys(event));
    this.at = 0;
  }

  /** The samples of a run, grey until the network has answered. */
  show(data) {
    this.data = data;
    const all = discs(data.sizes.length, this.radius ?? 0.5);
    this.where = places(data, all);
    const size = Math.max(3.2, Math.min(7, 0.75 * all[0].r / Math.sqrt(Math.max(...data.sizes))));
    this.back.replaceChildren(...all.map((one, i) => s("circle", { cx: one.x, cy: one.y, r: one.r + 4, class: "lab-disc" })));
    this.dots = this.where.map(({ x, y }, i) => s("circle", { cx: x, cy: y, r: size, role: "button", tabindex: i === this.at ? 0 : -1,
      class: `lab-sample ${data.given[i] === data.truth[i] ? "" : "lab-wrong"}`, "aria-pressed": String(data.given[i] !== data.truth[i]) }));
    this.front.replaceChildren(...this.dots);
  }

  /** Colour every sample by the network's output. */
  answer(outputs) {
    const { labels, given, truth } = this.data, low = labels[0], high = labels[labels.length - 1];
    this.dots.forEach((dot, i) => {
      const share = Math.min(1, Math.max(0, (outputs[i] - low) / (high - low)));
      dot.style.fill = `color-mix(in oklab, var(--lab-high) ${(100 * share).toFixed(0)}%, var(--lab-low))`;
      const wrong = given[i] === truth[i] ? "right" : "wrong";
      dot.setAttribute("aria-label", `sample ${i + 1}, given label ${number(labels[given[i]])}, ${wrong}; the network says ${number(outputs[i])}`);
    });
  }

  pick(event) {
    const box = this.svg.getBoundingClientRect(), scale = SIZE / box.width;
    const x = (event.clientX - box.left) * scale, y = (event.clientY - box.top) * scale;
    const far = this.where.map((one) => Math.hypot(one.x - x, one.y - y)), best = far.indexOf(Math.min(...far));
    if (far[best] < 22 * scale) this.toggle(best);
  }

  keys(event) {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (by) this.focus((this.at + by + this.dots.length) % this.dots.length);
    else if (event.key === "Enter" || event.key === " ") this.toggle(this.at);
    else return;
    event.preventDefault();
  }

  focus(index) {
    this.dots[this.at]?.setAttribute("tabindex", -1);
    this.at = index;
    this.dots[index].setAttribute("tabindex", 0);
    this.dots[index].focus();
  }
}

const COMPUTED = ["seed", "samples", "clusters", "classes", "dim", "input_noise", "shell", "axes", "corruption_rate", "one_cluster",
  "changed", "hidden_units", "paired", "activation", "pace", "iterations"];

export function stop(panel) {
  const { state } = panel, { elements, say } = speaker();
  const chart = new Chart({ title: "share of wrong answers", x: iterations(state.iterations),
    y: { low: 0, high: 0.6, ticks: [0, 0.2, 0.4, 0.6], label: "error" } });
  const flip = (i) => panel.set({ changed: state.changed.includes(i) ? state.changed.filter((one) => one !== i) : [...state.changed, i] });
  const map = new Map2(flip), slider = iterationSlider("stop after iteration", () => state.iterations, (one) => panel.set({ stop: one }));
  const computer = new Computer(panel.root);
  let rows = [], control0 = [], known;

  const at = () => rows.reduce((best, one) => (one.iteration <= state.stop ? one : best), rows[0]);
  const draw = () => {
    const points = (list, key) => list.map((one) => [one.iteration, one[key]]);
    chart.stretch("window", "lab-window", known?.window?.[0] ?? null, known?.window?.[1]);
    chart.line("control", "lab-control-line", points(control0, "byTrue"));
    chart.line("given", "lab-given", points(rows, "byGiven"));
    chart.line("true", "lab-true", points(rows, "byTrue"));
    chart.upright("stop", state.stop);
    slider.show(state.stop);
    if (!rows.length) return;
    map.answer(at().outputs);
    describe();
  };
  const describe = () => {
    const { given, truth, labels } = known.data, one = at(), wrong = Array.from(given.keys()).filter((i) => given[i] !== truth[i]);
    const near = (output) => Array.from(labels).reduce((best, label, i) => (Math.abs(label - output) < Math.abs(labels[best] - output) ? i : best), 0);
    const right = wrong.filter((i) => near(one.outputs[i]) === truth[i]).length, all = given.length;
    const window = known.window ? `Theory says: stop between iterations ${number(known.window[0])} and ${number(known.window[1])}.` : "Theory says: there is no iteration without an error.";
    const put = wrong.length ? `puts ${right} of ${wrong.length} wrong labels right and` : "has no wrong label to put right and";
    const text = `Stopped after iteration ${number(one.iteration)}, the network ${put} errs on ${Math.round(one.byTrue * all)} of ${all} samples. ${window}`;
    say(text);
    chart.svg.setAttribute("aria-label", `Errors against the iteration. ${text}`);
    map.svg.setAttribute("aria-label", `Map of ${all} samples in ${known.data.sizes.length} clusters; arrow keys move, enter changes a label.`);
  };
  const compute = () => {
    rows = [];
    const config = Object.fromEntries(COMPUTED.map((name) => [name, state[name]]));
    chart.change({ x: iterations(state.iterations) });
    map.radius = state.input_noise;
    panel.root.setAttribute("aria-busy", "true");
    computer.run(config, (message) => {
      if (message.error) return say(message.error);
      if (message.known) { known = message.known; map.show(known.data); }
      if (message.records) rows.push(...message.records);
      draw();
      if (message.done) without(config);
    });
  };
  const without = (config) => {
    control0 = [];
    computer.run({ ...config, corruption_rate: 0, changed: [] }, (message) => {
      if (message.records) control0.push(...message.records);
      if (message.done) { draw(); panel.root.removeAttribute("aria-busy"); }
    });
  };
  const play = () => {
    if (still()) return panel.set({ stop: state.iterations });
    const begin = performance.now();
    const go = (now) => {
      const share = Math.min(1, (now - begin) / PLAY);
      panel.set({ stop: Math.round((1 + state.iterations) ** share - 1) });
      if (share < 1 && panel.playing) requestAnimationFrame(go);
      else panel.playing = false;
    };
    panel.playing = !panel.playing;
    if (panel.playing) requestAnimationFrame(go);
  };

  chart.drag((value) => { panel.playing = false; panel.set({ stop: Math.round(value) }); });
  panel.root.append(
    h("div", { class: "lab-views" }, h("div", {}, map.svg), h("div", {}, chart.svg,
      legend(["lab-given", "by given labels"], ["lab-true", "by true labels"], ["lab-control-line", "without wrong labels"]))),
    ...elements, slider.element,
    h("div", { class: "lab-row" }, button("play", play), button("other data", () => panel.set({ seed: (state.seed + 1) % 1000, changed: [] })),
      button("undo my labels", () => panel.set({ changed: [] })), share(panel)),
    h("div", { class: "lab-controls" }, control(panel, "corruption_rate", { label: "wrong labels, ρ" }), control(panel, "input_noise")),
    h("details", {}, h("summary", {}, "more settings"), h("div", { class: "lab-controls" },
      ...["clusters", "classes", "samples", "dim", "hidden_units", "pace", "activation", "iterations", "seed", "one_cluster", "axes"].map((name) => control(panel, name)),
      presets(panel))));
  const again = later(compute);
  panel.on((changed) => { if (COMPUTED.some((name) => changed.has(name))) again(); else draw(); });
  compute();
}
