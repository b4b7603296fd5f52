// The timeline as one moves in it: closer, aside, to an event, by mouse and by keyboard.

const HIGHEST_ON_PAPER = 800;

function makeTimeline(onPick) {
  const box = byId("timeline"), extent = byId("extent"), bars = byId("bars"), tip = byId("tip");
  let layout = null;
  let from = 0, to = 1, waiting = false, chosen = -1, dragged = null;

  function load(events) {
    const whole = !layout || (from === 0 && to === layout.events.length);
    layout = layOutTimeline(events);
    extent.style.height = `${layout.total}px`;
    if (whole || to > events.length) [from, to] = [0, events.length];
    drawSoon();
  }

  function drawSoon() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; drawAll(); });
  }

  function colours() {
    const style = getComputedStyle(document.documentElement), found = {};
    return (name) => (found[name] ||= style.getPropertyValue(`--${name}`).trim());
  }

  function drawAll() {
    const wide = box.clientWidth, scale = devicePixelRatio || 1;
    const tall = onPaper() ? Math.min(layout.total, HIGHEST_ON_PAPER) : Math.min(box.clientHeight, layout.total);
    if (bars.width !== Math.round(wide * scale) || bars.height !== Math.round(tall * scale)) {
      bars.width = Math.round(wide * scale);
      bars.height = Math.round(tall * scale);
      bars.style.height = `${tall}px`;
    }
    const pen = bars.getContext("2d"), colour = colours();
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, wide, tall);
    const x = (moment) => ((moment - from) / (to - from)) * wide;
    drawTimeline({ pen, colour, wide, tall, x, from, to, chosen, layout, scroll: box.scrollTop });
    if (!performance.getEntriesByName("drawn").length) performance.mark("drawn");
    if (dragged && Math.abs(dragged.x - dragged.start) > 3) {
      pen.fillStyle = colour("focus");
      pen.globalAlpha = 0.2;
      pen.fillRect(Math.min(dragged.start, dragged.x), AXIS, Math.abs(dragged.x - dragged.start), tall);
      pen.globalAlpha = 1;
    }
  }

  const momentAt = (event) => from + ((event.clientX - bars.getBoundingClientRect().left) / bars.clientWidth) * (to - from);

  function barAt(event) {
    const place = bars.getBoundingClientRect(), moment = momentAt(event);
    if (event.clientY - place.top < AXIS) return -1;
    const y = event.clientY - place.top + box.scrollTop, slack = ((to - from) / place.width) * 2;
    if (layout.events.path.length && y < AXIS + HEAD + PATH + 6) return (layout.events.path.find(([start, end]) => start <= moment && moment < end) || [0, 0, -1])[2];
    const lane = layout.lanes.find((one) => y >= one.top && y < one.base + one.tracks * TRACK_HIGH);
    if (!lane) return -1;
    if (y < lane.base) return lane.head;
    const track = layout.tracks[lane.first + Math.floor((y - lane.base) / TRACK_HIGH)] || [];
    const around = (room) => track.filter((index) => layout.events.rows[index][START] - room <= moment && moment <= layout.events.rows[index][END] + room);
    const hits = around(0).length ? around(0) : around(slack);
    // The innermost of them: what is inside of a batch comes after it.
    return hits.length ? hits[hits.length - 1] : -1;
  }

  function zoom(factor, middle = (from + to) / 2) {
    const wanted = Math.min(Math.max((to - from) * factor, 10), layout.events.length), share = (middle - from) / (to - from);
    show(middle - wanted * share, wanted);
  }

  function show(start, wanted) {
    from = Math.min(Math.max(start, 0), layout.events.length - wanted);
    to = from + wanted;
    drawSoon();
  }

  // Shows one event with some time around it.
  function closer(index) {
    if (index < 0) return;
    const row = layout.events.rows[index], wanted = Math.min(Math.max((row[END] - row[START]) * 1.5, 10), layout.events.length);
    show((row[START] + row[END]) / 2 - wanted / 2, wanted);
  }

  function step(by) {
    const at = layout.inTime.indexOf(chosen);
    const next = layout.inTime[at < 0 ? 0 : Math.min(Math.max(at + by, 0), layout.inTime.length - 1)];
    if (next !== undefined) onPick(next);
  }

  function nextFailed() {
    const failed = layout.inTime.filter((index) => layout.events.isBad(index));
    if (failed.length) onPick(failed[(failed.indexOf(chosen) + 1) % failed.length]);
  }

  function choose(index) {
    chosen = index;
    const row = layout.events.rows[index];
    if (row && (row[END] < from || row[START] > to)) show((row[START] + row[END]) / 2 - (to - from) / 2, to - from);
    const lane = row && row[TRACK] >= 0 ? layout.lanes.find((one) => row[TRACK] >= one.first && row[TRACK] < one.first + one.tracks) : null;
    if (lane) {
      const top = lane.base + (row[TRACK] - lane.first) * TRACK_HIGH;
      if (top < box.scrollTop + AXIS || top + TRACK_HIGH > box.scrollTop + box.clientHeight) box.scrollTop = top - box.clientHeight / 2;
    }
    drawSoon();
  }

  function point(event) {
    const index = barAt(event);
    tip.hidden = index < 0;
    if (index < 0) return;
    const row = layout.events.rows[index], place = extent.getBoundingClientRect();
    tip.textContent = `${row[FOLDED] ? `${amount(row[COUNT])} more, as one: ` : ""}${titleOf(layout.events, index)}, ${ofMicros(row[TOOK])}`;
    tip.style.left = `${Math.min(event.clientX - place.left + 12, box.clientWidth - tip.offsetWidth - 8)}px`;
    tip.style.top = `${event.clientY - place.top + 16}px`;
  }

  byId("closer").addEventListener("click", () => zoom(0.5));
  byId("wider").addEventListener("click", () => zoom(2));
  byId("whole").addEventListener("click", () => show(0, layout.events.length));
  byId("next-failed").addEventListener("click", nextFailed);
  box.addEventListener("scroll", drawSoon, { passive: true });
  box.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    zoom(event.deltaY > 0 ? 1.25 : 0.8, momentAt(event));
  }, { passive: false });
  box.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const part = (to - from) / 8;
    const moves = {
      "+": () => zoom(0.5),
      "=": () => zoom(0.5),
      "-": () => zoom(2),
      0: () => show(0, layout.events.length),
      ArrowLeft: () => show(from - part, to - from),
      ArrowRight: () => show(from + part, to - from),
      w: () => zoom(0.5),
      s: () => zoom(2),
      a: () => show(from - part, to - from),
      d: () => show(from + part, to - from),
      f: () => closer(chosen),
      ArrowDown: () => step(1),
      ArrowUp: () => step(-1),
    };
    if (!Object.hasOwn(moves, event.key)) return;
    event.preventDefault();
    moves[event.key]();
  });
  bars.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "mouse" || event.button) return;
    const x = event.clientX - bars.getBoundingClientRect().left;
    dragged = { start: x, x, moment: momentAt(event) };
    bars.setPointerCapture(event.pointerId);
  });
  bars.addEventListener("pointermove", (event) => {
    if (dragged) {
      dragged.x = event.clientX - bars.getBoundingClientRect().left;
      drawSoon();
    } else point(event);
  });
  bars.addEventListener("pointerleave", () => { tip.hidden = true; });
  bars.addEventListener("pointerup", (event) => {
    const was = dragged, moment = momentAt(event);
    dragged = null;
    if (was && Math.abs(was.x - was.start) > 3) show(Math.min(was.moment, moment), Math.max(Math.abs(moment - was.moment), 10));
    else {
      const index = barAt(event);
      if (index >= 0) onPick(index);
    }
  });
  new ResizeObserver(drawSoon).observe(box);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawSoon);
  for (const moment of ["beforeprint", "afterprint"]) addEventListener(moment, drawAll);
  return { load, choose };
}
