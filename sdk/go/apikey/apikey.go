// SPDX-License-Identifier: Apache-2.0 OR MIT

// Package apikey answers the template apikey: may the holder of this key make this call?
package apikey

import "osier.dev/plugin"

// A Question is one question.
type Question struct {
	// API is the name of the API, Version its version, Operation what is called.
	API, Version, Operation string
	// Key is what the caller presented; empty if nothing.
	Key string
	// Timestamp is when the call was received.
	Timestamp plugin.Timestamp
}

var check func(question Question) plugin.Decision

// Check says what answers.
func Check(answer func(question Question) plugin.Decision) { check = answer }
