// What is said of the whole run: verdict, figures, why it ended so, what failed, the critical path, jobs, types, earlier runs.

function showReport(run) {
  byId("status").textContent = run.run.status;
  byId("status").className = `badge s-${["succeeded", "partial", "failed", "running"].includes(run.run.status) ? run.run.status : "odd"}`;
  byId("verdict").textContent = run.verdict;
  byId("share").hidden = run.share === null;
  byId("share").value = run.share ?? 0;
  byId("time-went").textContent = run.time_went ? `Where the time went: ${run.time_went}.` : "";
  byId("facts").replaceChildren(...run.run.facts.map((fact) => make("span", "", fact)));
  byId("warnings").replaceChildren(...run.warnings.map((words) => make("p", "warning", words)));
  byId("tiles").replaceChildren(...run.tiles.map(tile));
  fill("why", "endings", run.endings.length ? [make("ul", "", ...run.endings.map((one, at) => ending(one, run.endings[at + 1])))] : []);
  fill("failed", "failures", run.failures.length ? [failureTable(run.failures)] : []);
  fill("on-path", "path", run.path.parts.length ? [pathTable(run.path)] : []);
  fill("by-job", "jobs", run.jobs.length ? [jobTable(run.jobs)] : []);
  fill("by-worker", "workers", run.workers.length ? [workerTable(run.workers)] : []);
  fill("by-type", "types", run.types.length ? [typeTable(run.types)] : []);
  showEarlier(run);
  document.querySelectorAll(".scroll, #endings").forEach(reachable);
}

function fill(section, place, children) {
  byId(section).hidden = !children.length;
  byId(place).replaceChildren(...children);
}

// What is longer than its box can be scrolled by keyboard, too.
function reachable(box) {
  const cut = box.scrollHeight > box.clientHeight + 1 || box.scrollWidth > box.clientWidth + 1;
  const told = cut ? { tabindex: "0", role: "group", "aria-labelledby": box.closest("section").getAttribute("aria-labelledby") } : {};
  for (const name of ["tabindex", "role", "aria-labelledby"]) {
    if (Object.hasOwn(told, name)) box.setAttribute(name, told[name]);
    else box.removeAttribute(name);
  }
}

function tile({ label, value, note, tone }) {
  return make("div", tone, make("dt", "", label), make("dd", value.length > 9 ? "long" : "", value), note ? make("dd", "note", note) : null);
}

// What helps with several jobs is said once, below the last of them.
function ending({ job, status, reason, hint }, next) {
  if (next && next.hint === hint) hint = "";
  return make("li", "", make("b", "", job), ` ${status}: ${reason}`, hint ? make("p", "hint", hint) : null);
}

const WHAT = { item: "items", event: "events", attempt: "attempts", others: "and others" };

function failureTable(groups) {
  const rows = groups.map(({ what, job, reason, count, places, words, advice }) => [
    make("span", "", make("b", "", reason), make("span", "hint block", WHAT[what] || what)),
    amount(count),
    job,
    places.length ? make("span", "places block", ...places.map((place) => make("span", "block", place))) : "",
    words.length || advice ? make("span", "", ...words.map((said) => make("q", "block", said)), advice ? make("span", "hint block", advice) : null) : "",
  ]);
  return table("What failed, by reason", [["reason"], ["count", true], ["job"], ["first at"], ["what was said, and what helps"]], rows);
}

function pathTable({ seconds, parts, more }) {
  const rows = parts.map(({ job, event, seconds: part, waits }) => {
    const known = waitParts(waits), told = known.reduce((sum, [, wait]) => sum + wait, 0);
    const kind = event === "itself" ? "async_job" : colourOfKind(event);
    const scale = Math.max(told, part) || 1;
    const bar = known.length ? known.map(([name, wait, words]) => [name, (wait * part) / scale, words]) : [];
    if (part > told || !bar.length) bar.push([kind, part - Math.min(told, part), `${event} ${duration(part - Math.min(told, part))}`]);
    return [make("span", "", swatch(kind), ` ${event}`), job || "–", duration(part), percent(part / (seconds || 1)), stackedBar(bar, seconds)];
  });
  const made = table("Critical path", [["event"], ["job"], ["time", true], ["share", true], ["of it"]], rows);
  if (more) made.append(make("tfoot", "", make("tr", "", make("td", "hint", `and ${more} shorter ${more === 1 ? "one" : "ones"}`))));
  return made;
}

function jobTable(jobs) {
  const longest = Math.max(...jobs.map((job) => Object.values(job.waits).reduce((sum, wait) => sum + wait, 0)), 0);
  const keys = ["ok", "failed", "cached", "requests", "tokens", "cost"];
  const rows = jobs.map((job) => [
    make("span", "", make("b", "", job.name), job.status ? make("span", "hint block", job.status) : null),
    ...keys.map((key) => amount(job[key]) + (key === "ok" && job.total !== null ? ` of ${amount(job.total)}` : "")),
    job.seconds === null ? "–" : duration(job.seconds),
    job.most === null ? "–" : `${amount(job.mean)}, most ${amount(job.most)}`,
  ]);
  const made = table("Jobs", [["job"], ...[...keys, "time", "at once"].map((title) => [title, true])], rows);
  // Below the figures of a job its bar, across all of them.
  [...made.tBodies[0].rows].forEach((line, at) => {
    const parts = waitParts(jobs[at].waits);
    if (!parts.length) return;
    line.className = "barred";
    const words = [...parts].sort((one, other) => other[1] - one[1]).map(([, , text]) => text).join(", ");
    const cell = make("td", "", stackedBar(parts, longest), make("span", "hint block", words)), row = make("tr", "", cell);
    row.setAttribute("role", "row");
    cell.setAttribute("role", "cell");
    cell.colSpan = keys.length + 3;
    line.after(row);
  });
  return made;
}

