// SPDX-License-Identifier: Apache-2.0 OR MIT

// Package reportnothing takes the template reportnothing: how many calls ended.
package reportnothing

var take func(calls uint32) error

// Report says who is told; an error is counted and logged.
func Report(taker func(calls uint32) error) { take = taker }
