// The events as a tree of which only the lines in sight are in the page, however many there are.

const [ID, LEVEL, KIND, NAME, STATUS, START, END, TOOK, OWN, COUNT, FAILED, TRACK, FOLDED, SPREAD, MORE] = Array(15).keys();

// The rows stand in reading order, so all below a row lie between it and `after`; `above` is the parent, the number of rows for none.
function readEvents({ texts, rows, lanes, path, length }) {
  const size = rows.length;
  const above = new Int32Array(size), after = new Int32Array(size), place = new Int32Array(size), below = new Int32Array(size + 1);
  const way = [];
  for (let index = 0; index < size; index++) {
    while (way.length > rows[index][LEVEL]) after[way.pop()] = index;
    above[index] = way.length ? way[way.length - 1] : size;
    place[index] = ++below[above[index]];
    way.push(index);
  }
  while (way.length) after[way.pop()] = size;
  const isMany = (index) => rows[index][SPREAD] !== null;
  return {
    texts, rows, lanes, path, size, above, after, place, below, isMany,
    length: Math.max(length, 1),
    kind: (index) => texts[rows[index][KIND]],
    name: (index) => texts[rows[index][NAME]],
    status: (index) => texts[rows[index][STATUS]],
    isBad: (index) => rows[index][FAILED] > 0 || texts[rows[index][STATUS]] === "failed",
  };
}

const titleOf = (events, index) => [events.kind(index), events.name(index)].filter(Boolean).join(" ");

// A wait has the colour of what was waited for, everything else that of its type.
function colourOf(events, index) {
  const kind = events.kind(index), name = events.name(index);
  if (kind === "wait") return Object.hasOwn(WAITS, name) ? name : "other";
  return colourOfKind(kind);
}

const MOST_ON_PAPER = 400;

