// SPDX-License-Identifier: Apache-2.0 OR MIT
// The hook `filter`, around a request: export `request`, `response`, `trailers`, as many as the plugin wants, and name them in `wit/plugin.wit`.

import { type Header, type HeaderOperation, type Headers, operations, pairs } from "./index.ts";

/** What a message belongs to. */
export interface Exchange {
  id: string;
  /** True where the call arrives. */
  inbound: boolean;
  source: string;
  service: string;
  method: string;
  scheme: string;
  authority: string;
  path: string;
}

/** One change to a message. */
export type Operation =
  | { tag: "header"; val: HeaderOperation }
  | { tag: "path" | "authority" | "method"; val: string }
  | { tag: "status"; val: number };

/** An answer that the filter gives itself. */
export interface Reply {
  status: number;
  headers: Header[];
  body: Uint8Array;
  reason: string;
}

/** What becomes of a message when its head is known. */
export type HeadVerdict = { tag: "proceed"; val: Operation[] } | { tag: "respond"; val: Reply } | { tag: "need-body"; val: number };

/** What becomes of a message when its body is known. */
export type BodyVerdict =
  | { tag: "proceed"; val: { operations: Operation[]; body?: Uint8Array } }
  | { tag: "respond"; val: Reply };

/** Changes to a message: headers to set, headers to remove; of a request its line, of a response its status. */
export interface Changes {
  headers?: Headers;
  remove?: string[];
  path?: string;
  authority?: string;
  method?: string;
  status?: number;
}

/** The first value of a header; undefined if there is none. */
export function get(headers: Header[], name: string): string | undefined {
  return headers.find((header) => header.name === name.toLowerCase())?.value;
}

/** The message goes on with these changes; its body streams by untouched. */
export function proceed(changes: Changes = {}): HeadVerdict {
  return { tag: "proceed", val: changed(changes) };
}

/** The decision needs the whole body, of at most so many bytes. */
export function needBody(limit: number): HeadVerdict {
  return { tag: "need-body", val: limit };
}

/** This is sent to the caller instead. The reason is for logs. */
export function respond(status: number, answer: { reason?: string; headers?: Headers; body?: string | Uint8Array } = {}): {
  tag: "respond";
  val: Reply;
} {
  const { reason = "", body = "" } = answer;
  return { tag: "respond", val: { status, reason, headers: pairs(answer.headers), body: typeof body === "string" ? encode(body) : body } };
}

/** The message whose body is known goes on, with another body if there is one. */
export function pass(changes: Changes & { body?: string | Uint8Array } = {}): BodyVerdict {
  const { body } = changes;
  return { tag: "proceed", val: { operations: changed(changes), body: typeof body === "string" ? encode(body) : body } };
}

/** Changes to trailers. */
export function trailing(changes: { headers?: Headers; remove?: string[] } = {}): HeaderOperation[] {
  return operations(changes.headers, changes.remove);
}

/** A filter of requests that never asks for a body, or the whole of one. */
export function requestFilter(filter: {
  onHead(exchange: Exchange, headers: Header[]): HeadVerdict;
  onBody?(exchange: Exchange, headers: Header[], body: Uint8Array): BodyVerdict;
}) {
  const onBody = filter.onBody ?? (() => pass());
  return {
    onRequest: (exchange: Exchange, headers: Header[]) => filter.onHead(exchange, headers),
    onRequestBody: (exchange: Exchange, headers: Header[], body: Uint8Array) => onBody(exchange, headers, body),
  };
}

/** The same of responses. */
export function responseFilter(filter: {
  onHead(exchange: Exchange, status: number, headers: Header[]): HeadVerdict;
  onBody?(exchange: Exchange, status: number, headers: Header[], body: Uint8Array): BodyVerdict;
}) {
  const onBody = filter.onBody ?? (() => pass());
  return {
    onResponse: (exchange: Exchange, status: number, headers: Header[]) => filter.onHead(exchange, status, headers),
    onResponseBody: (exchange: Exchange, status: number, headers: Header[], body: Uint8Array) => onBody(exchange, status, headers, body),
  };
}

/** A filter of trailers, such as the status of a gRPC call. */
export function trailerFilter(filter: {
  onRequest?(exchange: Exchange, trailers: Header[]): HeaderOperation[];
  onResponse?(exchange: Exchange, trailers: Header[]): HeaderOperation[];
}) {
  return {
    onRequestTrailers: (exchange: Exchange, trailers: Header[]) => filter.onRequest?.(exchange, trailers) ?? [],
    onResponseTrailers: (exchange: Exchange, trailers: Header[]) => filter.onResponse?.(exchange, trailers) ?? [],
  };
}

function changed({ headers, remove, path, authority, method, status }: Changes): Operation[] {
  const all: Operation[] = operations(headers, remove).map((val) => ({ tag: "header", val }));
  if (path !== undefined) all.push({ tag: "path", val: path });
  if (authority !== undefined) all.push({ tag: "authority", val: authority });
  if (method !== undefined) all.push({ tag: "method", val: method });
  if (status !== undefined) all.push({ tag: "status", val: status });
  return all;
}

/** A text in UTF-8; there is no TextEncoder here. */
export function encode(text: string): Uint8Array {
  const escaped = encodeURIComponent(text.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "\ufffd"));
  const bytes: number[] = [];
  for (let at = 0; at < escaped.length; at++) {
    const escape = escaped[at] === "%";
    bytes.push(escape ? parseInt(escaped.slice(at + 1, at + 3), 16) : escaped.charCodeAt(at));
    if (escape) at += 2;
  }
  return new Uint8Array(bytes);
}

/** The text of a body in UTF-8; throws if it is none. */
export function decode(body: Uint8Array): string {
  let escaped = "";
  for (const byte of body) escaped += byte < 0x80 && byte !== 0x25 ? String.fromCharCode(byte) : `%${byte.toString(16).padStart(2, "0")}`;
  return decodeURIComponent(escaped);
}
