// SPDX-License-Identifier: Apache-2.0 OR MIT

// Package metrics has numbers that the node shows at /metrics. The Plugin object must grant the name: grants: {metrics: [NAME]}.
package metrics

import "errors"

// Why a number was not taken.
var (
	ErrNotGranted = errors.New("the name is not granted")
	ErrMismatch   = errors.New("the name was not defined, or is defined otherwise")
	ErrFull       = errors.New("the plugin has as many series as it may")
	ErrInvalid    = errors.New("the definition or the value makes no sense")
)

// A Kind says how values become one number.
type Kind uint8

// They are added, the last one counts, or they are counted by size.
const (
	Counter Kind = iota
	Gauge
	Distribution
)

// A Definition is a family of numbers.
type Definition struct {
	Name        string
	Kind        Kind
	Description string
	// Labels are the names of its labels.
	Labels []string
	// Buckets of distributions: upper bounds, growing.
	Buckets []float64
}
