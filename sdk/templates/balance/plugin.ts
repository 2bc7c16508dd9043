// Sends each request to the endpoint that works on the fewest.

import { configuration as configured } from "osier-plugin";
import type { Balance } from "osier-plugin/extension";

export const configuration = configured(() => {});

export const balance: Balance = {
  pick(_request, _headers, endpoints) {
    if (endpoints.length === 0) return undefined;
    const fewest = Math.min(...endpoints.map((endpoint) => endpoint.inFlight));
    return endpoints.findIndex((endpoint) => endpoint.inFlight === fewest);
  },
};
