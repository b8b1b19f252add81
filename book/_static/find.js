// The book's own search: in the dialog of every page, and on the page of results.  The index is loaded when it is needed.
(() => {
  const base = document.documentElement.dataset.content_root || "./";
  const self = document.currentScript.src;
  const letters = { eps: "ε", alpha: "α", beta: "β", gamma: "γ", delta: "δ", epsilon: "ε", varepsilon: "ε", eta: "η", theta: "θ",
    kappa: "κ", lambda: "λ", mu: "μ", pi: "π", rho: "ρ", sigma: "σ", tau: "τ", phi: "ϕ", "φ": "ϕ" };
  const names = new RegExp(`\\b(${Object.keys(letters).slice(0, -1).join("|")})(?!\\p{L})|φ`, "gu");
  const simple = (text) => text.toLowerCase().normalize("NFKC").replaceAll("’", "'").replace(/[‐‑–]/g, "-")
    .replace(/\bfig\. /g, "figure ").replace(names, (name) => letters[name]).replaceAll("⊤", "t")
    .replace(/(?<![\p{L}\d])(\p{L})[_^]\{?([\p{L}\d]+)\}?/gu, "$1$2"); // W_0 is W₀
  const kinds = { symbol: 9, theorem: 8, definition: 8, section: 6, page: -30, figure: -20, table: -20, claim: -60, exercise: -250 };
  const aside = /^(?:[\d.]+ )?(?:exercises|what to try|summary)$/; // sections that say again what stands elsewhere

  let loading;
  const load = () => loading ||= new Promise((done) => {
    const script = document.createElement("script");
    script.src = self.replace("find.js", "find-index.js");
    script.onload = () => done(window.findIndex.map(([kind, title, address, text, page]) =>
      ({ kind, title, address, text, page, name: simple(title), words: simple(text) })));
    document.head.append(script);
  });

  const starts = (text, word) => { // where a word begins with the one that is looked for
    for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1))
      if (!at || !/[\p{L}\d]/u.test(text[at - 1]) || !/[\p{L}\d]/u.test(word[0])) return at;
    return -1;
  };
  const whole = (text, word) => {
    const at = starts(text, word);
    return at >= 0 && !/^[\p{L}\d]|^\.\d/u.test(text.slice(at + word.length));
  };
  const score = (entry, query, words, every) => {
    const there = (word) => starts(entry.name, word) >= 0 || starts(entry.words, word) >= 0;
    if (every ? !words.every(there) : !words.some(there)) return 0;
    const bare = entry.name.replace(/^[\d.]+ /, ""), label = bare.match(/^[a-z]+ [\d.]*\d\b/)?.[0];
    const title = entry.name.includes(`the paper's ${query}`) ? 1100 : [entry.name, bare, label].includes(query) ? 1000 : whole(entry.name, query)
      ? (bare.startsWith(query) ? 400 : 200) : words.every((word) => starts(entry.name, word) >= 0) ? 100 : 0;
    const often = 40 * whole(entry.words, query) + 4 * Math.min(5, entry.words.split(query).length - 1);
    return 300 + kinds[entry.kind] - 200 * aside.test(entry.name) + (title || often);
  };

  const excerpt = (entry, words) => {
    const at = words.map((word) => starts(entry.words, word)).filter((one) => one >= 0);
    const from = Math.max(0, Math.min(...at, entry.text.length) - 50);
    const start = from && at.length ? entry.text.indexOf(" ", from) + 1 : 0;
    const text = entry.text.slice(start, start + 160), cut = start + 160 < entry.text.length;
    return (start ? "… " : "") + (cut ? `${text.slice(0, text.lastIndexOf(" "))} …` : text);
  };
  const item = (entry, words) => {
    const link = Object.assign(document.createElement("a"), { href: base + entry.address });
    const part = (name, text) => {
      const tag = Object.assign(document.createElement("span"), { className: name, textContent: text });
      link.append(tag, " ");
    };
    part("find-title", entry.title);
    part("find-kind", entry.kind === "page" ? "page" : `${entry.kind}, ${entry.page}`);
    part("find-text", excerpt(entry, words));
    const row = document.createElement("li");
    row.append(link);
    return row;
  };

  const find = async (text, most) => {
    const query = simple(text).trim().replace(/\s+/g, " "), words = query.split(" ").filter(Boolean);
    const entries = await load();
    const rank = (every) => entries.map((entry) => [score(entry, query, words, every), entry]).filter(([points]) => points);
    const all = rank(true), found = all.length ? all : rank(false);
    return [words, found.sort((a, b) => b[0] - a[0]).slice(0, most).map(([, entry]) => entry)];
  };
  const fill = async (input, place, most) => {
    const text = input.value;
    const [words, found] = text.trim() ? await find(text, most) : [[], null];
    if (input.value !== text) return; // typed on meanwhile
    const list = document.createElement("ol");
    list.append(...(found || []).map((entry) => item(entry, words)));
    const none = found && !found.length;
    place.replaceChildren(none ? `Nothing in this book has ${words.join(" or ")}.` : list);
  };
  const connect = (input, place, most) => {
    input.addEventListener("focus", load);
    input.addEventListener("input", () => fill(input, place, most));
    const around = input.closest("dialog, .bd-search-container");
    around.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key], stops = [input, ...place.querySelectorAll("a")];
      const next = stops[stops.indexOf(document.activeElement) + step];
      if (step && next) { event.preventDefault(); next.focus(); }
      if (event.key === "Enter" && document.activeElement === input && stops[1]) { event.preventDefault(); stops[1].click(); }
    });
    place.addEventListener("click", (event) => { if (event.target.closest("a")) input.closest("dialog")?.close(); });
  };

  const dialog = document.getElementById("pst-search-dialog");
  if (dialog) {
    const place = Object.assign(document.createElement("div"), { className: "find-results" });
    dialog.append(place);
    connect(dialog.querySelector("input"), place, 8);
  }
  const form = document.querySelector(".find-form");
  if (form) {
    const input = form.querySelector("input"), place = document.querySelector(".bd-search-container .find-results");
    connect(input, place, 50);
    input.value = new URLSearchParams(location.search).get("q") || "";
    fill(input, place, 50);
    input.focus();
  }
})();
