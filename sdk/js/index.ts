// SPDX-License-Identifier: Apache-2.0 OR MIT
// What a plugin is asked and what it answers, as `wit/policy` describes it, and functions that build the answers. Whole numbers of 64 bits are
// JavaScript numbers, exact up to 2^53; the tools do not take bigint.

/** A point in time. */
export interface Timestamp {
  /** Seconds since 1970. */
  seconds: number;
  /** Fraction of the second. */
  nanoseconds: number;
}

/** A span of time. */
export interface Duration {
  nanoseconds: number;
}

/** An attribute value whose type the policy's author chose. */
export type Value =
  | { tag: "absent" }
  | { tag: "text"; val: string }
  | { tag: "integer"; val: number }
  | { tag: "number"; val: number }
  | { tag: "boolean"; val: boolean }
  | { tag: "time"; val: Timestamp }
  | { tag: "span"; val: Duration }
  | { tag: "texts"; val: [string, string][] };

/** One HTTP header. */
export interface Header {
  name: string;
  value: string;
}

/** A change to headers. */
export type HeaderOperation =
  | { tag: "set"; val: Header }
  | { tag: "append"; val: Header }
  | { tag: "remove"; val: string };

/** What a check answers. */
export type Decision =
  | { tag: "allow" }
  | {
      tag: "allow-with";
      val: { requestHeaders: HeaderOperation[]; responseHeaders: HeaderOperation[]; validFor?: Duration; validUses?: number };
    }
  | {
      tag: "deny";
      val: { status: number; reason: string; headers: Header[]; body: string; validFor?: Duration; validUses?: number };
    };

/** What a quota plugin answers. */
export type Outcome =
  | { tag: "granted"; val: { amount: number; validFor?: Duration; responseHeaders: HeaderOperation[] } }
  | { tag: "refused"; val: { reason: string; retryAfter?: Duration; headers: Header[] } };

/** Template `listentry`. */
export interface ListEntry {
  value: string;
}

/** Template `authorization`. */
export interface Authorization {
  subject: { user: string; groups: string[]; properties: [string, Value][] };
  action: { namespace: string; service: string; method: string; path: string; properties: [string, Value][] };
}

/** Template `authentication`. */
export interface Authentication {
  /** What the caller presented; empty if nothing. */
  credential: string;
}

/** Template `apikey`. */
export interface ApiKey {
  api: string;
  apiVersion: string;
  apiOperation: string;
  apiKey: string;
  timestamp: Timestamp;
}

/** Template `quota`. */
export interface Quota {
  dimensions: [string, Value][];
  amount: number;
  bestEffort: boolean;
  deduplicationId: string;
}

/** Template `kubernetes`, an attribute generator. */
export interface Kubernetes {
  sourceUid: string;
  sourceIp: string;
  destinationUid: string;
  destinationIp: string;
  destinationPort: number;
}

/** What a generator knows of one end of a call; what is not said is absent. */
type PodFacts<End extends "source" | "destination"> = {
  [Fact in
    | "PodIp"
    | "PodName"
    | "Namespace"
    | "ServiceAccountName"
    | "HostIp"
    | "WorkloadUid"
    | "WorkloadName"
    | "WorkloadNamespace"
    | "Owner" as `${End}${Fact}`]?: string;
} & { [Fact in "Labels" as `${End}${Fact}`]?: [string, string][] };

/** What a generator knows of a call. */
export type Facts = PodFacts<"source"> & PodFacts<"destination"> & { destinationContainerName?: string };

/** What a plugin of template `kubernetes` answers. */
export interface Generated {
  output: Facts & { sourceLabels: [string, string][]; destinationLabels: [string, string][] };
  validFor?: Duration;
  validUses?: number;
}

/** Template `settlement`: what a call used of what a quota reserved. */
export interface Settlement {
  dimensions: [string, Value][];
  deduplicationId: string;
  used: number;
}

/** Template `logentry`: a line about a call that has ended. */
export interface LogEntry {
  name: string;
  variables: [string, Value][];
  timestamp: Timestamp;
  severity: string;
  monitoredResourceType: string;
  monitoredResourceDimensions: [string, Value][];
}

/** Template `metric`: a number about a call that has ended. */
export interface Metric {
  name: string;
  value: Value;
  dimensions: [string, Value][];
  timestamp: Timestamp;
  monitoredResourceType: string;
  monitoredResourceDimensions: [string, Value][];
}

/** Template `tracespan`: a span of a trace. */
export interface TraceSpan {
  traceId: string;
  spanId: string;
  parentSpanId: string;
  spanName: string;
  startTime: Timestamp;
  endTime: Timestamp;
  spanTags: [string, Value][];
  httpStatusCode: number;
  clientSpan: boolean;
  sourceName: string;
  sourceIp: string;
  destinationName: string;
  destinationIp: string;
  requestSize: number;
  responseSize: number;
  apiProtocol: string;
}

/** Template `edge`: who called whom. */
export interface Edge {
  timestamp: Timestamp;
  sourceWorkloadNamespace: string;
  sourceWorkloadName: string;
  sourceOwner: string;
  sourceUid: string;
  destinationWorkloadNamespace: string;
  destinationWorkloadName: string;
  destinationOwner: string;
  destinationUid: string;
  destinationServiceNamespace: string;
  destinationServiceName: string;
  contextProtocol: string;
  apiProtocol: string;
}

/** Headers to set, by name. */
export type Headers = Record<string, string>;

/** How long the host may repeat an answer for the same record. */
export interface Validity {
  /** Milliseconds; without it the answer is never repeated. */
  validForMs?: number;
  /** How often; without it, as often as it likes while valid. */
  validUses?: number;
}

