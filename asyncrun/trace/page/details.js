// What is known of one event, beside where it was clicked.

const KNOWN = ["error.type", "error.message", "http.response.status_code"];

let detailsShown = "";

function showDetails(events, index, go, close) {
  const panel = byId("details"), known = JSON.stringify([index, events.rows[index]]);
  // Of a run that goes on the same is shown again and again: what somebody reads, or has marked, stays.
  if (known === detailsShown) return;
  detailsShown = known;
  if (index < 0 || index >= events.size) {
    panel.replaceChildren(make("p", "hint", "Choose an event to see all that is known of it."));
    return;
  }
  const row = events.rows[index], more = row[MORE] || {}, title = make("h3", "", swatch(colourOf(events, index)), ` ${titleOf(events, index)}`);
  const shut = make("button", "close", "\u00d7");
  shut.type = "button";
  shut.setAttribute("aria-label", "Close");
  shut.addEventListener("click", close);
  panel.replaceChildren(
    shut, way(events, index, go), title, ...mistake(more, events.status(index)), ...explained(row), facts(events, index), ...waited(more),
    ...others(more),
  );
  panel.scrollTop = 0;
}

// The events around it, each a button that goes there.
function way(events, index, go) {
  const above = [];
  for (let up = events.above[index]; up < events.size; up = events.above[up]) above.unshift(up);
  const made = make("nav", "way");
  made.setAttribute("aria-label", "Around it");
  for (const up of above) {
    const button = make("button", "", titleOf(events, up) + (events.isMany(up) ? ` × ${amount(events.rows[up][COUNT])}` : ""));
    button.type = "button";
    button.addEventListener("click", () => go(up));
    made.append(button, " › ");
  }
  return made;
}

function mistake(more, status) {
  const code = more["http.response.status_code"], words = [more["error.type"], more["error.message"]].filter(Boolean).join(": ");
  if (!words && code === undefined) return [];
  return [make("p", status === "failed" ? "error" : "error mended", code === undefined ? null : make("b", "", `${code} `), words)];
}

function explained(row) {
  if (!row[FOLDED]) return [];
  const words = "One entry for events that are alike: the first, the slowest, those that failed and an even sample have entries of their own. " +
    "The number and the sums are exact; its bar reaches from the first start to the last end.";
  return [make("p", "hint", words)];
}

function facts(events, index) {
  const row = events.rows[index], entries = [["status", events.status(index)], ["from", ofMicros(row[START])], ["to", ofMicros(row[END])]];
  entries.push([events.isMany(index) ? "took, in all" : "took", ofMicros(row[TOOK])]);
  if (events.below[index]) entries.push(["of it itself", ofMicros(row[OWN])]);
  if (events.isMany(index)) {
    entries.push(["events", amount(row[COUNT])], ["failed", amount(row[FAILED])]);
    ["median", "95th percentile", "longest"].forEach((name, at) => entries.push([name, ofMicros(row[SPREAD][at])]));
  }
  return list(entries);
}

function waited(more) {
  const waits = {};
  for (const [key, value] of Object.entries(more)) if (key.startsWith("waits.") && typeof value === "number") waits[key.slice(6)] = value;
  const parts = waitParts(waits);
  if (!parts.length) return [];
  const whole = parts.reduce((sum, [, seconds]) => sum + seconds, 0);
  const lines = parts.map(([name, seconds]) => make("li", "", swatch(Object.hasOwn(WAITS, name) ? name : "other"), ` ${WAITS[name] || name} `, make("b", "", duration(seconds))));
  return [make("h4", "", "Its time"), stackedBar(parts, whole), make("ul", "plain", ...lines)];
}

function others(more) {
  const left = Object.entries(more).filter(([key]) => !key.startsWith("waits.") && !KNOWN.includes(key));
  return left.length ? [make("h4", "", "What it says of itself"), list(left)] : [];
}

function list(entries) {
  const made = make("dl");
  for (const [key, value] of entries) if (value !== "") made.append(make("dt", "", key), make("dd", "", typeof value === "number" ? amountExactly(value) : String(value)));
  return made;
}

const amountExactly = (value) => (Number.isInteger(value) ? value.toLocaleString("en-US") : String(value));
