// Where each workload stands: callers left of whom they call, in as few crossings as a few sweeps find.

const COLUMN = 300;
const ROW = 84;
export const WIDTH = 172;
export const HEIGHT = 46;

export const nodeKey = (workload) => JSON.stringify([workload.namespace, workload.name, workload.service]);

/** Nodes with `x` and `y` (their centres), and the size of the whole. */
export function layout(edges) {
  const nodes = new Map();
  for (const { source, destination } of edges) {
    for (const end of [source, destination]) {
      if (!nodes.has(nodeKey(end))) nodes.set(nodeKey(end), { ...end, key: nodeKey(end), to: new Set(), from: new Set() });
    }
    const [from, to] = [nodes.get(nodeKey(source)), nodes.get(nodeKey(destination))];
    if (from !== to) {
      from.to.add(to);
      to.from.add(from);
    }
  }
  const columns = layers([...nodes.values()]);
  for (let sweep = 0; sweep < 4; sweep++) {
    columns.forEach((column) => settle(column, "from"));
    [...columns].reverse().forEach((column) => settle(column, "to"));
  }
  const rows = Math.max(1, ...columns.map((column) => column.length));
  columns.forEach((column, x) =>
    column.forEach((node, y) => {
      node.x = x * COLUMN + WIDTH / 2 + 4;
      node.y = ((y + 0.5) * rows * ROW) / column.length;
    }),
  );
  return { nodes, width: (columns.length - 1) * COLUMN + WIDTH + 8, height: rows * ROW };
}

/** The column of a node is the longest way to it; a call back to a caller counts for nothing. */
function layers(nodes) {
  const depth = new Map();
  const open = new Set();
  const visit = (node) => {
    if (depth.has(node)) return depth.get(node);
    open.add(node);
    const before = [...node.from].filter((caller) => !open.has(caller)).map(visit);
    open.delete(node);
    depth.set(node, before.length ? Math.max(...before) + 1 : 0);
    return depth.get(node);
  };
  const columns = [];
  for (const node of [...nodes].sort((a, b) => a.key.localeCompare(b.key))) (columns[visit(node)] ??= []).push(node);
  const filled = columns.filter((column) => column?.length);
  filled.forEach((column) => column.forEach((node, place) => (node.place = (place + 0.5) / column.length)));
  return filled;
}

/** Puts a column in the order of the middle of its neighbours on one side. */
function settle(column, side) {
  const middle = (node) => {
    const places = [...node[side]].map((other) => other.place);
    return places.length ? places.reduce((a, b) => a + b) / places.length : node.place;
  };
  const wanted = new Map(column.map((node) => [node, middle(node)]));
  column.sort((a, b) => wanted.get(a) - wanted.get(b) || a.key.localeCompare(b.key));
  column.forEach((node, place) => (node.place = (place + 0.5) / column.length));
}
