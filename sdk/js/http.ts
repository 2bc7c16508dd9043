// SPDX-License-Identifier: Apache-2.0 OR MIT
// Calls to other services, and documents that the host keeps fresh. The world must import `osier:policy/http`, and the Plugin object must grant
// the origin: `grants: {http: [https://limits.example]}`. A call waits for its answer, and with it the request that the plugin is asked about.

// @ts-ignore: the host provides this module.
import * as host from "osier:policy/http@0.1.0";
import { encode } from "./filter.ts";

/** A request, to an absolute URL. */
export interface Request {
  method?: string;
  url: string;
  headers?: Record<string, string>;
  /** At most a mebibyte. */
  body?: string | Uint8Array;
  /** Until the answer is whole: a second unless it is said, at most ten. */
  timeoutMs?: number;
}

/** An answer, whatever its status. */
export interface Response {
  status: number;
  /** Names in lower case; of several of one name the last. */
  headers: Record<string, string>;
  body: Uint8Array;
}

/** Sends a request and waits for the whole answer; throws if there is none: "not-granted", "invalid", "timeout", "unavailable", "too-large". */
export function send(request: Request): Response {
  const { method = "GET", url, headers = {}, body = "", timeoutMs } = request;
  const bytes = typeof body === "string" ? encode(body) : body;
  const timeout = timeoutMs === undefined ? undefined : Math.round(timeoutMs * 1e6);
  const answer = host.send({ method, url, headers: Object.entries(headers), body: bytes, timeout });
  return { status: answer.status, headers: Object.fromEntries(answer.headers), body: Uint8Array.from(answer.body) };
}

/** A document that the host fetches again and again, once for all instances. */
export interface Document {
  url: string;
  /** Fetched again after so long; at least a second. */
  refreshMs: number;
  /** Given to nobody so long after it was fetched last; for ever without it. */
  ttlMs?: number;
}

/** The bytes of a document and their revision, if that is another than the one known; throws if it cannot be had. Only the first one who asks waits. */
export function newerThan(known: number, document: Document): { revision: number; body: Uint8Array } | undefined {
  const { url, refreshMs, ttlMs = 0 } = document;
  const freshness = { refresh: Math.round(refreshMs * 1e6), ttl: Math.round(ttlMs * 1e6) };
  const found = host.readDocument(url, freshness, known);
  return found.body === undefined ? undefined : { revision: Number(found.revision), body: Uint8Array.from(found.body) };
}
