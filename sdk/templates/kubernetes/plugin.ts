// Tells the team of a caller by the beginning of its address.

import { configuration as configured, generated, type Kubernetes } from "osier-plugin";

let teams: [string, string][] = [];

export const configuration = configured((config: { teams: Record<string, string> }) => {
  teams = Object.entries(config.teams);
});

export const kubernetes = {
  generate({ sourceIp }: Kubernetes) {
    const known = teams.find(([begin]) => sourceIp.startsWith(begin));
    return generated({ sourceLabels: known ? [["team", known[1]]] : [] }, { validForMs: 60_000 });
  },
};
