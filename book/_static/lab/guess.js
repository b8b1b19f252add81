// Guess when to stop: stored runs that the reader stops, against the rules of the book; and a threshold on stored losses.

import { Chart, iterations, legend } from "./chart.js";
import { FIGURES, button, control, h, number, share, speaker } from "./page.js";

const inPercent = (part, digits = 1) => (Number.isNaN(part) ? "–" : `${(100 * part).toFixed(digits)}%`);
const sumOf = (list) => list.reduce((sum, one) => sum + one, 0);
const PARTS = { low: 0, high: 1, ticks: [0, 0.25, 0.5, 0.75, 1], text: (one) => inPercent(one, 0), label: "" };

/** The place of the value in a list that is next to one. */
function closest(list, value) {
  const far = list.map((one) => Math.abs(one - value));
  return far.indexOf(Math.min(...far));
}

/** A slider through the values of a list; `choose` hears of a value. */
function pick(panel, name, list, label, text = number, choose = (value) => panel.set({ [name]: value })) {
  const values = [...new Set(list)], shown = h("output");
  const input = h("input", { type: "range", name, min: 0, max: values.length - 1, step: 1, oninput: () => choose(values[input.value]) });
  const show = () => {
    input.value = closest(values, panel.state[name]);
    shown.textContent = text(values[input.value]);
    input.setAttribute("aria-valuetext", shown.textContent);
  };
  show();
  panel.on(show);
  return h("label", { class: "lab-control" }, h("span", {}, label, " ", shown), input);
}

/** Sliders of the stored runs. */
function pickRun(panel, anew = {}) {
  return [["drawn_again", "labels drawn again, ρ′", PARTS.text], ["run", "run"]].map(([name, label, text]) =>
    pick(panel, name, panel.data.runs.map((one) => one[name]), label, text, (value) => panel.set({ [name]: value, ...anew })));
}

/** The stored run of a state. */
function runOf({ state, data: { runs } }) {
  return runs[closest(runs.map((one) => 1000 * one.drawn_again + one.run), 1000 * state.drawn_again + state.run)];
}

FIGURES.guess = (panel) => {
  if (panel.data) (panel.data.epochs ? stopping : suspecting)(panel);
  else panel.root.append(h("p", {}, "This figure shows stored runs of the book, and this page has none."));
};

/** Chapter 4: accuracies grow with the epoch, the reader stops, and the truth is told. */
function stopping(panel) {
  const { state, data } = panel, { epochs, unit, rules } = data, last = epochs.at(-1), logs = epochs.map(Math.log1p);
  const { elements, say } = speaker(), rounds = new Map(), anew = { epoch: epochs[1], told: false };
  const chart = new Chart({ title: "accuracy", x: { ...iterations(last), label: "epoch" }, y: PARTS });
  const score = h("table", { class: "guess-score" });
  let run, here, seen;

  const words = (key, i) => inPercent(run[key][i] / unit);
  const draw = () => {
    const before = run, { told } = state;
    run = runOf(panel);
    here = closest(epochs, state.epoch);
    seen = run === before ? Math.max(seen, here) : here;
    if (told && !rounds.has(run)) rounds.set(run, here);
    const points = (of, key, count) => of[key].slice(0, count).map((one, i) => [epochs[i], one / unit]);
    const curve = (name, look, key, count, of = run) => chart.line(name, look, points(of, key, told ? undefined : count));
    const without = data.runs.find((one) => !one.drawn_again && one.run === run.run) ?? run;
    chart.line("theory", "guess-theory", [[0, run.right], [last, run.right]]);
    curve("control", "lab-control-line", "test", 0, without);
    curve("noisy", "lab-given", "noisy", seen + 1);
    curve("checked", "lab-given guess-checked", "noisy_validation", seen + 1);
    curve("true", "lab-true", "true", 0);
    curve("test", "guess-test", "test", 0);
    chart.dots("rules", "guess-rule", told ? Object.values(run.stops).map((i) => points(run, "test")[i]) : [], 4);
    chart.upright("stop", epochs[here]);
    slider.querySelector("input").disabled = told;
    halt.setAttribute("aria-disabled", told);
    secret.style.visibility = told ? "visible" : "hidden";
    count(told);
    describe(told);
  };
  const count = (told) => {
    const played = [...rounds], row = (who, at) => [who, ...(told ? [epochs[at(run, here)], words("test", at(run, here))] : "??"),
      inPercent(sumOf(played.map(([one, mine]) => one.test[at(one, mine)])) / unit / played.length)];
    const rows = [["stopped by", "epoch", "test", `mean of ${rounds.size} round${rounds.size === 1 ? "" : "s"}`],
      row("you", (_, mine) => mine), ...Object.keys(rules).map((rule) => row(rules[rule], ({ stops }) => stops[rule]))];
    const cell = (text, i, j) => (i && j ? h("td", {}, text) : h("th", { scope: i ? "row" : "col" }, text));
    score.replaceChildren(...rows.map((row, i) => h("tr", {}, ...row.map((text, j) => cell(text, i, j)))));
  };
  const describe = (told) => {
    const { best, noisy_validation, end } = run.stops;
    const text = told ? `You stopped after epoch ${epochs[here]}: the network is right about ${words("test", here)} of the test images. `
      + `The best epoch was ${epochs[best]}, with ${words("test", best)}. `
      + `Stopped by validation labels that are wrong as often, it has ${words("test", noisy_validation)}; trained to the end, ${words("test", end)}.`
      : `After epoch ${epochs[here]} the network agrees with ${words("noisy", here)} of its given labels, and with `
      + `${words("noisy_validation", here)} of the validation labels, which are wrong as often. Go on, go back, or stop here?`;
    say(text);
    chart.svg.setAttribute("aria-label", `Accuracy against the epoch, with ${inPercent(run.drawn_again, 0)} of the labels drawn again. ${text}`);
  };
  const next = () => {
    const others = data.runs.filter((one) => one !== run), fresh = others.filter((one) => !rounds.has(one));
    const from = fresh.length ? fresh : others, one = from[Math.floor(Math.random() * from.length)];
    panel.set({ drawn_again: one.drawn_again, run: one.run, ...anew });
  };
  const move = (epoch) => { if (!state.told) panel.set({ epoch }); };
  const halt = button("stop here", () => panel.set({ told: true }), { class: "guess-stop" });
  const slider = pick(panel, "epoch", epochs, "epoch", number, move);
  const open = legend(["lab-given", "training, given labels"], ["lab-given guess-checked", "validation, given labels"], ["guess-theory", "share of right labels"]);
  const secret = legend(["lab-true", "training, true labels"], ["guess-test", "test"], ["lab-control-line", "test, without wrong labels"]);

  chart.drag((value) => move(epochs[closest(logs, Math.log1p(value))]));
  panel.root.append(
    h("div", { class: "lab-views" },
      h("div", {}, chart.svg, open, secret, slider, h("div", { class: "lab-row" }, halt, button("next round", next), share(panel))),
      h("div", {}, ...elements, score)),
    h("div", { class: "lab-controls" }, ...pickRun(panel, anew)));
  panel.on(draw);
  draw();
}

