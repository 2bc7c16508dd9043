// Objects must have a label.

import { configuration as configured } from "osier-plugin";
import { type Admit, admitted, rejected } from "osier-plugin/extension";

let label = "";

export const configuration = configured((config: { label: string }) => {
  label = config.label;
});

export const admit: Admit = {
  judge({ operation, object }) {
    const labels = JSON.parse(object).metadata?.labels ?? {};
    if (operation === "delete" || label in labels) return admitted;
    return rejected(`label ${label} is required here`, "metadata.labels");
  },
};
