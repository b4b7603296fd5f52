// The list of runs, one part of it at a time. Rows stay the same elements while their run is shown: what is focused or marked stays so.

const COLUMNS = ["run", "status", "items", "time", "cost", "started", "job file"], NUMBERS = new Set(["time", "cost"]);
const wanted = new URLSearchParams(location.search), rows = new Map(), body = make("tbody");
let file = wanted.get("file") ?? "", page = Number(wanted.get("page")) || 1, pages = 1;

function withRole(role, element) {
  element.setAttribute("role", role);
  return element;
}

const head = COLUMNS.map((title) => withRole("columnheader", make("th", NUMBERS.has(title) ? "number" : "", title)));
byId("runs").append(
  withRole("table", make("table", "", make("caption", "unseen", "Recorded runs, the latest first"),
    withRole("rowgroup", make("thead", "", withRole("row", make("tr", "", ...head)))), withRole("rowgroup", body))),
);

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function newRow(run) {
  const link = make("a", "", run.run_id), badge = make("span"), words = make("span"), filled = make("span"), bar = make("span", "bar", filled);
  link.href = `run/${encodeURIComponent(run.run_id)}`;
  bar.setAttribute("role", "progressbar");
  bar.setAttribute("aria-label", "done so far");
  const cells = { run: link, status: badge, items: [words, bar] };
  const line = COLUMNS.map((title) => {
    const isHead = title === "run", cell = make(isHead ? "th" : "td", NUMBERS.has(title) ? "number" : title === "items" ? "progress" : "", ...[cells[title]].flat());
    if (!isHead) cell.dataset.title = title;
    cells[title] ??= cell;
    return withRole(isHead ? "rowheader" : "cell", cell);
  });
  return { line: withRole("row", make("tr", "", ...line)), cells, badge, words, filled, bar };
}

function itemsOf(run) {
  if (run.items === null) return run.status === "running" ? "beginning" : "–";
  const all = run.total !== null && run.total >= run.items && run.share !== null ? ` of ${amount(run.total)}` : "";
  const parts = [run.failed ? `${amount(run.failed)} failed` : "", run.cached ? `${amount(run.cached)} cached` : ""].filter(Boolean);
  return amount(run.items) + all + (parts.length ? ` (${parts.join(", ")})` : "");
}

function localTime(iso) {
  const time = new Date(iso), two = (number) => String(number).padStart(2, "0");
  return `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())} ${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
}

function fill(row, run) {
  setText(row.badge, run.status);
  row.badge.className = `badge s-${run.status}`;
  row.line.dataset.status = run.status;
  setText(row.words, itemsOf(run));
  row.bar.hidden = run.share === null;
  if (run.share !== null) {
    row.filled.style.width = percent(run.share).replace(" ", "");
    row.bar.setAttribute("aria-valuenow", Math.round(100 * run.share));
  }
  setText(row.cells.time, duration(run.seconds));
  setText(row.cells.cost, run.cost ?? "–");
  setText(row.cells.started, localTime(run.started));
  setText(row.cells["job file"], run.file);
}

function showFiles(files) {
  const entries = [["", "all"], ...files.map(({ name, runs }) => [name, `${name} (${amount(runs)})`])], list = byId("files");
  const now = JSON.stringify(entries);
  if (list.dataset.entries !== now) {
    list.dataset.entries = now;
    list.replaceChildren(...entries.map(([value, words]) => new Option(words, value)));
  }
  list.value = file;
}

function show(list) {
  ({ page, pages } = list);
  const shown = list.runs.map((run) => {
    const row = rows.get(run.run_id) ?? newRow(run);
    rows.set(run.run_id, row);
    fill(row, run);
    return row.line;
  });
  for (const id of [...rows.keys()]) if (!list.runs.some((run) => run.run_id === id)) rows.delete(id);
  if (shown.length !== body.children.length || shown.some((line, at) => body.children[at] !== line)) body.replaceChildren(...shown);
  byId("runs").hidden = !shown.length;
  byId("none").hidden = shown.length > 0;
  setText(byId("none"), file ? "No run of this job file is recorded any more." : "No runs are recorded yet: they appear here when one begins.");
  showFiles(list.files);
  setText(byId("place"), shown.length ? `${amount(list.first)}–${amount(list.first + shown.length - 1)} of ${amount(list.total)}` : "");
  byId("newer").disabled = page <= 1;
  byId("older").disabled = page >= pages;
  return true;
}

show(JSON.parse(byId("data").textContent));

const query = () => new URLSearchParams({ ...(file && { file }), ...(page > 1 && { page }) }).toString();
const ask = keepFresh(
  () => `runs.json?${query()}`,
  show,
  (words) => {
    byId("trouble").hidden = !words;
    setText(byId("trouble"), words);
  },
);

function go() {
  history.replaceState(null, "", query() ? `?${query()}` : location.pathname);
  ask();
}

byId("files").addEventListener("change", (event) => {
  [file, page] = [event.target.value, 1];
  go();
});
byId("newer").addEventListener("click", () => {
  page = Math.max(page - 1, 1);
  go();
});
byId("older").addEventListener("click", () => {
  page = Math.min(page + 1, pages);
  go();
});
