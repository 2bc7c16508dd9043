// SPDX-License-Identifier: Apache-2.0 OR MIT
// Numbers that the node shows at `/metrics`. The world must import `osier:policy/metrics`, and the Plugin object must grant the name:
// `grants: {metrics: [NAME]}`.

// @ts-ignore: the host provides this module.
import * as host from "osier:policy/metrics@0.1.0";

/** A family of numbers. */
export interface Definition {
  /** Its name, as it is granted. */
  name: string;
  /** How values become one number: added, the last one, or counted by size. */
  kind: "counter" | "gauge" | "distribution";
  /** For people. */
  description?: string;
  /** Names of its labels. */
  labels?: string[];
  /** Distributions: upper bounds of the buckets, growing. */
  buckets?: number[];
}

/** Defines a family; doing so again with the same words changes nothing. Throws if it is not granted or makes no sense. */
export function define({ name, kind, description = "", labels = [], buckets = [] }: Definition): void {
  host.define({ name, kind, description, labels, buckets });
}

/** Records a value under the values of the labels, in the order of the definition. */
export function record(name: string, value: number, labels: string[] = []): void {
  host.recordValue(name, labels, value);
}
