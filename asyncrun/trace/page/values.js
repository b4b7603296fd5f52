// Values as a person reads them, the colours, and elements: texts are set as text, never as markup.

const KINDS = {
  async_job: "job", embedding: "embedding", llm: "chat model", query: "query", retrieve: "search", reranking: "reranking",
  node_parsing: "documents", chunking: "chunking", attempt: "attempt, request", other: "other events",
};
const WAITS = {
  queue: "queue: a free slot", rate: "rate limit", gate: "told to wait", backoff: "before a retry", ship: "to a worker and back", connect: "connecting",
  request: "request", compute: "local model", decode: "reading the reply", store: "store", write: "to disk", batches: "batches at the provider",
};

function duration(seconds) {
  const whole = Math.round(seconds), two = (number) => String(number).padStart(2, "0");
  if (seconds < 59.95) return `${Number(seconds.toFixed(seconds < 0.9995 ? 3 : seconds < 9.995 ? 2 : 1))} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m ${two(whole % 60)}s`;
  return `${Math.floor(whole / 3600)}h ${two(Math.floor((whole % 3600) / 60))}m`;
}

const ofMicros = (micros) => duration(micros / 1e6);

function amount(value) {
  if (value === null || value === undefined) return "–";
  return typeof value === "number" ? value.toLocaleString("en-US", { maximumFractionDigits: value < 100 ? 1 : 0 }) : String(value);
}

const dollars = (cost) => `$${cost >= 1 || cost === 0 ? cost.toFixed(2) : Number(cost.toPrecision(3)).toFixed(Math.min(2 - Math.floor(Math.log10(cost)), 12)).replace(/(\.\d\d\d*?)0+$/, "$1")}`;
const percent = (share) => `${Math.round(share * 100)} %`;
const colourOfKind = (kind) => (Object.hasOwn(KINDS, kind) ? kind : "other");
const byId = (id) => document.getElementById(id);

function make(tag, name, ...children) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

function draw(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// On paper there is no scrolling, and the colours are the light ones; what is drawn hears of it after this.
const onPaper = () => document.documentElement.classList.contains("paper");
addEventListener("beforeprint", () => document.documentElement.classList.add("paper"));
addEventListener("afterprint", () => document.documentElement.classList.remove("paper"));

const swatch = (colour) => make("span", `swatch c-${colour}`);

// A table: `columns` are [title, is a number], `rows` lists of texts or elements, of which the first is the row's title.
// Roles are said, because on a narrow screen a row is laid out as a card, each cell behind its title.
function table(label, columns, rows) {
  const cells = (contents, line) => contents.map((content, at) => {
    const isHead = !line || !at, cell = make(isHead ? "th" : "td", columns[at][1] ? "number" : "", content);
    cell.setAttribute("role", line ? (at ? "cell" : "rowheader") : "columnheader");
    if (line && at) cell.dataset.title = columns[at][0];
    return cell;
  });
  const withRole = (role, element) => {
    element.setAttribute("role", role);
    return element;
  };
  const head = withRole("row", make("tr", "", ...cells(columns.map(([title]) => title), false)));
  const body = rows.map((contents) => withRole("row", make("tr", "", ...cells(contents, true))));
  const parts = [withRole("rowgroup", make("thead", "", head)), withRole("rowgroup", make("tbody", "", ...body))];
  return withRole("table", make("table", "", make("caption", "unseen", label), ...parts));
}

// A bar of parts, each `[colour, amount, words]`, as wide as its share of `whole`.
function stackedBar(parts, whole) {
  const bar = make("span", "stack");
  bar.setAttribute("role", "img");
  bar.setAttribute("aria-label", parts.map(([, , words]) => words).join(", "));
  for (const [colour, part, words] of parts) {
    const piece = make("span", `c-${colour}`);
    piece.style.width = `${(100 * part) / (whole || 1)}%`;
    piece.title = words;
    bar.append(piece);
  }
  return bar;
}

function waitParts(waits) {
  return Object.entries(waits).map(([name, seconds]) => [name, seconds, `${WAITS[name] || name} ${duration(seconds)}`]);
}
