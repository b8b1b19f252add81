// Living figures on slides: each in a state of its own, which the address does not keep.
const nothing = () => {};
for (const el of document.querySelectorAll("[data-lab]")) {
  const now = { figure: el.dataset.lab, state: JSON.parse(el.dataset.state), data: JSON.parse(el.dataset.data ?? "null") };
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
