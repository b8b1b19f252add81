// To come.

import { h } from "./page.js";

export function far(panel) {
  panel.root.append(h("p", {}, "To come."));
}
