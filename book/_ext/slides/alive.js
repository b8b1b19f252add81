// Living figures on slides, behind the laboratory in one script, which is its worker too.
if (typeof document !== "undefined") {
  const code = new Blob([document.getElementById("living").textContent], { type: "text/javascript" });
  worker = () => { // from a file as well
    try { return new Worker(URL.createObjectURL(code), { type: "module" }); } catch { return null; }
  };
  document.querySelectorAll("[data-lab]").forEach(enlivenSlide);
}

/** A figure in a state of its own, which the slide's address does not keep. */
function enlivenSlide(el) {
  const now = { figure: el.dataset.lab, state: JSON.parse(el.dataset.state), data: JSON.parse(el.dataset.data ?? "null") }, nothing = () => {};
  render({ el, model: { get: (name) => now[name], set: nothing, save_changes: nothing, on: nothing, off: nothing } });
  [...el.querySelectorAll("button")].find((one) => one.textContent === "copy link")?.remove();
  el.dataset.preventSwipe = ""; // dragging in a figure is no swipe
  // Keys belong to the figure that has the focus. Page up and down, which pointers send, leave it; so does escape.
  el.addEventListener("keydown", (event) => {
    const pages = event.key.startsWith("Page");
    if (pages || event.key === "Escape") document.activeElement.blur();
    if (!pages) event.stopPropagation();
  });
}
