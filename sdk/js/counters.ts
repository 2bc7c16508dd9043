// SPDX-License-Identifier: Apache-2.0 OR MIT
// Counters of the host: shared by all instances of one Plugin object, atomic. The world must import `osier:policy/counters`, and the Plugin
// object must grant the bucket: `grants: {keyvalue: [BUCKET]}`.

// @ts-ignore: the host provides this module.
import * as host from "osier:policy/counters@0.1.0";
import type { Duration } from "./index.ts";

/** The terms of a token bucket. */
export interface Terms {
  /** Tokens that a full bucket holds. */
  capacity: number;
  /** Tokens that flow back in each interval. */
  refill: number;
  /** The interval in milliseconds. */
  intervalMs: number;
}

/** What `take` found. */
export interface Taken {
  amount: number;
  remaining: number;
  retryAfter: Duration;
}

/** Takes tokens from a bucket that starts full and refills continuously; throws if the bucket is not granted. */
export function take(bucket: string, key: string, amount: number, terms: Terms, bestEffort = false): Taken {
  const { capacity, refill, intervalMs } = terms;
  const interval = Math.round(intervalMs * 1e6);
  const taken = host.take(bucket, key, amount, { capacity, refill, interval }, bestEffort);
  return { amount: taken.amount, remaining: taken.remaining, retryAfter: { nanoseconds: taken.retryAfter } };
}

/** Adds to a counter and returns the new value; a new counter lives for `ttlMs` from its first increment (an hour from its last without). */
export function increment(bucket: string, key: string, delta: number, ttlMs?: number): number {
  return host.increment(bucket, key, delta, ttlMs === undefined ? undefined : Math.round(ttlMs * 1e6));
}

/** The value of a counter; undefined if there is none. */
export function get(bucket: string, key: string): number | undefined {
  return host.get(bucket, key);
}

/** The counters' own clock, in milliseconds since 1970. */
export function nowMs(): number {
  return Number(host.now()) / 1e6;
}
