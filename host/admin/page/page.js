// Asks for the graph every two seconds, and shows what happened since.

import { draw, fares, milliseconds, percent, perSecond } from "./drawing.js";
import { History } from "./rates.js";

const EVERY = 2_000;
const PATIENCE = 5_000;

const find = (id) => document.getElementById(id);
const history = new History();
let chosen = null;
let omitted = 0;

async function ask() {
  try {
    const answer = await fetch("/dashboard/graph.json", { signal: AbortSignal.timeout(PATIENCE), cache: "no-store" });
    if (!answer.ok) throw new Error(`${answer.status} ${answer.statusText}`);
    const graph = await answer.json();
    omitted = graph.omitted;
    history.push(graph);
    show();
    tell(`${location.host} · ${graph.edges.length} calls between workloads${omitted ? `, ${omitted} more are not drawn` : ""}`, false);
  } catch (error) {
    tell(`${location.host} does not answer (${error.message}); asking again`, true);
  }
  setTimeout(ask, EVERY);
}

function tell(words, lost) {
  find("state").textContent = words;
  find("state").classList.toggle("lost", lost);
}

function show() {
  const all = history.edges();
  offer(all);
  const namespace = find("namespace").value;
  const within = (edge) => !namespace || [edge.source.namespace, edge.destination.namespace].includes(namespace);
  const shown = all.filter((edge) => within(edge) && (find("idle").checked || edge.rate !== 0));
  find("empty").hidden = shown.length > 0;
  draw(find("graph"), shown, chosen, choose);
  rows("calls", shown.sort((a, b) => (b.rate ?? 0) - (a.rate ?? 0) || b.total - a.total), callCells, (edge) => edge.key);
  const plugins = history.plugins();
  find("unasked").hidden = plugins.length > 0;
  rows("plugins", plugins, pluginCells, () => null);
}

function choose(key) {
  chosen = chosen === key ? null : key;
  show();
}

/** Namespaces that are there, with the one that was chosen kept. */
function offer(edges) {
  const select = find("namespace");
  const known = new Set([...select.options].map((option) => option.value));
  const seen = new Set(edges.flatMap((edge) => [edge.source.namespace, edge.destination.namespace]));
  for (const namespace of [...seen].sort()) if (!known.has(namespace)) select.append(new Option(namespace, namespace));
}

function rows(table, items, cells, key) {
  const body = find(table).tBodies[0];
  body.replaceChildren(
    ...items.map((item) => {
      const row = document.createElement("tr");
      row.classList.toggle("chosen", key(item) !== null && key(item) === chosen);
      if (key(item) !== null) row.addEventListener("click", () => choose(key(item)));
      for (const [text, mark] of cells(item)) {
        const cell = row.insertCell();
        cell.textContent = text;
        cell.className = mark ?? "";
      }
      return row;
    }),
  );
}

const counts = (...tables) => tables.flatMap(Object.entries).map(([what, count]) => `${what}: ${count}`).join(", ");

const place = (workload) => (workload.namespace ? `${workload.name} (${workload.namespace})` : workload.name);

function callCells(edge) {
  const trouble = fares(edge);
  return [
    [place(edge.source)],
    [place(edge.destination)],
    [edge.protocol],
    [perSecond(edge.rate), "number"],
    [percent(edge.refused), trouble === "refused" ? "number refused" : "number"],
    [percent(edge.failed), trouble === "failing" ? "number failing" : "number"],
    [milliseconds(edge.p50), "number"],
    [milliseconds(edge.p99), "number"],
    [edge.total, "number"],
    [edge.protocol === "tcp" ? `${edge.bytes} bytes` : counts(edge.codes, edge.flags)],
  ];
}

function pluginCells(plugin) {
  const { allow = 0, deny = 0, failed = 0 } = plugin.verdicts;
  return [
    [plugin.name],
    [perSecond(plugin.rate), "number"],
    [allow, "number"],
    [deny, deny ? "number refused" : "number"],
    [failed, failed ? "number failing" : "number"],
    [plugin.each === null ? "–" : `${(plugin.each * 1e6).toFixed(1)} µs`, "number"],
    [plugin.load === null ? "…" : percent(plugin.load), "number"],
    [plugin.instances, "number"],
    [`${(plugin.memory / 1024).toFixed(0)} KiB`, "number"],
    [counts(plugin.failures)],
  ];
}

for (const id of ["namespace", "idle"]) find(id).addEventListener("change", show);
ask();
