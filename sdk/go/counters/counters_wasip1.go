// SPDX-License-Identifier: Apache-2.0 OR MIT

package counters

import (
	"time"
	"unsafe"
)

// What the host writes a result into: the number of the case, then the payload.
type answer struct {
	failed  uint8
	_       [7]uint8
	payload [3]uint64
}

func (a *answer) err() error {
	if a.failed != 0 {
		return failure(uint8(a.payload[0]))
	}
	return nil
}

//go:wasmimport osier:policy/counters@0.1.0 take
func take(bucket, key string, amount, capacity, refill, interval uint64, bestEffort uint32, to unsafe.Pointer)

//go:wasmimport osier:policy/counters@0.1.0 increment
func increment(bucket, key string, delta int64, limited uint32, ttl uint64, to unsafe.Pointer)

//go:wasmimport osier:policy/counters@0.1.0 get
func get(bucket, key string, to unsafe.Pointer)

//go:wasmimport osier:policy/counters@0.1.0 now
func now() uint64

// Take takes tokens from a bucket that starts full; with bestEffort it may be fewer.
func Take(bucket, key string, amount uint64, terms Terms, bestEffort bool) (Taken, error) {
	var found answer
	best := uint32(0)
	if bestEffort {
		best = 1
	}
	take(bucket, key, amount, terms.Capacity, terms.Refill, uint64(terms.Interval), best, unsafe.Pointer(&found))
	return Taken{found.payload[0], found.payload[1], time.Duration(found.payload[2])}, found.err()
}

// Increment adds to a counter and gives the new value. A new one lives for ttl from its first increment; zero: an hour from its last.
func Increment(bucket, key string, delta int64, ttl time.Duration) (int64, error) {
	var found answer
	limited := uint32(0)
	if ttl > 0 {
		limited = 1
	}
	increment(bucket, key, delta, limited, uint64(ttl), unsafe.Pointer(&found))
	return int64(found.payload[0]), found.err()
}

// Get is the value of a counter, and whether there is one.
func Get(bucket, key string) (int64, bool, error) {
	var found answer
	get(bucket, key, unsafe.Pointer(&found))
	return int64(found.payload[1]), uint8(found.payload[0]) == 1, found.err()
}

// Now is the counters' own clock.
func Now() time.Time { return time.Unix(0, int64(now())).UTC() }
