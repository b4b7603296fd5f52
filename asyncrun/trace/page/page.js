// The parts of the page put together; a newer document of the same run is shown in the place of the old one.

let events = null;
const timeline = makeTimeline((index) => tree.reveal(index));
const tree = makeTree((index) => {
  timeline.choose(index);
  showDetails(events, index, (up) => tree.reveal(up));
});

function showLegend(run) {
  const kinds = new Set(), waits = new Set();
  for (const { type } of run.types) if (type !== "wait") kinds.add(colourOfKind(type));
  for (const { waits: known } of run.jobs) Object.keys(known).forEach((name) => waits.add(name));
  // The time of an attempt is that of a request: they have one colour.
  if (kinds.has("attempt")) waits.delete("request");
  const entries = [...Object.entries(KINDS).filter(([name]) => kinds.has(name)), ...Object.entries(WAITS).filter(([name]) => waits.has(name))];
  if (run.events.rows.some((row) => row[FAILED])) entries.push(["bad", "failed"]);
  byId("legend").replaceChildren(...entries.map(([name, words]) => make("li", "", swatch(name), ` ${words}`)));
}

function show(run) {
  events = readEvents(run.events);
  showReport(run);
  showLegend(run);
  byId("next-failed").hidden = !run.events.rows.some((row) => row[FAILED] && row[TRACK] >= 0);
  timeline.load(events);
  const chosen = tree.load(events);
  timeline.choose(chosen);
  showDetails(events, chosen, (up) => tree.reveal(up));
}

show(JSON.parse(byId("data").textContent));
document.addEventListener("run-document", (event) => show(event.detail));
