// The events over time: a lane for each job, a track for each batch that was open at once, attempts and waits inside of their batch.

const AXIS = 22, HEAD = 24, TRACK_HIGH = 20, BAR = 16, WORK = 10, WAIT = 4, PATH = 14, HIGHEST_ON_PAPER = 800;

function makeTimeline(onPick) {
  const box = byId("timeline"), extent = byId("extent"), bars = byId("bars"), tip = byId("tip");
  let events = null, lanes = [], tracks = [], nested = new Uint8Array(0), inTime = [], total = 0;
  let from = 0, to = 1, waiting = false, chosen = -1, dragged = null;

  function load(found) {
    const whole = !events || (from === 0 && to === events.length);
    events = found;
    tracks = [];
    nested = new Uint8Array(events.size);
    for (let index = 0; index < events.size; index++) {
      const track = events.rows[index][TRACK];
      if (track < 0) continue;
      (tracks[track] ||= []).push(index);
      const above = events.above[index];
      // Below a group of events that are alike each stands alone, so a batch is right above what is inside of it.
      if (isInside(index)) nested[above] = 1;
    }
    for (const track of tracks) track.sort((one, other) => events.rows[one][START] - events.rows[other][START] || one - other);
    inTime = tracks.flat().sort((one, other) => events.rows[one][START] - events.rows[other][START] || one - other);
    total = AXIS + (events.path.length ? HEAD + PATH : 0) + 8;
    lanes = events.lanes.map((lane) => {
      const placed = { ...lane, top: total };
      total += HEAD + lane.tracks * TRACK_HIGH + 8;
      return placed;
    });
    extent.style.height = `${total}px`;
    if (whole || to > events.length) [from, to] = [0, events.length];
    drawSoon();
  }

  const isInside = (index) => events.above[index] < events.size && events.rows[events.above[index]][TRACK] === events.rows[index][TRACK];

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
    const tall = onPaper() ? Math.min(total, HIGHEST_ON_PAPER) : Math.min(box.clientHeight, total);
    if (bars.width !== Math.round(wide * scale) || bars.height !== Math.round(tall * scale)) {
      bars.width = Math.round(wide * scale);
      bars.height = Math.round(tall * scale);
      bars.style.height = `${tall}px`;
    }
    const pen = bars.getContext("2d"), colour = colours();
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, wide, tall);
    const sheet = { pen, colour, wide, tall, x: (moment) => ((moment - from) / (to - from)) * wide };
    const ticks = ticksOf(wide);
    pen.fillStyle = colour("line");
    for (const tick of ticks) pen.fillRect(sheet.x(tick), AXIS, 1, tall);
    if (events.path.length) drawPath(sheet);
    for (const lane of lanes) drawLane(sheet, lane);
    drawAxis(sheet, ticks);
    if (!performance.getEntriesByName("drawn").length) performance.mark("drawn");
    if (dragged && Math.abs(dragged.x - dragged.start) > 3) {
      pen.fillStyle = colour("focus");
      pen.globalAlpha = 0.2;
      pen.fillRect(Math.min(dragged.start, dragged.x), AXIS, Math.abs(dragged.x - dragged.start), tall);
      pen.globalAlpha = 1;
    }
  }

  function drawAxis({ pen, colour, wide, x }, ticks) {
    pen.fillStyle = colour("raised");
    pen.fillRect(0, 0, wide, AXIS);
    pen.fillStyle = colour("quiet");
    pen.font = "12px system-ui, sans-serif";
    const step = (ticks[1] - ticks[0] || 1e6) / 1e6, digits = Math.max(0, Math.ceil(-Math.log10(step)));
    for (const tick of ticks) {
      const text = step >= 1 && to > 120e6 ? duration(tick / 1e6) : `${(tick / 1e6).toFixed(digits)} s`;
      if (x(tick) + 4 + pen.measureText(text).width < wide) pen.fillText(text, x(tick) + 4, 15);
    }
  }

  function title({ pen, colour }, text, y) {
    pen.font = "600 12px system-ui, sans-serif";
    pen.fillStyle = colour("text");
    pen.fillText(text.slice(0, 200), 6, y);
  }

  function drawPath(sheet) {
    const { pen, colour, wide, x } = sheet, top = AXIS + 6 - box.scrollTop;
    title(sheet, "Critical path", top + 14);
    for (const [start, end, index] of events.path) {
      const left = Math.max(x(start), -2), right = Math.min(x(end), wide + 2);
      if (right < 0 || left > wide) continue;
      pen.fillStyle = index < 0 ? colour("line") : colour(colourOf(events, index));
      pen.fillRect(left, top + HEAD - 4, Math.max(right - left - 0.5, 0.5), PATH - 4);
    }
  }

  function drawLane(sheet, lane) {
    const { pen, colour, wide, tall, x } = sheet, top = lane.top - box.scrollTop;
    if (top > tall || top + HEAD + lane.tracks * TRACK_HIGH < 0) return;
    if (lane.head >= 0) {
      const row = events.rows[lane.head], left = Math.max(x(row[START]), -2);
      pen.fillStyle = events.isBad(lane.head) ? colour("bad") : colour("async_job");
      pen.fillRect(left, top + HEAD - 6, Math.max(Math.min(x(row[END]), wide + 2) - left, 1), 3);
    }
    title(sheet, events.texts[lane.name], top + 13);
    const first = Math.max(Math.floor((AXIS - top - HEAD) / TRACK_HIGH), 0);
    for (let at = first; at < lane.tracks; at++) {
      const y = top + HEAD + at * TRACK_HIGH;
      if (y > tall) break;
      drawTrack(sheet, tracks[lane.first + at] || [], y);
    }
  }

  // Of bars that share a pixel only one is drawn.
  function drawTrack(sheet, track, y) {
    const { wide, x } = sheet;
    const reached = [-Infinity, -Infinity];
    for (const index of track) {
      const row = events.rows[index], inside = isInside(index) ? 1 : 0;
      const right = Math.min(x(row[END]), wide + 2), left = Math.max(x(row[START]), -2);
      if (left > wide) break;
      if (right < 0 || right <= reached[inside]) continue;
      drawBar(sheet, index, inside, left, y, Math.max(right - left - 1, 1));
      reached[inside] = Math.max(left + 1, right);
    }
  }

  function drawBar({ pen, colour }, index, inside, left, y, width) {
    const kind = events.kind(index), high = !inside ? BAR : kind === "wait" ? WAIT : WORK;
    const top = y + (BAR - high) / 2, paint = colour(colourOf(events, index)), folded = events.rows[index][FOLDED];
    pen.fillStyle = events.isBad(index) && !folded ? colour("bad") : paint;
    if (nested[index] || folded) pen.globalAlpha = folded ? 0.16 : 0.28;
    pen.fillRect(left, top, width, high);
    pen.globalAlpha = 1;
    if (folded) {
      pen.strokeStyle = paint;
      pen.setLineDash([4, 3]);
      pen.strokeRect(left + 0.5, top + 0.5, Math.max(width - 1, 1), high - 1);
      pen.setLineDash([]);
    }
    const text = folded ? `${amount(events.rows[index][COUNT])} more ${titleOf(events, index)}, as one` : inside || nested[index] ? "" : events.name(index);
    if (text && width > 40) label(pen, text, left, top, width, folded ? colour("text") : colour("back"));
    if (index === chosen) {
      pen.strokeStyle = colour("text");
      pen.lineWidth = 2;
      pen.strokeRect(left, top, width, high);
      pen.lineWidth = 1;
    }
  }

  function label(pen, text, left, top, width, colour) {
    const from = Math.max(left, 0), room = left + width - from - 8;
    pen.font = "11px system-ui, sans-serif";
    if (room < 100 && pen.measureText(text).width > room) return;
    pen.save();
    pen.beginPath();
    pen.rect(left, top, width - 4, BAR);
    pen.clip();
    pen.fillStyle = colour;
    pen.fillText(text.slice(0, 200), from + 5, top + 12);
    pen.restore();
  }

  function ticksOf(wide) {
    const rough = ((to - from) / wide) * 90, power = 10 ** Math.floor(Math.log10(rough));
    const step = Math.max(power * [1, 2, 5, 10].find((factor) => factor * power >= rough), 1e-3);
    const ticks = [];
    for (let tick = Math.ceil(from / step) * step; tick < to; tick += step) ticks.push(tick);
    return ticks;
  }

  const momentAt = (event) => from + ((event.clientX - bars.getBoundingClientRect().left) / bars.clientWidth) * (to - from);

  function barAt(event) {
    const place = bars.getBoundingClientRect(), moment = momentAt(event);
    if (event.clientY - place.top < AXIS) return -1;
    const y = event.clientY - place.top + box.scrollTop, slack = ((to - from) / place.width) * 2;
    if (events.path.length && y < AXIS + HEAD + PATH + 6) return (events.path.find(([start, end]) => start <= moment && moment < end) || [0, 0, -1])[2];
    const lane = lanes.find((one) => y >= one.top && y < one.top + HEAD + one.tracks * TRACK_HIGH);
    if (!lane) return -1;
    if (y < lane.top + HEAD) return lane.head;
    const track = tracks[lane.first + Math.floor((y - lane.top - HEAD) / TRACK_HIGH)] || [];
    const around = (room) => track.filter((index) => events.rows[index][START] - room <= moment && moment <= events.rows[index][END] + room);
    const hits = around(0).length ? around(0) : around(slack);
    // The innermost of them: what is inside of a batch comes after it.
    return hits.length ? hits[hits.length - 1] : -1;
  }

  function zoom(factor, middle = (from + to) / 2) {
    const wanted = Math.min(Math.max((to - from) * factor, 10), events.length), share = (middle - from) / (to - from);
    show(middle - wanted * share, wanted);
  }

  function show(start, wanted) {
    from = Math.min(Math.max(start, 0), events.length - wanted);
    to = from + wanted;
    drawSoon();
  }

  // Shows one event with some time around it.
  function closer(index) {
    if (index < 0) return;
    const row = events.rows[index], wanted = Math.min(Math.max((row[END] - row[START]) * 1.5, 10), events.length);
    show((row[START] + row[END]) / 2 - wanted / 2, wanted);
  }

  function step(by) {
    const at = inTime.indexOf(chosen);
    const next = inTime[at < 0 ? 0 : Math.min(Math.max(at + by, 0), inTime.length - 1)];
    if (next !== undefined) onPick(next);
  }

  function nextFailed() {
    const failed = inTime.filter((index) => events.isBad(index));
    if (failed.length) onPick(failed[(failed.indexOf(chosen) + 1) % failed.length]);
  }

  function choose(index) {
    chosen = index;
    const row = events.rows[index];
    if (row && (row[END] < from || row[START] > to)) show((row[START] + row[END]) / 2 - (to - from) / 2, to - from);
    const lane = row && row[TRACK] >= 0 ? lanes.find((one) => row[TRACK] >= one.first && row[TRACK] < one.first + one.tracks) : null;
    if (lane) {
      const top = lane.top + HEAD + (row[TRACK] - lane.first) * TRACK_HIGH;
      if (top < box.scrollTop + AXIS || top + TRACK_HIGH > box.scrollTop + box.clientHeight) box.scrollTop = top - box.clientHeight / 2;
    }
    drawSoon();
  }

  function point(event) {
    const index = barAt(event);
    tip.hidden = index < 0;
    if (index < 0) return;
    const row = events.rows[index], place = extent.getBoundingClientRect();
    tip.textContent = `${row[FOLDED] ? `${amount(row[COUNT])} more, as one: ` : ""}${titleOf(events, index)}, ${ofMicros(row[TOOK])}`;
    tip.style.left = `${Math.min(event.clientX - place.left + 12, box.clientWidth - tip.offsetWidth - 8)}px`;
    tip.style.top = `${event.clientY - place.top + 16}px`;
  }

  byId("closer").addEventListener("click", () => zoom(0.5));
  byId("wider").addEventListener("click", () => zoom(2));
  byId("whole").addEventListener("click", () => show(0, events.length));
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
      0: () => show(0, events.length),
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
