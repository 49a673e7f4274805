// What pages can do in a browser beside what HTML does. Every page works without this, but for what is live.
(() => {
  "use strict";

  const words = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

  // Times are written in UTC; whoever reads them has a clock of their own. UTC stays in the title.
  const localise = (root) => {
    for (const time of root.querySelectorAll("time[datetime]:not([data-local])")) {
      time.dataset.local = "";
      const moment = new Date(time.dateTime);
      if (!Number.isNaN(moment.getTime())) time.textContent = words.format(moment);
    }
  };

  const copy = async (button) => {
    const text = button.parentElement.querySelector("pre, code").textContent;
    const label = button.textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      const range = document.createRange();
      range.selectNodeContents(button.parentElement.querySelector("pre, code"));
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      button.textContent = "Press Ctrl+C";
    }
    setTimeout(() => { button.textContent = label; }, 2000);
  };

  const enliven = (root) => {
    localise(root);
    for (const button of root.querySelectorAll("[data-copy][hidden], [data-print][hidden]")) button.hidden = false;
    for (const box of root.querySelectorAll("[hidden] > [data-all]")) box.parentElement.hidden = false;
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) copy(button);
    if (event.target.closest("[data-print]")) print();
  });

  // One box ticks them all.
  document.addEventListener("change", (event) => {
    if (!event.target.matches("[data-all]")) return;
    for (const box of event.target.closest("form").querySelectorAll("input[type=checkbox][name]")) box.checked = event.target.checked;
  });

  document.addEventListener("submit", (event) => {
    const button = event.submitter;
    if (!button || event.target.hasAttribute("hx-get")) return;
    requestAnimationFrame(() => { button.setAttribute("aria-busy", "true"); });
  });

  document.addEventListener("DOMContentLoaded", () => {
    enliven(document);
    document.querySelector(".problems")?.focus();
    const menu = document.querySelector("details.menu");
    if (menu && matchMedia("(max-width: 55rem)").matches) menu.open = false;
  });
  document.addEventListener("htmx:afterSwap", (event) => enliven(event.target));
  // What was ticked or typed in a part of the page survives its refreshing.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const ticked = [...event.target.querySelectorAll("input[type=checkbox]:checked")].map((box) => box.value);
    if (!ticked.length) return;
    event.target.addEventListener("htmx:afterSwap", () => {
      for (const box of event.target.querySelectorAll("input[type=checkbox]")) box.checked ||= ticked.includes(box.value);
    }, { once: true });
  });
})();
