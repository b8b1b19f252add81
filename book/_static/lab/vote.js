// To come.

import { h } from "./page.js";

export function vote(panel) {
  panel.root.append(h("p", {}, "To come."));
}
