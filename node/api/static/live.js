// Keeps the page fresh: every committed change, and once in five seconds anyway, fetches the page
// again and swaps the parts that differ. Without this module the page reloads itself.

const PERIOD_MS = 5000;
const SETTLE_MS = 150;
const label = document.getElementById("live");
const served = label.textContent;

let timer = 0;
let lost = 0;

function say(text, word) {
  if (label.textContent !== text) label.textContent = text;
  label.className = `live ${word}`;
}

function swap(fresh) {
  for (const part of document.querySelectorAll("[data-live]")) {
    const next = fresh.getElementById(part.id);
    if (next && next.innerHTML !== part.innerHTML && !part.contains(window.getSelection().anchorNode?.parentElement?.closest("code") ?? null)) {
      part.className = next.className;
      part.innerHTML = next.innerHTML;
    }
  }
  document.title = fresh.title;
}

async function refresh() {
  clearTimeout(timer);
  timer = setTimeout(refresh, PERIOD_MS);
  if (document.hidden) return;
  try {
    const response = await fetch("/", { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(4000) });
    if (response.status === 401) return location.reload();
    if (!response.ok) throw new Error(response.statusText);
    swap(new DOMParser().parseFromString(await response.text(), "text/html"));
    lost = 0;
    say(`● live, ${served}`, "ok");
  } catch {
    lost += 1;
    say(lost > 1 ? "✕ this node does not answer, trying again" : "◐ reconnecting", lost > 1 ? "bad" : "warn");
  }
}

function soon() {
  clearTimeout(timer);
  timer = setTimeout(refresh, SETTLE_MS);
}

const events = new EventSource("/v1/events");
events.addEventListener("change", soon);
events.addEventListener("reset", soon);
document.addEventListener("visibilitychange", soon);
soon();
