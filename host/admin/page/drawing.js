// The picture: boxes for workloads, arrows for calls. Names come from objects that anybody may have made: they are set as text, never as markup.

import { HEIGHT, WIDTH, layout, nodeKey } from "./layout.js";

/** How an edge fares, which is its colour: `good`, `refused`, `failing` or `quiet`. */
export function fares(edge) {
  if (edge.rate === 0) return "quiet";
  if (edge.failed > 0.01) return "failing";
  return edge.refused > 0.01 ? "refused" : "good";
}

export const perSecond = (rate) => (rate === null ? "…" : rate >= 100 ? rate.toFixed(0) : rate >= 10 ? rate.toFixed(1) : rate.toFixed(2));

export const milliseconds = (time) => (time === null ? "–" : time >= 100 ? `${time.toFixed(0)} ms` : `${time.toPrecision(2)} ms`);

export const percent = (share) => (share === 0 ? "0 %" : share < 0.001 ? "<0.1 %" : `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`);

function make(name, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** Draws into `svg`; `choose` is called with the key of an edge that is clicked. */
export function draw(svg, edges, chosen, choose) {
  const { nodes, width, height } = layout(edges);
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("width", width);
  svg.setAttribute("height", height);
  const arrows = edges.map((edge) => {
    const arrow = call(edge, nodes.get(nodeKey(edge.source)), nodes.get(nodeKey(edge.destination)));
    arrow.classList.toggle("chosen", edge.key === chosen);
    arrow.addEventListener("click", () => choose(edge.key));
    return arrow;
  });
  svg.replaceChildren(...arrows, ...[...nodes.values()].map(box));
}

function box(node) {
  const kind = node.service ? "service" : node.namespace ? "workload" : "gateway";
  const label = node.name.length > 20 ? `${node.name.slice(0, 19)}…` : node.name;
  const where = node.service ? "service" : node.namespace || "edge of the mesh";
  return make(
    "g",
    { class: `node ${kind}`, transform: `translate(${node.x - WIDTH / 2} ${node.y - HEIGHT / 2})` },
    make("rect", { width: WIDTH, height: HEIGHT, rx: kind === "gateway" ? HEIGHT / 2 : 8 }),
    make("text", { x: WIDTH / 2, y: 20 }, label),
    make("text", { class: "where", x: WIDTH / 2, y: 36 }, where),
    make("title", {}, `${node.name} · ${where}`),
  );
}

function call(edge, from, to) {
  const { way, end, middle } = from === to ? loop(from) : curve(from, to);
  const broad = 1.5 + Math.min(6, Math.log2(1 + (edge.rate ?? 0)));
  const words = edge.protocol === "tcp" ? `${perSecond(edge.rate)}/s` : `${perSecond(edge.rate)}/s · ${milliseconds(edge.p99)}`;
  const trouble = edge.failed > 0.01 ? `${percent(edge.failed)} failed` : edge.refused > 0.01 ? `${percent(edge.refused)} refused` : "";
  const text = make("text", { x: middle.x, y: middle.y - 6 }, make("tspan", { x: middle.x }, words));
  if (trouble) text.append(make("tspan", { x: middle.x, dy: 13 }, trouble));
  return make(
    "g",
    { class: `edge ${fares(edge)}` },
    make("path", { class: "way", d: way, "stroke-width": broad }),
    make("path", { class: "arrow", d: `M ${end.x} ${end.y} l -10 -5.5 v 11 z` }),
    text,
    make("title", {}, `${edge.source.name} → ${edge.destination.name} (${edge.service})`),
  );
}

function curve(from, to) {
  const start = { x: from.x + WIDTH / 2, y: from.y };
  const end = { x: to.x - WIDTH / 2, y: to.y };
  const bend = Math.max(50, Math.abs(end.x - start.x) / 2);
  const way = `M ${start.x} ${start.y} C ${start.x + bend} ${start.y} ${end.x - bend} ${end.y} ${end.x - 8} ${end.y}`;
  // The words stand where fewer arrows meet.
  const part = from.to.size >= to.from.size ? 0.7 : 0.3;
  return { way, end, middle: { x: between(part, start.x, start.x + bend, end.x - bend, end.x), y: between(part, start.y, start.y, end.y, end.y) } };
}

/** A point of a cubic Bézier curve. */
const between = (t, a, b, c, d) => (1 - t) ** 3 * a + 3 * (1 - t) ** 2 * t * b + 3 * (1 - t) * t ** 2 * c + t ** 3 * d;

function loop({ x, y }) {
  const [left, right, top] = [x - WIDTH / 2, x + WIDTH / 2, y - HEIGHT / 2 - 26];
  const way = `M ${right} ${y} C ${right + 40} ${y} ${right + 30} ${top} ${x} ${top} C ${left - 30} ${top} ${left - 40} ${y} ${left - 8} ${y}`;
  return { way, end: { x: left, y }, middle: { x, y: top } };
}
