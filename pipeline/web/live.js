// Keeps what a run under way says of itself up to date. It writes texts and lengths of bars alone; without it a reload does the same.
"use strict";

const shown = document.body.dataset.runs;
const address = document.body.dataset.live;
const REST_MS = shown ? 2000 : 5000;

async function look() {
  try {
    const answer = await fetch(address, { cache: "no-store" });
    const now = await answer.json();
    if (now.runs !== shown) {
      if (!["INPUT", "TEXTAREA", "SELECT"].includes(document.activeElement?.tagName)) location.reload();
      return;
    }
    for (const [name, text] of Object.entries(now.texts)) {
      for (const place of document.querySelectorAll(`[data-says="${CSS.escape(name)}"]`)) place.textContent = text;
    }
    for (const [name, [done, total]] of Object.entries(now.bars)) {
      for (const bar of document.querySelectorAll(`[data-bar="${CSS.escape(name)}"]`)) [bar.max, bar.value] = [total, done];
    }
  } catch {
    // The program has ended, or is busy: the page stays as it is.
  }
}

setInterval(() => { if (!document.hidden) look(); }, REST_MS);