function workerTable(workers) {
  const rows = workers.map(({ name, calls, seconds, ship }) => [name || "others", amount(calls), duration(seconds), duration(ship), seconds ? percent(ship / seconds) : "–"]);
  return table("Workers", [["worker"], ...["calls", "seconds", "on the way", "share"].map((title) => [title, true])], rows);
}

function typeTable(types) {
  const rows = types.map((type) => [
    make("span", "", type.type === "wait" ? null : swatch(colourOfKind(type.type)), ` ${type.type}`),
    amount(type.count),
    amount(type.failed),
    ...["total", "own", "p50", "p95", "max"].map((key) => duration(type[key])),
  ]);
  return table("Event types", [["type"], ...["count", "failed", "total", "itself", "p50", "p95", "max"].map((title) => [title, true])], rows);
}

function showEarlier({ earlier, slower, run }) {
  byId("history").hidden = !earlier.length;
  if (!earlier.length) return;
  const charts = [["time", "seconds", duration], ["items", "items", amount], ["cost", "cost", dollars]];
  byId("charts").replaceChildren(...charts.map(([title, key, words]) => chart(title, earlier, key, words, run.run_id)));
  byId("slower").replaceChildren(...(slower ? comparison(slower) : []));
  const rows = [...earlier].reverse().map((one) => [
    one.link ? linkTo(one) : one.run_id + (one.run_id === run.run_id ? " (this one)" : ""),
    one.status, one.started, one.seconds === null ? "–" : duration(one.seconds), amount(one.items), typeof one.cost === "number" ? dollars(one.cost) : "–",
  ]);
  byId("earlier").replaceChildren(table("Earlier runs", [["run"], ["status"], ["started"], ["time", true], ["items", true], ["cost", true]], rows));
}

function linkTo({ link, run_id }) {
  const made = make("a", "", run_id);
  made.href = link;
  return made;
}

// One bar a run; a run that is not known to have had any keeps its place.
function chart(title, runs, key, words, current) {
  const HIGH = 56, STEP = 14, most = Math.max(...runs.map((run) => run[key] || 0));
  const known = runs.filter((run) => typeof run[key] === "number"), last = runs[runs.length - 1][key];
  const bars = runs.map((run, at) => {
    const high = most ? Math.max((HIGH * (run[key] || 0)) / most, run[key] ? 2 : 0) : 0;
    const bar = draw("rect", { x: at * STEP + 1, y: HIGH - high, width: STEP - 3, height: high });
    bar.setAttribute("class", run.run_id === current ? "current" : run.status === "failed" ? "bad" : "");
    bar.append(draw("title", {}, `${run.run_id}: ${typeof run[key] === "number" ? words(run[key]) : "not known"}`));
    return bar;
  });
  const said = `${title} of ${known.length} runs, from ${known.length ? words(known[0][key]) : "–"} to ${typeof last === "number" ? words(last) : "–"}`;
  const wide = Math.max(runs.length, 12) * STEP;
  const picture = draw("svg", { viewBox: `0 0 ${wide} ${HIGH + 1}`, width: wide, height: HIGH + 1, role: "img", "aria-label": said }, ...bars,
    draw("rect", { x: 0, y: HIGH, width: wide, height: 1, class: "base" }));
  return make("figure", "", make("figcaption", "", `${title} `, make("b", "", typeof last === "number" ? words(last) : "–")), picture);
}

function comparison({ run_id, compared, settings }) {
  const [{ before, after }] = compared, change = changed(before, after);
  const words = change
    ? `It took ${duration(Math.abs(after - before))} ${after < before ? "less" : "longer"} than the run before, ${run_id}: ${duration(before)} then, ${duration(after)} now (${change}).`
    : `It took as long as the run before, ${run_id}: ${duration(before)} then, ${duration(after)} now.`;
  const rows = compared.map(({ job, before: then, after: now, changes }) => [
    job || make("i", "", "the whole run"), duration(then), duration(now), changed(then, now) || "=",
    changed(then, now) ? changes.slice(0, 6).map(reason).join(", ") || "nothing that is measured explains it" : "",
  ]);
  const parts = [make("p", "", words)];
  parts.push(make("div", "scroll", table("Against the run before", [["job"], ["then", true], ["now", true], ["change", true], ["what else changed"]], rows)));
  if (settings.length) {
    const lines = settings.map((one) => [one.name, one.before ?? "–", one.after ?? "–"]);
    parts.push(make("div", "scroll", table("Settings that are not the same", [["setting"], ["then"], ["now"]], lines)));
  }
  return parts;
}

// The change in percent, nothing when it is noise.
function changed(then, now) {
  if (Math.abs(now - then) < 0.05 || Math.abs(now - then) < 0.05 * then) return "";
  return then ? `${now > then ? "+" : ""}${Math.round((100 * (now - then)) / then)} %` : "new";
}

function reason({ group, name, before, after, unit }) {
  const value = (number) => (unit === "s" ? duration(number) : amount(number) + unit);
  const label = { waits: "", batch: "batch ", rate: "", concurrency: "at once, " }[group] ?? "";
  return `${label}${group === "waits" ? WAITS[name] || name : name} ${value(before)} → ${value(after)}`;
}
