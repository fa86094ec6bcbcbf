// Keeps a page fresh: every committed change, and once in five seconds anyway, fetches the page again
// and swaps the parts that differ. Without this module the page reloads itself.

const PERIOD_MS = 5000;
const SETTLE_MS = 150;
const THEMES = ["", "dark", "light"];
const label = document.getElementById("live");
const elsewhere = document.getElementById("elsewhere");
const served = label.textContent;
const seen = new Map();

let timer = 0;
let lost = 0;

function say(text, word) {
  if (label.textContent !== text) label.textContent = text;
  label.className = `live ${word}`;
  elsewhere.hidden = word !== "bad" || !elsewhere.querySelector("a");
}

function isInUse(part) {
  const chosen = window.getSelection();
  const quoted = chosen.isCollapsed ? null : chosen.anchorNode;
  return part.contains(document.activeElement) || (quoted && part.contains(quoted));
}

function renew(part, next) {
  const text = next.innerHTML;
  if (seen.get(part.id) === text || isInUse(part)) return;
  seen.set(part.id, text);
  part.className = next.className;
  const kept = part.querySelector("details[open]");
  if (kept) next.querySelector("details")?.replaceWith(kept);
  part.replaceChildren(...next.childNodes);
}

function swap(fresh) {
  for (const part of document.querySelectorAll("[data-live]")) {
    const next = fresh.getElementById(part.id);
    if (next) renew(part, next);
  }
  document.title = fresh.title;
}

async function refresh() {
  clearTimeout(timer);
  timer = setTimeout(refresh, PERIOD_MS);
  if (document.hidden) return;
  try {
    const response = await fetch(location.href, { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(4000) });
    if (response.status === 401) return location.reload();
    if (!response.ok) throw new Error(response.statusText);
    swap(new DOMParser().parseFromString(await response.text(), "text/html"));
    lost = 0;
    say(`● live, ${served}`, "ok");
  } catch {
    lost += 1;
    say(lost > 1 ? "✕ no answer, trying again" : "◐ reconnecting", lost > 1 ? "bad" : "warn");
  }
}

function soon() {
  clearTimeout(timer);
  timer = setTimeout(refresh, SETTLE_MS);
}

function follow() {
  const events = new EventSource("/v1/events");
  events.addEventListener("change", soon);
  events.addEventListener("reset", soon);
  events.addEventListener("error", soon);
  document.addEventListener("visibilitychange", soon);
  soon();
}

function remembered() {
  try {
    return localStorage.getItem("theme") ?? "";
  } catch {
    return "";
  }
}

function show(theme, button) {
  document.documentElement.dataset.theme = theme;
  button.setAttribute("aria-label", `Theme: ${theme || "as the system"}`);
}

function offerThemes() {
  const button = document.getElementById("theme");
  let theme = remembered();
  show(theme, button);
  button.hidden = false;
  button.addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    show(theme, button);
    try {
      localStorage.setItem("theme", theme);
    } catch {
      // Without storage the choice lasts as long as the page.
    }
  });
}

offerThemes();
if (document.querySelector("[data-live]:not(#index)")) follow();
