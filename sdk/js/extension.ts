// SPDX-License-Identifier: Apache-2.0 OR MIT
// The hooks `route`, `balance`, `admit` and `schedule`: export an object of that name, and name it in `wit/plugin.wit`.

import { type Header, type HeaderOperation, type Headers, operations } from "./index.ts";

/** A request that needs a choice. */
export interface Request {
  id: string;
  source: string;
  method: string;
  authority: string;
  path: string;
}

/** One destination of a route; subset is empty and port zero if the route names none. */
export interface Candidate {
  host: string;
  subset: string;
  port: number;
  weight: number;
}

/** The choice of a destination. */
export interface Choice {
  candidate: number;
  responseHeaders: HeaderOperation[];
}

/** What is exported as `route`; undefined leaves the choice to the weights. */
export interface Route {
  choose(request: Request, headers: Header[], candidates: Candidate[]): Choice | undefined;
}

/** The destination at this place in the list, with headers to set on the response. */
export function chosen(candidate: number, responseHeaders: Headers = {}): Choice {
  return { candidate, responseHeaders: operations(responseHeaders) };
}

/** One ready endpoint. */
export interface Endpoint {
  pod: string;
  node: string;
  inFlight: number;
}

/** What is exported as `balance`: the place in the list; undefined leaves the choice to the service's own balancer. */
export interface Balance {
  pick(request: Request, headers: Header[], endpoints: Endpoint[]): number | undefined;
}

/** One write of an object. */
export interface Review {
  group: string;
  kind: string;
  namespace: string;
  name: string;
  operation: "create" | "update" | "delete";
  user: string;
  groups: string[];
  /** JSON, as it would be stored, or for a delete as it is. */
  object: string;
  /** JSON, as it is, of an update. */
  oldObject?: string;
}

/** What becomes of a write. */
export type Verdict =
  | { tag: "allow" }
  | { tag: "warn"; val: string[] }
  | { tag: "deny"; val: { reason: string; field: string } }
  | { tag: "patch"; val: string };

/** What is exported as `admit`. */
export interface Admit {
  judge(review: Review): Verdict;
}

/** The write may go on. */
export const admitted: Verdict = { tag: "allow" };

/** It may go on, and the one who writes sees these warnings. */
export function warned(...warnings: string[]): Verdict {
  return { tag: "warn", val: warnings };
}

/** It may not, because of this field if it is one. */
export function rejected(reason: string, field = ""): Verdict {
  return { tag: "deny", val: { reason, field } };
}

/** It may go on with the object changed by this JSON patch (RFC 6902). */
export function patched(patch: { op: string; path: string; value?: unknown; from?: string }[]): Verdict {
  return { tag: "patch", val: JSON.stringify(patch) };
}

/** A pod that needs a node. */
export interface Pod {
  namespace: string;
  name: string;
  labels: [string, string][];
  /** JSON. */
  object: string;
}

/** A node that fits the pod by the scheduler's own rules. */
export interface Node {
  name: string;
  labels: [string, string][];
  /** Thousandths of a core. */
  freeCpu: number;
  /** Bytes. */
  freeMemory: number;
  pods: number;
  /** Pods there of the same controller. */
  siblings: number;
}

/** What a plugin thinks of a node. */
export type Opinion = { tag: "infeasible"; val: string } | { tag: "score"; val: number };

/** What is exported as `schedule`: one opinion for each node, in their order. */
export interface Schedule {
  score(pod: Pod, nodes: Node[]): Opinion[];
}

/** It may run there; 0 to 100, more is better. */
export function score(points: number): Opinion {
  return { tag: "score", val: points };
}

/** It must not run there, and why. */
export function infeasible(reason: string): Opinion {
  return { tag: "infeasible", val: reason };
}
