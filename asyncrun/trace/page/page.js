// The parts of the page put together; a newer document of the same run is shown in the place of the old one.

let events = null;
const timeline = makeTimeline((index) => {
  tree.reveal(index);
  // The tree says what is chosen by its own keys; what is chosen here is said here.
  byId("chosen").textContent = `${titleOf(events, index)}, ${events.status(index)}, ${ofMicros(events.rows[index][TOOK])}`;
});
const tree = makeTree(showChosen);

function showChosen(index) {
  timeline.choose(index);
  showDetails(events, index, tree.reveal, tree.forget);
}

// Goes to the next event that has some words in its type, name, status or in what it says of itself.
function find(words) {
  const wanted = words.toLowerCase(), hits = [];
  if (wanted) {
    events.rows.forEach((row, index) => {
      const text = `${titleOf(events, index)} ${events.status(index)} ${row[MORE] ? JSON.stringify(row[MORE]) : ""}`;
      if (text.toLowerCase().includes(wanted)) hits.push(index);
    });
  }
  const next = hits.find((index) => index > tree.chosen) ?? hits[0];
  byId("found").textContent = !wanted ? "" : hits.length ? `${hits.indexOf(next) + 1} of ${amount(hits.length)}` : "none";
  if (next !== undefined) tree.reveal(next);
}

byId("details").addEventListener("keydown", (event) => event.key === "Escape" && tree.forget());
byId("find").addEventListener("keydown", (event) => event.key === "Enter" && find(event.target.value.trim()));

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
  showChosen(tree.load(events));
}

show(JSON.parse(byId("data").textContent));
document.addEventListener("run-document", (event) => show(event.detail));
