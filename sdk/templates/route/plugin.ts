// A header names the subset that a request goes to, and a cookie remembers it.

import { configuration as configured } from "osier-plugin";
import { chosen, type Route } from "osier-plugin/extension";
import { get } from "osier-plugin/filter";

let header = "";

export const configuration = configured((config: { header: string }) => {
  header = config.header;
});

export const route: Route = {
  choose(_, headers, candidates) {
    const wanted = get(headers, header);
    const place = candidates.findIndex((candidate) => candidate.subset === wanted);
    return wanted && place >= 0 ? chosen(place, { "set-cookie": `variant=${wanted}` }) : undefined;
  },
};
