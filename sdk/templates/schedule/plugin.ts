// Prefers nodes with few pods, and leaves out those with too many.

import { configuration as configured } from "osier-plugin";
import { infeasible, type Schedule, score } from "osier-plugin/extension";

let most = 0;

export const configuration = configured((config: { most: number }) => {
  most = config.most;
});

export const schedule: Schedule = {
  score(_, nodes) {
    return nodes.map(({ pods }) => (pods >= most ? infeasible("it has too many pods") : score(Math.max(0, 100 - pods))));
  },
};
