// Buttons, the switch of all code, folds that an address leads to, and tooltips of references and symbols.
(() => {
  const root = document.documentElement;
  const does = { print: () => window.print(), fullscreen: () => window.toggleFullScreen() };
  for (const button of document.querySelectorAll("[data-do]"))
    button.addEventListener("click", does[button.dataset.do]);

  const code = document.querySelector(".code-switch");
  const show = () => code.setAttribute("aria-pressed", root.dataset.code === "hidden");
  if (code) {
    show();
    code.addEventListener("click", () => {
      root.dataset.code = root.dataset.code === "hidden" ? "shown" : "hidden";
      try { localStorage.setItem("code", root.dataset.code); } catch { /* not remembered */ }
      show();
    });
  }

  addEventListener("beforeprint", () => {
    for (const box of document.querySelectorAll(".solution > details, .place, .claim")) box.open = true;
  });

  const choices = document.querySelectorAll("[name=only]"), places = document.querySelectorAll(".place");
  for (const choice of choices)
    choice.addEventListener("change", () => { for (const place of places) place.open = choice !== choices[0]; });
  const reveal = () => { // what an address leads to
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    let fold = target?.closest("details") || target?.closest("section")?.querySelector(":scope > .place");
    if (!fold) return;
    if (choices[0] && !choices[0].checked) choices[0].click(); // it may not be among those that are shown
    for (; fold; fold = fold.parentElement.closest("details")) fold.open = true;
    target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  reveal();

  let tip;
  const hide = () => { tip?.remove(); tip = null; };
  const tell = (link) => {
    hide();
    tip = Object.assign(document.createElement("div"), { id: "tip", role: "tooltip", textContent: link.dataset.tip });
    document.body.append(tip);
    if (link.href) link.setAttribute("aria-describedby", "tip");
    const at = link.getBoundingClientRect();
    const below = at.bottom + tip.offsetHeight + 8 < innerHeight;
    tip.style.left = `${Math.max(8, Math.min(at.left, innerWidth - tip.offsetWidth - 8))}px`;
    tip.style.top = `${below ? at.bottom + 6 : at.top - tip.offsetHeight - 6}px`;
  };
  for (const link of document.querySelectorAll("[data-tip]")) {
    for (const event of ["mouseenter", "focus"]) link.addEventListener(event, () => tell(link));
    for (const event of ["mouseleave", "blur"]) link.addEventListener(event, hide);
  }
  addEventListener("keydown", (event) => { if (event.key === "Escape") hide(); });
  addEventListener("scroll", () => { // a tip of the keyboard goes with its link
    const link = document.activeElement?.closest("[data-tip]");
    if (tip && link) tell(link);
    else hide();
  }, { passive: true });
})();
