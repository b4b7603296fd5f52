// Asks the server again and again for a newer document, as long as somebody looks. Asking rather than being told: a browser holds six
// connections to a server at most, and pages that each keep one open for news would starve the seventh; the answer is mostly "as before".

const SOONEST = 300, AWAY = 2000;

// `address()` is asked before each time, `take(document)` returns whether to go on, `fail(words)` gets a sentence, or "" when all is well again.
function keepFresh(address, take, fail) {
  let tag = "", asked = "", timer = 0, goesOn = true, busy = false;
  async function ask() {
    clearTimeout(timer);
    if (busy || !goesOn || document.hidden) return;
    busy = true;
    const began = performance.now(), now = address();
    let pause = AWAY;
    try {
      const answer = await fetch(now, { cache: "no-store", headers: tag && now === asked ? { "If-None-Match": tag } : {} });
      if (answer.status === 200) {
        const found = await answer.json();
        [tag, asked] = [answer.headers.get("ETag") ?? "", now];
        if (now === address()) goesOn = take(found);
      } else if (answer.status !== 304) throw new Error(await answer.text());
      fail("");
      // What takes long to make, such as the page of a run with very many events, is asked for less often.
      pause = Math.max(SOONEST, 9 * (performance.now() - began));
    } catch (error) {
      fail(error instanceof TypeError ? "The server does not answer any more: what is shown may be out of date." : String(error.message));
    }
    busy = false;
    timer = setTimeout(ask, now === address() ? pause : 0);
  }
  document.addEventListener("visibilitychange", ask);
  ask();
  return ask;
}
