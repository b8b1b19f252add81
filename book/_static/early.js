// Before a page is shown: what its reader chose, so that nothing changes afterwards.
(() => {
  const data = document.documentElement.dataset;
  const chosen = (name) => { try { return localStorage.getItem(name); } catch { return null; } };
  data.mode = chosen("mode") || "auto";
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  data.theme = data.mode === "auto" ? system : data.mode;
  data.code = chosen("code") || "shown";
  data.live = "yes"; // living figures take the place of pictures,
  addEventListener("load", () => { if (document.querySelector(".lab:not(.lab-alive)")) delete data.live; }); // if they live
})();
