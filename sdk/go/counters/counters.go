// SPDX-License-Identifier: Apache-2.0 OR MIT

// Package counters has the counters of the host, which outlive an instance: shared by all instances of one Plugin object, on all nodes that have the
// same Redis. The Plugin object must grant the bucket: grants: {keyvalue: [BUCKET]}.
package counters

import (
	"errors"
	"time"
)

// Why a counter could not be used.
var (
	ErrNotGranted  = errors.New("the bucket is not granted")
	ErrFull        = errors.New("there are as many counters as there may be")
	ErrUnavailable = errors.New("the counters are unavailable")
)

// Terms are those of a token bucket: so many tokens when full, and so many that flow back in each interval.
type Terms struct {
	Capacity, Refill uint64
	Interval         time.Duration
}

// Taken is what Take found.
type Taken struct {
	// Amount were taken, Remaining are left.
	Amount, Remaining uint64
	// RetryAfter is when the amount could be taken; zero if it was.
	RetryAfter time.Duration
}

func failure(number uint8) error {
	switch number {
	case 0:
		return ErrNotGranted
	case 1:
		return ErrFull
	default:
		return ErrUnavailable
	}
}
