// SPDX-License-Identifier: Apache-2.0 OR MIT

// Package authorization answers the template authorization: may this subject do this action?
package authorization

import "osier.dev/plugin"

// A Subject is who asks.
type Subject struct {
	// User is the caller's identity; empty if there is none.
	User string
	// Groups are those that the caller belongs to.
	Groups []string
	// Properties are anything else about the caller.
	Properties []plugin.Property
}

// An Action is what is asked for.
type Action struct {
	// Namespace and Service are the destination's, Method and Path those of HTTP.
	Namespace, Service, Method, Path string
	// Properties are anything else about the action.
	Properties []plugin.Property
}

// A Question is one question.
type Question struct {
	Subject Subject
	Action  Action
}

var check func(question Question) plugin.Decision

// Check says what answers.
func Check(answer func(question Question) plugin.Decision) { check = answer }
