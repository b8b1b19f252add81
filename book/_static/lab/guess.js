// To come.

import { h } from "./page.js";

export function guess(panel) {
  panel.root.append(h("p", {}, "To come."));
}
