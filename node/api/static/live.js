// Keeps a page fresh: every committed change, and once in five seconds anyway, fetches the page again
// and swaps the parts that differ. When the node that serves it is gone for some seconds it finds out which other
// nodes are ready, and offers them, or goes there where nobody had to log in. Without this module the page reloads itself.

const PERIOD_MS = 5000;
const SETTLE_MS = 150;
const AWAY_MS = 5000;
const THEMES = ["", "dark", "light"];
const label = document.getElementById("live");
const elsewhere = document.getElementById("elsewhere");
const served = label.textContent;
const seen = new Map();

let timer = 0;
let lostAt = 0;

function say(text, word) {
  if (label.textContent !== text) label.textContent = text;
  label.className = `live ${word}`;
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

function isBusy() {
  return document.activeElement.matches("input, select, textarea, form *") || document.querySelector("details[open]");
}

// Ask another node whether it is ready; where this page may not ask, it does not know.
async function ask(item) {
  const { ready } = item.querySelector("a").dataset;
  try {
    if (!ready || new URL(ready).protocol !== location.protocol) return { item, rank: 1, word: "" };
    const response = await fetch(ready, { credentials: "omit", cache: "no-store", signal: AbortSignal.timeout(3000) });
    return response.ok ? { item, rank: 0, word: "✓ ready" } : { item, rank: 2, word: "◐ not ready" };
  } catch {
    return { item, rank: 3, word: "✕ no answer" };
  }
}

async function seek() {
  const list = elsewhere?.querySelector("ul");
  if (!list) return;
  const found = await Promise.all([...list.children].map(ask));
  if (!lostAt) return;
  found.sort((one, other) => one.rank - other.rank);
  for (const { item, word } of found) item.querySelector("small").textContent = word;
  if (found.some(({ item }, place) => list.children[place] !== item)) list.append(...found.map(({ item }) => item));
  elsewhere.hidden = false;
  if (found[0].rank === 0 && "moves" in elsewhere.dataset && !isBusy()) location.assign(found[0].item.querySelector("a").href);
}

function miss() {
  lostAt ||= Date.now();
  const isAway = Date.now() - lostAt >= AWAY_MS;
  say(isAway ? "✕ no answer, trying again" : "◐ reconnecting", isAway ? "bad" : "warn");
  if (isAway) seek();
}

function regain() {
  lostAt = 0;
  if (elsewhere) elsewhere.hidden = true;
  say(`● live, ${served}`, "ok");
}

async function refresh() {
  clearTimeout(timer);
  timer = setTimeout(refresh, PERIOD_MS);
  if (document.hidden) return;
  try {
    const response = await fetch(location.href, { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(4000) });
    if (response.status === 401 || response.status === 404) return location.reload();
    if (!response.ok) throw new Error(response.statusText);
    swap(new DOMParser().parseFromString(await response.text(), "text/html"));
    regain();
  } catch {
    miss();
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