/** Chapter 5: images are suspected by their loss. */
function suspecting(panel) {
  const { state, data } = panel, { edges } = data, high = edges.at(-1), { elements, say } = speaker();
  const losses = new Chart({ title: "losses of the training images", y: { ...PARTS, label: "share of its group" },
    x: { ...PARTS, high, ticks: PARTS.ticks.map((one) => one * high), text: number, label: "loss of an image" } });
  const axis = (label) => ({ ...PARTS, text: (one) => number(100 * one), label });
  const found = new Chart({ title: "suspects above every threshold", x: axis("recall: found of all wrong labels, %"),
    y: axis("precision: wrong of the suspects, %") });

  /** Suspects from a bin on: how many, which share of all wrong labels they are, and which share of them is wrong. */
  const suspects = ({ right, wrong }, from) => {
    const hits = sumOf(wrong.slice(from)), all = hits + sumOf(right.slice(from));
    return [all, hits / sumOf(wrong), hits / all];
  };
  const draw = () => {
    const run = runOf(panel), stop = run.stops[state.moment], here = closest(edges, state.threshold);
    const groups = [stop.right, stop.wrong].map((counts) => counts.map((one) => one / sumOf(counts)));
    const top = Math.ceil(10 * Math.max(...groups.flat())) / 10;
    losses.change({ y: { high: top, ticks: [0, top / 2, top] } });
    losses.stretch("suspects", "lab-window", edges[here], high);
    groups.forEach((bars, i) => losses.line(`group ${i}`, `guess-bars${i}`,
      [[0, 0], ...bars.flatMap((one, j) => [[edges[j], one], [edges[j + 1], one]]), [high, 0]]));
    run.expected.forEach((loss, i) => losses.line(`expected ${i}`, "guess-theory", [[loss, 0], [loss, top]]));
    losses.upright("threshold", edges[here]);
    const curve = (of) => of.right.map((_, i) => suspects(of, i)).filter(([all]) => all).map((one) => one.slice(1));
    Object.values(run.stops).forEach((one, i) => found.line(`stop ${i}`, "guess-other", curve(one)));
    found.line("stop", "", curve(stop));
    const [all, recall, precision] = suspects(stop, here);
    found.dots("here", "guess-rule", all ? [[recall, precision]] : [], 5);
    const text = `Stopped after epoch ${stop.epoch}, the network gives ${number(all)} images a loss above ${number(edges[here], 3)}. `
      + `Of these suspects ${inPercent(precision, 0)} have a wrong label (precision); they are ${inPercent(recall, 0)} of all wrong labels (recall).`;
    say(text);
    losses.svg.setAttribute("aria-label", `Losses of images with right and with wrong given labels. ${text}`);
  };

  losses.drag((value) => panel.set({ threshold: edges[Math.min(closest(edges, value), edges.length - 2)] }));
  panel.root.append(
    h("div", { class: "lab-views" },
      h("div", {}, losses.svg, legend(["guess-bars0", "right label"], ["guess-bars1", "wrong label"], ["guess-theory", "expected: right, and wrong"]),
        pick(panel, "threshold", edges.slice(0, -1), "suspect images with a loss above", (one) => number(one, 3))),
      h("div", {}, found.svg, legend(["", "this stop"], ["guess-other", "the other stops"]))),
    ...elements,
    h("div", { class: "lab-controls" }, control(panel, "moment"), ...pickRun(panel)), h("div", { class: "lab-row" }, share(panel)));
  panel.on(draw);
  draw();
}