/** The call passes; perhaps with headers set on the request or on the response. */
export function allow(change: { requestHeaders?: Headers; responseHeaders?: Headers } & Validity = {}): Decision {
  if (Object.keys(change).length === 0) return { tag: "allow" };
  return {
    tag: "allow-with",
    val: { requestHeaders: set(change.requestHeaders), responseHeaders: set(change.responseHeaders), ...validity(change) },
  };
}

/** The call is answered with this status. The reason is for logs; the caller sees headers and body. */
export function deny(status: number, answer: { reason?: string; headers?: Headers; body?: string } & Validity = {}): Decision {
  const { reason = "", body = "" } = answer;
  return { tag: "deny", val: { status, reason, headers: pairs(answer.headers), body, ...validity(answer) } };
}

/** Who is behind a call: `principal` is `ISSUER/SUBJECT`. */
export interface Identity {
  principal: string;
  audiences?: string;
  presenter?: string;
  claims?: Record<string, string>;
}

/** What a plugin of template `authentication` answers. */
export type Authenticated =
  | { tag: "allow" }
  | {
      tag: "allow-with";
      val: {
        output: { principal: string; audiences?: string; presenter?: string; claims: [string, string][] };
        requestHeaders: HeaderOperation[];
        responseHeaders: HeaderOperation[];
        validFor?: Duration;
        validUses?: number;
      };
    }
  | { tag: "deny"; val: Extract<Decision, { tag: "deny" }>["val"] };

/** Template `authentication`: the call passes, and nobody is known to be behind it. A refusal is `deny(401)`. */
export const nobody: Authenticated = { tag: "allow" };

/** Template `authentication`: the call passes, and this is who is behind it. */
export function somebody(identity: Identity, valid: Validity = {}): Authenticated {
  const claims = Object.entries(identity.claims ?? {});
  const { principal, audiences, presenter } = identity;
  const output = { principal, audiences, presenter, claims };
  return { tag: "allow-with", val: { output, requestHeaders: [], responseHeaders: [], ...validity(valid) } };
}

/**
 * The amount is granted; headers are set on the response. Where it is more than was wanted, the host hands the rest out for `validForMs` to calls with the
 * same dimensions, without asking.
 */
export function granted(amount: number, responseHeaders: Headers = {}, lease: { validForMs?: number } = {}): Outcome {
  const { validFor } = validity(lease);
  return { tag: "granted", val: { amount, validFor, responseHeaders: set(responseHeaders) } };
}

/** Nothing is granted: the caller gets 429. */
export function refused(reason: string, answer: { retryAfter?: Duration; headers?: Headers } = {}): Outcome {
  return { tag: "refused", val: { reason, retryAfter: answer.retryAfter, headers: pairs(answer.headers) } };
}

/** What is known of the two ends of a call. */
export function generated(facts: Facts, valid: Validity = {}): Generated {
  return { output: { sourceLabels: [], destinationLabels: [], ...facts }, ...validity(valid) };
}

/**
 * The function of a template that is told of calls that have ended (`report`, of `settlement`: `settle`): `take` gets each batch. What it throws loses
 * the batch, and is counted and logged in its words.
 */
export function reporting<Instance>(take: (batch: Instance[]) => void): (batch: Instance[]) => void {
  return (batch) => {
    try {
      take(batch);
    } catch (error) {
      // The component model wants the error value itself.
      throw error instanceof Error ? error.message : String(error);
    }
  };
}

/** A value as text, as logs and labels have it; empty if it is absent. */
export function textOf(value: Value): string {
  switch (value.tag) {
    case "absent":
      return "";
    case "time":
      return new Date(value.val.seconds * 1000 + value.val.nanoseconds / 1e6).toISOString();
    case "span":
      return `${value.val.nanoseconds}ns`;
    case "texts":
      return value.val.map(([name, text]) => `${name}=${text}`).join(",");
    default:
      return String(value.val);
  }
}

/** The export `configuration`: `read` gets `spec.config` of the Plugin object; what it throws refuses the object, in its words. */
export function configuration<Config>(read: (config: Config) => void): { configure(json: string): void } {
  return {
    configure(json) {
      try {
        read(JSON.parse(json));
      } catch (error) {
        // The component model wants the error value itself.
        throw error instanceof Error ? error.message : String(error);
      }
    },
  };
}

/** Refuses fields that nobody reads, so that a mistyped one is an error. */
export function onlyFields(config: object, ...known: string[]): void {
  for (const name of Object.keys(config)) {
    if (!known.includes(name)) throw new Error(`${name} is unknown; known are ${known.join(", ")}`);
  }
}

/** Operations that set headers and remove others. */
export function operations(headers: Headers = {}, remove: string[] = []): HeaderOperation[] {
  const gone: HeaderOperation[] = remove.map((name) => ({ tag: "remove", val: name.toLowerCase() }));
  return [...gone, ...set(headers)];
}

function set(headers: Headers = {}): HeaderOperation[] {
  return pairs(headers).map((val) => ({ tag: "set", val }));
}

/** Headers as the host takes them. */
export function pairs(headers: Headers = {}): Header[] {
  return Object.entries(headers).map(([name, value]) => ({ name: name.toLowerCase(), value }));
}

function validity({ validForMs, validUses }: Validity) {
  const nanoseconds = validForMs === undefined ? undefined : Math.round(validForMs * 1e6);
  return { validFor: nanoseconds === undefined ? undefined : { nanoseconds }, validUses };
}
