// SPDX-License-Identifier: Apache-2.0 OR MIT

// Package settlement takes the template settlement: what calls used of what a quota reserved.
package settlement

import "osier.dev/plugin"

// An Instance tells of one call.
type Instance struct {
	Dimensions      []plugin.Property
	DeduplicationID string
	Used            uint64
}

var take func(batch []Instance) error

// Settle says who takes the batches; an error loses the batch, and is counted and logged.
func Settle(taker func(batch []Instance) error) { take = taker }
