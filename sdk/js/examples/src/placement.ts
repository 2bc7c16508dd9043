// The hooks route, balance, admit and schedule, one plugin each.

import { type Admit, admitted, type Balance, chosen, infeasible, patched, rejected, type Route, type Schedule, score } from "osier-plugin/extension";
import { get } from "osier-plugin/filter";
import { config } from "./config.ts";

/** A header names the subset, and a cookie remembers it. */
export const route: Route = {
  choose(_, headers, candidates) {
    const wanted = get(headers, "x-variant");
    const place = candidates.findIndex((candidate) => candidate.subset === wanted);
    return wanted && place >= 0 ? chosen(place, { "set-cookie": `variant=${wanted}` }) : undefined;
  },
};

/** The endpoint that works on the fewest requests. */
export const balance: Balance = {
  pick(_request, _headers, endpoints) {
    if (endpoints.length === 0) return undefined;
    const fewest = Math.min(...endpoints.map((endpoint) => endpoint.inFlight));
    return endpoints.findIndex((endpoint) => endpoint.inFlight === fewest);
  },
};

/** Objects have an owner; who writes is it where none is named. */
export const admit: Admit = {
  judge({ operation, object, user }) {
    const labels: Record<string, string> = JSON.parse(object).metadata?.labels ?? {};
    if (operation === "delete" || Object.keys(labels).length === 0) return admitted;
    if (config.reserved.includes(labels.owner)) return rejected(`${labels.owner} owns nothing`, "metadata.labels.owner");
    if (labels.owner) return admitted;
    return patched([{ op: "add", path: "/metadata/labels/owner", value: user }]);
  },
};

/** Where the fewest pods are, and never two of a kind. */
export const schedule: Schedule = {
  score(_, nodes) {
    return nodes.map((node) => (node.siblings ? infeasible("there is one of its kind") : score(Math.max(0, 100 - node.pods))));
  },
};
