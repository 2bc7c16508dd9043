// From counts since the start to what happens now: the difference between the newest graph and one some seconds older.

const WINDOW = 12_000; // milliseconds that a rate looks back

export const edgeKey = (edge) =>
  JSON.stringify([edge.source.namespace, edge.source.name, edge.destination.namespace, edge.destination.name, edge.service]);

/** Graphs of the last seconds; the newest is compared with the oldest. */
export class History {
  #kept = [];

  push(graph) {
    const { at } = graph;
    const last = this.#kept.at(-1)?.at;
    // The same graph again says nothing new; an older one is of a node that was started again.
    if (at === last) return;
    if (at < last) this.#kept = [];
    this.#kept.push({ at, edges: index(graph.edges, edgeKey), plugins: index(graph.plugins, (plugin) => plugin.name) });
    while (this.#kept.length > 2 && at - this.#kept[0].at > WINDOW) this.#kept.shift();
  }

  /** Edges with what happened between the two graphs; before there are two, with everything since the start and no rate. */
  edges() {
    return this.#compare("edges", (now, before, seconds) => {
      const codes = difference(now.codes, before?.codes);
      const requests = sum(codes);
      const share = (test) => (requests ? sum(codes, test) / requests : 0);
      const connections = since(now.connections, before?.connections);
      return {
        ...now,
        key: edgeKey(now),
        rate: seconds ? (requests + connections) / seconds : null,
        refused: share((code) => code.startsWith("4")),
        failed: share((code) => code.startsWith("5") || code === "0"),
        bytesRate: seconds ? since(now.bytes, before?.bytes) / seconds : null,
        p50: quantile(now, before, requests, 0.5),
        p99: quantile(now, before, requests, 0.99),
        total: sum(now.codes) + now.connections,
      };
    });
  }

  /** Plugins with the calls per second and the time that one took. */
  plugins() {
    return this.#compare("plugins", (now, before, seconds) => {
      const asked = sum(difference(now.verdicts, before?.verdicts));
      const calls = since(now.calls, before?.calls);
      return {
        ...now,
        rate: seconds ? asked / seconds : null,
        each: calls ? since(now.seconds, before?.seconds) / calls : null,
        load: seconds ? since(now.cpu, before?.cpu) / seconds : null,
      };
    });
  }

  #compare(what, make) {
    const newest = this.#kept.at(-1);
    if (!newest) return [];
    const oldest = this.#kept.length > 1 ? this.#kept[0] : null;
    const seconds = oldest ? (newest.at - oldest.at) / 1000 : 0;
    return [...newest[what]].map(([key, now]) => make(now, oldest?.[what].get(key), seconds));
  }
}

const index = (list, key) => new Map(list.map((one) => [key(one), one]));

/** A counter that went back began anew: the node was started again. */
const since = (now, before = 0) => (now >= before ? now - before : now);

const difference = (now, before = {}) => Object.fromEntries(Object.entries(now).map(([key, count]) => [key, since(count, before[key])]));

const sum = (counts, test = () => true) => Object.entries(counts).reduce((all, [key, count]) => (test(key) ? all + count : all), 0);

/** Milliseconds that a share of the requests stayed below, between the bounds of the histogram; null where nothing happened. */
function quantile(now, before, requests, share) {
  if (!requests || !now.buckets.length) return null;
  const old = new Map(before?.buckets ?? []);
  const wanted = requests * share;
  let [lower, below] = [0, 0];
  for (const [bound, count] of now.buckets) {
    const within = since(count, old.get(bound));
    if (within >= wanted) return lower + ((bound - lower) * (wanted - below)) / Math.max(within - below, 1);
    [lower, below] = [bound, within];
  }
  return lower;
}