function makeTree(onChoose) {
  const box = byId("tree"), list = byId("rows");
  let events = readEvents({ texts: [], rows: [], lanes: [], path: [], length: 0 }), open = new Uint8Array(0), shown = [], chosen = -1, high = 30;

  // What was open stays open, and what was chosen is chosen, wherever it stands now.
  function load(found) {
    const before = chosen < 0 ? 0 : events.rows[chosen][ID], was = new Map();
    for (let index = 0; index < events.size; index++) if (events.below[index]) was.set(events.rows[index][ID], open[index]);
    events = found;
    open = new Uint8Array(events.size);
    chosen = -1;
    for (let index = 0; index < events.size; index++) {
      const id = events.rows[index][ID];
      open[index] = was.get(id) ?? opensItself(index);
      if (id === before) chosen = index;
    }
    layOut();
    return chosen;
  }

  // A batch stays closed: what is inside of it is drawn in its bar.
  function opensItself(index) {
    if (events.isMany(index) || events.kind(index) !== "async_job") return events.size <= 60 && !events.isMany(index);
    return events.size <= 300 || (events.rows[index][LEVEL] === 0 && events.below[events.size] <= 50);
  }

  function layOut() {
    shown = [];
    for (let index = 0; index < events.size; index = open[index] ? index + 1 : events.after[index]) shown.push(index);
    high = parseFloat(getComputedStyle(box).getPropertyValue("--row")) || 30;
    list.style.height = `${shown.length * high}px`;
    paint();
  }

  function paint() {
    const first = onPaper() ? 0 : Math.max(Math.floor(box.scrollTop / high) - 4, 0);
    const last = Math.min(onPaper() ? MOST_ON_PAPER : first + Math.ceil(box.clientHeight / high) + 8, shown.length);
    const lines = [];
    for (let at = first; at < last; at++) lines.push(line(shown[at], at));
    list.replaceChildren(...lines);
    if (byId(`row-${chosen}`)) box.setAttribute("aria-activedescendant", `row-${chosen}`);
    else box.removeAttribute("aria-activedescendant");
  }

  function line(index, at) {
    const row = events.rows[index], item = make("div", events.isBad(index) ? "bad" : "");
    item.id = `row-${index}`;
    item.dataset.index = index;
    item.setAttribute("role", "treeitem");
    item.setAttribute("aria-level", row[LEVEL] + 1);
    item.setAttribute("aria-posinset", events.place[index]);
    item.setAttribute("aria-setsize", events.below[events.above[index]]);
    item.setAttribute("aria-selected", index === chosen);
    if (events.below[index]) item.setAttribute("aria-expanded", Boolean(open[index]));
    item.style.top = `${at * high}px`;
    const label = make("span", "label");
    // On a narrow screen deep levels stop moving to the right.
    label.style.paddingLeft = `${Math.min(row[LEVEL] * 16, box.clientWidth / 4)}px`;
    label.append(make("span", "twist"), swatch(colourOf(events, index)), make("span", "name", ...words(index)));
    item.append(label, barOf(index), figures(index));
    return item;
  }

  function words(index) {
    const row = events.rows[index], parts = [events.name(index)];
    if (row[NAME] !== row[KIND]) parts.push(parts[0] ? " " : "", make("span", "kind", events.kind(index)));
    if (row[FOLDED]) parts.push(make("span", "kind", ` ${amount(row[COUNT])} more, as one`));
    else if (events.isMany(index)) parts.push(` × ${row[COUNT]}`);
    return parts;
  }

  function barOf(index) {
    const row = events.rows[index], piece = make("span", `c-${colourOf(events, index)}${events.isMany(index) ? " many" : ""}`);
    piece.style.left = `${(100 * row[START]) / events.length}%`;
    piece.style.width = `${(100 * Math.max(row[END] - row[START], 0)) / events.length}%`;
    const bar = make("span", "span", piece);
    bar.setAttribute("aria-hidden", "true");
    return bar;
  }

  function figures(index) {
    const row = events.rows[index], made = make("span", "figures"), parts = [];
    const status = events.status(index);
    if (row[FAILED] && events.isMany(index)) parts.push(make("span", "failed", `${amount(row[FAILED])} failed`));
    else if (status && status !== "succeeded") parts.push(make("span", events.isBad(index) ? "failed" : "", status.length > 20 ? `${status.slice(0, 19)}…` : status));
    if (events.isMany(index)) parts.push(`p50 ${ofMicros(row[SPREAD][0])}`);
    parts.push(make("span", "took", ofMicros(row[TOOK])));
    parts.forEach((part, at) => made.append(at ? " · " : "", part));
    return made;
  }

  function choose(index) {
    if (index < 0 || index >= events.size) return;
    chosen = index;
    const top = shown.indexOf(index) * high;
    if (top < box.scrollTop) box.scrollTop = top;
    else if (top + high > box.scrollTop + box.clientHeight) box.scrollTop = top + high - box.clientHeight;
    paint();
    onChoose(index);
  }

  function forget() {
    chosen = -1;
    paint();
    onChoose(chosen);
  }

  function turn(index, wanted) {
    if (!events.below[index]) return;
    open[index] = wanted;
    layOut();
  }

  function reveal(index) {
    for (let up = events.above[index]; up < events.size; up = events.above[up]) open[up] = 1;
    layOut();
    choose(index);
  }

  box.addEventListener("scroll", paint, { passive: true });
  box.addEventListener("click", (event) => {
    const item = event.target.closest("[role=treeitem]");
    if (!item) return;
    const index = Number(item.dataset.index);
    if (index === chosen || event.target.closest(".twist")) turn(index, open[index] ? 0 : 1);
    choose(index);
  });
  // Not of a click: what it goes to must not be drawn anew under it.
  box.addEventListener("focus", () => chosen < 0 && box.matches(":focus-visible") && choose(0));
  box.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || !events.size) return;
    if (chosen < 0) chosen = 0;
    const at = shown.indexOf(chosen), page = Math.max(Math.floor(box.clientHeight / high) - 1, 1);
    const go = (to) => choose(shown[Math.min(Math.max(to, 0), shown.length - 1)]);
    const moves = {
      ArrowDown: () => go(at + 1),
      ArrowUp: () => go(at - 1),
      PageDown: () => go(at + page),
      PageUp: () => go(at - page),
      Home: () => go(0),
      End: () => go(shown.length - 1),
      ArrowRight: () => (events.below[chosen] && !open[chosen] ? turn(chosen, 1) : events.below[chosen] && go(at + 1)),
      ArrowLeft: () => (events.below[chosen] && open[chosen] ? turn(chosen, 0) : choose(events.above[chosen])),
      Enter: () => turn(chosen, open[chosen] ? 0 : 1),
      " ": () => turn(chosen, open[chosen] ? 0 : 1),
    };
    if (!Object.hasOwn(moves, event.key)) return;
    event.preventDefault();
    moves[event.key]();
  });
  new ResizeObserver(layOut).observe(box);
  for (const moment of ["beforeprint", "afterprint"]) addEventListener(moment, layOut);
  return { load, reveal, forget, get chosen() { return chosen; } };
}
