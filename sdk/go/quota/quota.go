// SPDX-License-Identifier: Apache-2.0 OR MIT

// Package quota answers the template quota: may it take so much?
package quota

import (
	"reflect"
	"strconv"
	"strings"
	"time"

	"osier.dev/plugin"
)

// A Request asks for an amount.
type Request struct {
	// Dimensions are what the allowance is kept by; equal ones share one allowance.
	Dimensions []plugin.Property
	// Amount is how much is wanted.
	Amount uint64
	// BestEffort says that a smaller grant is welcome; otherwise it is all or nothing.
	BestEffort bool
	// DeduplicationID is the same on retries of one call, so that it is charged once.
	DeduplicationID string
}

// Key is a text that is the same for equal dimensions and for no others.
func (r Request) Key() string {
	var key strings.Builder
	for _, property := range r.Dimensions {
		content := property.Value.Content()
		kind := "absent"
		if content != nil {
			kind = reflect.TypeOf(content).String()
		}
		for _, part := range []string{property.Name, kind, property.Value.String()} {
			key.WriteString(strconv.Quote(part))
		}
	}
	return key.String()
}

// An Outcome is what a plugin answers: see [Granted] and [Refused].
type Outcome struct {
	grant   *grant
	refusal *refusal
}

type grant struct {
	Amount          uint64
	ValidFor        *plugin.Span
	ResponseHeaders []plugin.HeaderOperation
}

type refusal struct {
	Reason     string
	RetryAfter *plugin.Span
	Headers    []plugin.Header
}

// Granted grants an amount.
func Granted(amount uint64) Outcome { return Outcome{grant: &grant{Amount: amount}} }

// ValidFor lets the host hand out what was granted beyond what was wanted, so long, to calls with the same dimensions and without asking.
func (o Outcome) ValidFor(span time.Duration) Outcome {
	if o.grant != nil {
		o.grant.ValidFor = &plugin.Span{Nanoseconds: span.Nanoseconds()}
	}
	return o
}

// Refused grants nothing: the caller gets 429. The reason is for logs.
func Refused(reason string) Outcome { return Outcome{refusal: &refusal{Reason: reason}} }

// WithHeader sets a header of the response.
func (o Outcome) WithHeader(name, value string) Outcome {
	if o.grant != nil {
		o.grant.ResponseHeaders = append(o.grant.ResponseHeaders, plugin.Set(name, value))
	} else {
		o.refusal.Headers = append(o.refusal.Headers, plugin.Header{Name: strings.ToLower(name), Value: value})
	}
	return o
}

// RetryAfter says when asking again may succeed.
func (o Outcome) RetryAfter(span time.Duration) Outcome {
	if o.refusal != nil {
		o.refusal.RetryAfter = &plugin.Span{Nanoseconds: span.Nanoseconds()}
	}
	return o
}

// Cases is for the SDK.
func (Outcome) Cases() []reflect.Type {
	return []reflect.Type{reflect.TypeFor[grant](), reflect.TypeFor[refusal]()}
}

// Case is for the SDK.
func (o Outcome) Case() (int, any) {
	if o.refusal != nil {
		return 1, *o.refusal
	}
	return 0, *o.grant
}

var allocate func(request Request) Outcome

// Allocate says what answers.
func Allocate(answer func(request Request) Outcome) { allocate = answer }
