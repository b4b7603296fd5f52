
"use strict";
(() => {
  const { texts, rows, lanes, length } = JSON.parse(document.getElementById("data").textContent);
  const [LEVEL, KIND, NAME, STATUS, START, END, TOOK, OWN, COUNT, FAILED, TRACK, SPREAD, MORE] = Array(13).keys();
  const byId = (id) => document.getElementById(id);
  const tree = byId("tree"), list = byId("rows"), details = byId("details");

  const duration = (micros) => {
    const value = micros / 1e6, whole = Math.round(value), two = (number) => String(number).padStart(2, "0");
    if (value < 59.95) return `${Number(value.toFixed(value < 0.9995 ? 3 : value < 9.995 ? 2 : 1))} s`;
    if (whole < 3600) return `${Math.floor(whole / 60)}m ${two(whole % 60)}s`;
    return `${Math.floor(whole / 3600)}h ${two(Math.floor((whole % 3600) / 60))}m`;
  };
  const kinds = new Map();
  for (const row of rows) if (!kinds.has(row[KIND])) kinds.set(row[KIND], kinds.size % 8);
  const make = (tag, name, text) => {
    const made = document.createElement(tag);
    if (name) made.className = name;
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const isBad = (row) => row[FAILED] > 0 || texts[row[STATUS]] === "failed";
  const isMany = (row) => row[SPREAD] !== null;

  // The tree: rows stand in reading order, so all below a row lie between it and `after`.
  const size = rows.length;
  const above = new Int32Array(size), after = new Int32Array(size), place = new Int32Array(size), below = new Int32Array(size + 1);
  const open = new Uint8Array(size);
  const path = [];
  rows.forEach((row, index) => {
    while (path.length > row[LEVEL]) after[path.pop()] = index;
    above[index] = path.length ? path[path.length - 1] : size;
    place[index] = ++below[above[index]];
    path.push(index);
  });
  while (path.length) after[path.pop()] = size;
  for (let index = 0; index < size; index++) open[index] = !isMany(rows[index]) && (size <= 200 || (rows[index][LEVEL] === 0 && below[size] <= 50));

  let shown = [], chosen = size ? 0 : -1, high = 28;

  function layOut() {
    shown = [];
    for (let index = 0; index < size; index = open[index] ? index + 1 : after[index]) shown.push(index);
    high = parseFloat(getComputedStyle(tree).getPropertyValue("--row")) || 28;
    list.style.height = `${shown.length * high}px`;
    paint();
  }

  function paint() {
    const first = Math.max(Math.floor(tree.scrollTop / high) - 4, 0);
    const last = Math.min(first + Math.ceil(tree.clientHeight / high) + 8, shown.length);
    const lines = [];
    for (let at = first; at < last; at++) lines.push(line(shown[at], at));
    list.replaceChildren(...lines);
    if (byId(`row-${chosen}`)) tree.setAttribute("aria-activedescendant", `row-${chosen}`);
    else tree.removeAttribute("aria-activedescendant");
  }

  function line(index, at) {
    const row = rows[index], item = make("div");
    item.id = `row-${index}`;
    item.dataset.index = index;
    item.setAttribute("role", "treeitem");
    item.setAttribute("aria-level", row[LEVEL] + 1);
    item.setAttribute("aria-posinset", place[index]);
    item.setAttribute("aria-setsize", below[above[index]]);
    item.setAttribute("aria-selected", index === chosen);
    if (below[index]) item.setAttribute("aria-expanded", Boolean(open[index]));
    item.style.top = `${at * high}px`;
    // On a narrow screen deep levels stop moving to the right.
    item.style.paddingLeft = `${8 + Math.min(row[LEVEL] * 20, tree.clientWidth / 3)}px`;
    const label = make("span", "label", texts[row[NAME]]);
    if (row[NAME] !== row[KIND]) label.append(label.textContent ? " " : "", make("span", "kind", texts[row[KIND]]));
    if (isMany(row)) label.append(` × ${row[COUNT]}`);
    item.title = label.textContent;
    item.append(make("span", "twist"), make("span", `swatch c${kinds.get(row[KIND])}`), label, figures(row, index));
    return item;
  }

  function figures(row, index) {
    const made = make("span", "figures"), parts = [];
    const status = texts[row[STATUS]];
    if (row[FAILED] && isMany(row)) parts.push(make("span", "failed", `${row[FAILED]} failed`));
    else if (status && status !== "succeeded") parts.push(make("span", isBad(row) ? "failed" : "", status.length > 20 ? `${status.slice(0, 19)}…` : status));
    if (isMany(row)) parts.push(...["p50", "p95", "max"].map((name, at) => `${name} ${duration(row[SPREAD][at])}`));
    else {
      parts.push(`at ${duration(row[START])}`);
      if (below[index]) parts.push(`self ${duration(row[OWN])}`);
    }
    parts.push(make("span", "took", duration(row[TOOK])));
    parts.forEach((part, at) => made.append(at ? " · " : "", part));
    return made;
  }

  function describe() {
    if (chosen < 0) return;
    const row = rows[chosen], entries = make("dl");
    const facts = [["type", texts[row[KIND]]], ["name", texts[row[NAME]]], ["status", texts[row[STATUS]]], ["start", duration(row[START])]];
    facts.push(["end", duration(row[END])], ["total", duration(row[TOOK])], ["self", duration(row[OWN])]);
    if (isMany(row)) facts.push(["events", row[COUNT]]);
    for (const [key, value] of [...facts, ...Object.entries(row[MORE] || {})]) {
      if (value !== "") entries.append(make("dt", "", key), make("dd", "", String(value)));
    }
    details.replaceChildren(entries);
  }

  function choose(index) {
    if (index < 0 || index >= size) return;
    chosen = index;
    const top = shown.indexOf(index) * high;
    if (top < tree.scrollTop) tree.scrollTop = top;
    else if (top + high > tree.scrollTop + tree.clientHeight) tree.scrollTop = top + high - tree.clientHeight;
    paint();
    describe();
    drawSoon();
  }

  function turn(index, wanted) {
    if (!below[index]) return;
    open[index] = wanted;
    layOut();
  }

  function reveal(index) {
    for (let up = above[index]; up < size; up = above[up]) open[up] = 1;
    layOut();
    choose(index);
  }

  tree.addEventListener("scroll", paint, { passive: true });
  tree.addEventListener("click", (event) => {
    const item = event.target.closest("[role=treeitem]");
    if (!item) return;
    const index = Number(item.dataset.index);
    turn(index, !open[index]);
    choose(index);
  });
  tree.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || chosen < 0) return;
    const at = shown.indexOf(chosen), page = Math.max(Math.floor(tree.clientHeight / high) - 1, 1);
    const go = (to) => choose(shown[Math.min(Math.max(to, 0), shown.length - 1)]);
    const moves = {
      ArrowDown: () => go(at + 1),
      ArrowUp: () => go(at - 1),
      PageDown: () => go(at + page),
      PageUp: () => go(at - page),
      Home: () => go(0),
      End: () => go(shown.length - 1),
      ArrowRight: () => (below[chosen] && !open[chosen] ? turn(chosen, 1) : below[chosen] && go(at + 1)),
      ArrowLeft: () => (below[chosen] && open[chosen] ? turn(chosen, 0) : choose(above[chosen])),
      Enter: () => turn(chosen, !open[chosen]),
      " ": () => turn(chosen, !open[chosen]),
    };
    if (!Object.hasOwn(moves, event.key)) return;
    event.preventDefault();
    moves[event.key]();
  });

  // The timeline: only the tracks in sight are drawn, and of bars that share a pixel only one.
  const box = byId("timeline"), extent = byId("extent"), bars = byId("bars"), readout = byId("readout");
  const AXIS = 22, HEAD = 20, BAR = 14, span = Math.max(length, 1);
  const onTrack = [];
  rows.forEach((row, index) => row[TRACK] >= 0 && (onTrack[row[TRACK]] ||= []).push(index));
  for (const track of onTrack) track.sort((one, other) => rows[one][START] - rows[other][START] || one - other);
  let total = AXIS + 6;
  for (const lane of lanes) {
    lane.top = total;
    total += HEAD + lane.tracks * BAR + 6;
  }
  extent.style.height = `${total}px`;
  let from = 0, to = span, waiting = false;

  function drawSoon() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; draw(); });
  }

  function draw() {
    const wide = box.clientWidth, tall = Math.min(box.clientHeight, total), scale = devicePixelRatio || 1;
    if (bars.width !== Math.round(wide * scale) || bars.height !== Math.round(tall * scale)) {
      bars.width = Math.round(wide * scale);
      bars.height = Math.round(tall * scale);
      bars.style.height = `${tall}px`;
    }
    const style = getComputedStyle(document.documentElement), color = (name) => style.getPropertyValue(name).trim();
    const colors = Array.from({ length: 8 }, (_, at) => color(`--c${at}`));
    const pen = bars.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, wide, tall);
    const x = (moment) => ((moment - from) / (to - from)) * wide;
    const ticks = axis(wide);
    pen.fillStyle = color("--line");
    for (const tick of ticks) pen.fillRect(x(tick), AXIS, 1, tall);
    for (const lane of lanes) drawLane(pen, lane, x, wide, tall, colors, color);
    pen.fillStyle = color("--raised");
    pen.fillRect(0, 0, wide, AXIS);
    pen.fillStyle = color("--quiet");
    pen.font = "12px system-ui, sans-serif";
    const digits = Math.max(0, Math.ceil(-Math.log10((ticks[1] - ticks[0] || 1e6) / 1e6)));
    for (const tick of ticks) {
      const text = `${(tick / 1e6).toFixed(digits)} s`;
      if (x(tick) + 4 + pen.measureText(text).width < wide) pen.fillText(text, x(tick) + 4, 15);
    }
  }

  function drawLane(pen, lane, x, wide, tall, colors, color) {
    const top = lane.top - box.scrollTop;
    if (top > tall || top + HEAD + lane.tracks * BAR < 0) return;
    pen.font = "600 12px system-ui, sans-serif";
    pen.fillStyle = color("--text");
    pen.fillText(texts[lane.name].slice(0, 200), 6, top + 14);
    const first = Math.max(Math.floor((AXIS - top - HEAD) / BAR), 0);
    for (let at = first; at < lane.tracks; at++) {
      const y = top + HEAD + at * BAR;
      if (y > tall) break;
      let reached = -Infinity;
      for (const index of onTrack[lane.first + at]) {
        const row = rows[index], right = Math.min(x(row[END]), wide + 2);
        if (right < 0 || right <= reached) continue;
        const left = Math.max(x(row[START]), -2);
        if (left > wide) break;
        const width = Math.max(right - left - 1, 1);
        pen.globalAlpha = isMany(row) ? 0.45 : 1;
        pen.fillStyle = isBad(row) && !isMany(row) ? color("--bad") : colors[kinds.get(row[KIND])];
        pen.fillRect(left, y, width, BAR - 3);
        pen.globalAlpha = 1;
        if (index === chosen) {
          pen.strokeStyle = color("--text");
          pen.lineWidth = 2;
          pen.strokeRect(left, y, width, BAR - 3);
        }
        reached = Math.max(left + 1, right);
      }
    }
  }

  function axis(wide) {
    const rough = ((to - from) / wide) * 90, power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
    const ticks = [];
    for (let tick = Math.ceil(from / step) * step; tick < to; tick += step) ticks.push(tick);
    return ticks;
  }

  function barAt(event) {
    const place = bars.getBoundingClientRect();
    const y = event.clientY - place.top + box.scrollTop, moment = from + ((event.clientX - place.left) / place.width) * (to - from);
    const lane = lanes.find((one) => y >= one.top + HEAD && y < one.top + HEAD + one.tracks * BAR);
    if (!lane || event.clientY - place.top < AXIS) return -1;
    const slack = ((to - from) / place.width) * 2;
    const track = onTrack[lane.first + Math.floor((y - lane.top - HEAD) / BAR)];
    const hit = track.find((index) => rows[index][START] <= moment && moment < rows[index][END]);
    return hit ?? track.find((index) => rows[index][START] - slack <= moment && moment <= rows[index][END] + slack) ?? -1;
  }

  function zoom(factor, middle = (from + to) / 2) {
    const wanted = Math.min(Math.max((to - from) * factor, 10), span), share = (middle - from) / (to - from);
    show(middle - wanted * share, wanted);
  }

  function show(start, wanted) {
    from = Math.min(Math.max(start, 0), span - wanted);
    to = from + wanted;
    drawSoon();
  }

  byId("closer").addEventListener("click", () => zoom(0.5));
  byId("wider").addEventListener("click", () => zoom(2));
  byId("whole").addEventListener("click", () => show(0, span));
  box.addEventListener("scroll", drawSoon, { passive: true });
  box.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const step = (to - from) / 8;
    const moves = {
      "+": () => zoom(0.5),
      "=": () => zoom(0.5),
      "-": () => zoom(2),
      0: () => show(0, span),
      ArrowLeft: () => show(from - step, to - from),
      ArrowRight: () => show(from + step, to - from),
    };
    if (!Object.hasOwn(moves, event.key)) return;
    event.preventDefault();
    moves[event.key]();
  });
  bars.addEventListener("pointermove", (event) => {
    const row = rows[barAt(event)];
    readout.textContent = row ? `${texts[row[NAME]] || ""} ${texts[row[KIND]]}: ${duration(row[START])} to ${duration(row[END])}`.trim() : "";
  });
  bars.addEventListener("click", (event) => {
    const index = barAt(event);
    if (index >= 0) reveal(index);
  });

  new ResizeObserver(layOut).observe(tree);
  new ResizeObserver(drawSoon).observe(box);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawSoon);
  layOut();
  describe();
  drawSoon();
})();
