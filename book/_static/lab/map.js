// A map of the samples: a disc for each cluster, a row for each class, a dot for each sample.

import { number, s } from "./page.js";
import { nearest } from "./theory.js";

const WIDTH = 360, HEIGHT = 250, TOP = 26, LEFT = 46, MIDDLE = (HEIGHT + TOP) / 2, GOLDEN = Math.PI * (3 - Math.sqrt(5));

/** The disc of each cluster: its row is its class, the highest label on top. */
function discs(classOf, classes, spread) {
  const across = Math.max(...Array.from({ length: classes }, (_, one) => classOf.filter((other) => other === one).length));
  const room = { x: (WIDTH - LEFT) / across, y: (HEIGHT - TOP) / classes }, most = Math.min(room.x, room.y) / 2 - 3;
  const seen = new Array(classes).fill(0);
  return classOf.map((one) => ({ x: LEFT + room.x * (seen[one]++ + 0.5), y: TOP + room.y * (classes - one - 0.5),
    r: most * (0.7 + 0.3 * spread) }));
}

/** Samples of a cluster lie on a spiral of even spacing: only how many there are is meant, not where they are. */
function places(data, all) {
  const seen = new Array(all.length).fill(0);
  return Array.from(data.clusterOf, (cluster) => {
    const i = seen[cluster]++, disc = all[cluster], far = disc.r * 0.86 * Math.sqrt((i + 0.5) / data.sizes[cluster]);
    return { x: disc.x + far * Math.cos(GOLDEN * i), y: disc.y + far * Math.sin(GOLDEN * i) };
  });
}

/** Dots that are colored by the network's outputs; the wrong labels are ringed. `toggle(i)` hears of a choice. */
export class SampleMap {
  constructor(toggle) {
    this.toggle = toggle;
    this.at = 0;
    this.svg = s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "lab-map", role: "group" });
    this.back = s("g", { "aria-hidden": "true" });
    this.front = s("g");
    this.svg.append(this.back, this.front);
    this.svg.addEventListener("click", (event) => this.pick(event));
    this.svg.addEventListener("keydown", (event) => this.keys(event));
  }

  /** The samples of a run, before the network has answered; `spread` from 0 to 1 is the size of the discs. */
  show(data, spread) {
    this.data = data;
    const classOf = data.centers.map((_, cluster) => data.truth[data.clusterOf.indexOf(cluster)]);
    const all = discs(classOf, data.labels.length, spread), tightest = Math.min(...all.map((one, i) => one.r / Math.sqrt(data.sizes[i])));
    this.where = places(data, all);
    this.at = Math.min(this.at, this.where.length - 1);
    const rows = Array.from(data.labels, (label, i) => s("text", { x: 22, y: all[classOf.indexOf(i)].y + 4, class: "lab-tick" }, number(label)));
    this.back.replaceChildren(s("text", { x: 2, y: 15, class: "lab-title" }, `${data.given.length} samples in ${all.length} clusters`),
      s("text", { x: 12, y: MIDDLE, class: "lab-name", "text-anchor": "middle", transform: `rotate(-90 12 ${MIDDLE})` }, "true label"), ...rows, ...all.map(({ x, y, r }) => s("circle", { cx: x, cy: y, r, class: "lab-disc" })));
    this.dots = this.where.map(({ x, y }, i) => this.dot(x, y, Math.max(2.2, Math.min(7, 0.68 * tightest)), i));
    const chosen = this.front.contains(document.activeElement);
    this.front.replaceChildren(...this.dots);
    if (chosen) this.dots[this.at].focus(); // the keyboard goes on where it was
    this.svg.setAttribute("aria-label", `${this.where.length} samples in ${all.length} clusters. Arrow keys move between samples, enter changes a given label.`);
  }

  dot(x, y, r, i) {
    const wrong = this.data.given[i] !== this.data.truth[i];
    return s("circle", { cx: x, cy: y, r, role: "button", tabindex: i === this.at ? 0 : -1, "aria-pressed": String(wrong),
      class: wrong ? "lab-sample lab-wrong" : "lab-sample" });
  }

  /** Color every sample by what the network says of it. */
  answer(outputs) {
    const { labels, given, truth } = this.data, low = labels[0], high = labels[labels.length - 1];
    this.dots.forEach((dot, i) => {
      const share = Math.min(1, Math.max(0, (outputs[i] - low) / (high - low)));
      dot.style.fill = `color-mix(in oklab, var(--lab-high) ${(100 * share).toFixed(0)}%, var(--lab-low))`;
      const fault = given[i] === truth[i] ? "right" : `wrong, the true label is ${number(labels[truth[i]])}`;
      dot.setAttribute("aria-label", `sample ${i + 1}: given label ${number(labels[given[i]])}, ${fault}; the network says ${number(outputs[i])}, so ${number(labels[nearest(outputs[i], labels)])}`);
    });
  }

  pick(event) {
    const box = this.svg.getBoundingClientRect(), scale = WIDTH / box.width;
    const x = (event.clientX - box.left) * scale, y = (event.clientY - box.top) * scale;
    const far = this.where.map((one) => Math.hypot(one.x - x, one.y - y)), best = far.indexOf(Math.min(...far));
    if (far[best] < 16 * scale) this.toggle(best);
  }

  keys(event) {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (by) this.focus((this.at + by + this.dots.length) % this.dots.length);
    else if (event.key === "Enter" || event.key === " ") this.toggle(this.at);
    else return;
    event.preventDefault();
  }

  focus(index) {
    this.dots[this.at].setAttribute("tabindex", -1);
    this.at = index;
    this.dots[index].setAttribute("tabindex", 0);
    this.dots[index].focus();
  }

  /** What the colors mean, as HTML. */
  static legend(h) {
    return h("p", { class: "lab-legend" }, h("span", {}, "the network says −1 ", h("span", { class: "lab-ramp" }), " 1"),
      h("span", {}, h("span", { class: "lab-ring" }), " its given label is wrong"));
  }
}
