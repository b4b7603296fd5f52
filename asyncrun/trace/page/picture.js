// How the timeline is laid out and drawn: a lane for each job, a track for each batch that was open at once, attempts and waits inside of it.

const AXIS = 22, HEAD = 24, TRACK_HIGH = 20, BAR = 16, WORK = 10, WAIT = 4, PATH = 14, LEVELS = 30;

// Where everything lies: `tracks` and `inTime` hold rows by their start, `nested` marks those with something inside of their bar.
function layOutTimeline(events) {
  const { rows } = events, tracks = [], nested = new Uint8Array(events.size);
  const isInside = (index) => events.above[index] < events.size && rows[events.above[index]][TRACK] === rows[index][TRACK];
  for (let index = 0; index < events.size; index++) {
    if (rows[index][TRACK] < 0) continue;
    (tracks[rows[index][TRACK]] ||= []).push(index);
    if (isInside(index)) nested[events.above[index]] = 1;
  }
  const byStart = (one, other) => rows[one][START] - rows[other][START] || one - other;
  for (const track of tracks) track.sort(byStart);
  let total = AXIS + (events.path.length ? HEAD + PATH : 0) + 8;
  const lanes = events.lanes.map((lane) => {
    // The tracks lie below the name, and below the picture of how many were open at once where there is one.
    const placed = { ...lane, top: total, base: total + HEAD + (lane.levels.length ? LEVELS : 0) };
    total = placed.base + lane.tracks * TRACK_HIGH + 8;
    return placed;
  });
  return { events, tracks, nested, isInside, lanes, total, inTime: tracks.flat().sort(byStart) };
}

// Draws what lies between the moments `from` and `to`, `scroll` pixels down, on a sheet of `wide` by `tall` pixels.
function drawTimeline(sheet) {
  const { pen, colour, tall, x, layout } = sheet, ticks = ticksOf(sheet);
  pen.fillStyle = colour("line");
  for (const tick of ticks) pen.fillRect(x(tick), AXIS, 1, tall);
  if (layout.events.path.length) drawPath(sheet);
  for (const lane of layout.lanes) drawLane(sheet, lane);
  drawAxis(sheet, ticks);
}

function ticksOf({ from, to, wide }) {
  const rough = ((to - from) / wide) * 90, power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(power * [1, 2, 5, 10].find((factor) => factor * power >= rough), 1e-3);
  const ticks = [];
  for (let tick = Math.ceil(from / step) * step; tick < to; tick += step) ticks.push(tick);
  return ticks;
}

function drawAxis({ pen, colour, wide, x, to }, ticks) {
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
  const { pen, colour, wide, x, scroll, layout: { events } } = sheet, top = AXIS + 6 - scroll;
  title(sheet, "Critical path", top + 14);
  for (const [start, end, index] of events.path) {
    const left = Math.max(x(start), -2), right = Math.min(x(end), wide + 2);
    if (right < 0 || left > wide) continue;
    pen.fillStyle = index < 0 ? colour("line") : colour(colourOf(events, index));
    pen.fillRect(left, top + HEAD - 4, Math.max(right - left - 0.5, 0.5), PATH - 4);
  }
}

function drawLane(sheet, lane) {
  const { pen, colour, wide, tall, x, scroll, layout: { events, tracks } } = sheet, top = lane.top - scroll;
  const base = lane.base - scroll;
  if (top > tall || base + lane.tracks * TRACK_HIGH < 0) return;
  if (lane.head >= 0) {
    const row = events.rows[lane.head], left = Math.max(x(row[START]), -2);
    pen.fillStyle = events.isBad(lane.head) ? colour("bad") : colour("async_job");
    pen.fillRect(left, top + HEAD - 6, Math.max(Math.min(x(row[END]), wide + 2) - left, 1), 3);
  }
  title(sheet, events.texts[lane.name], top + 13);
  if (lane.levels.length) drawLevels(sheet, lane, base - 4);
  const first = Math.max(Math.floor((AXIS - base) / TRACK_HIGH), 0);
  for (let at = first; at < lane.tracks; at++) {
    const y = base + at * TRACK_HIGH;
    if (y > tall) break;
    drawTrack(sheet, tracks[lane.first + at] || [], y);
  }
}

// How many events were open at once, as an area above a ground line.
function drawLevels({ pen, colour, x, layout: { events } }, { levels }, ground) {
  const most = Math.max(...levels, 1), part = events.length / levels.length;
  pen.beginPath();
  pen.moveTo(x(0), ground);
  levels.forEach((level, at) => {
    const y = ground - (level / most) * (LEVELS - 6);
    pen.lineTo(x(at * part), y);
    pen.lineTo(x((at + 1) * part), y);
  });
  pen.lineTo(x(events.length), ground);
  pen.fillStyle = colour("async_job");
  pen.globalAlpha = 0.45;
  pen.fill();
  pen.globalAlpha = 1;
  pen.fillStyle = colour("text");
  pen.font = "11px system-ui, sans-serif";
  pen.fillText(`at once, ${amount(most)} at most`, 6, ground - LEVELS + 18);
}

// Of bars that share a pixel only one is drawn.
function drawTrack(sheet, track, y) {
  const { wide, x, chosen, layout: { events, isInside } } = sheet;
  const reached = [-Infinity, -Infinity];
  for (const index of track) {
    const row = events.rows[index], inside = isInside(index) ? 1 : 0;
    const right = Math.min(x(row[END]), wide + 2), left = Math.max(x(row[START]), -2);
    if (left > wide) break;
    if (right < 0 || (right <= reached[inside] && index !== chosen)) continue;
    drawBar(sheet, index, inside, left, y, Math.max(right - left - 1, 1));
    reached[inside] = Math.max(left + 1, right);
  }
}

function drawBar({ pen, colour, chosen, layout: { events, nested } }, index, inside, left, y, width) {
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
