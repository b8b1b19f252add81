// To come.

import { h } from "./page.js";

export function clocks(panel) {
  panel.root.append(h("p", {}, "To come."));
}
