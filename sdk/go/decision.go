// SPDX-License-Identifier: Apache-2.0 OR MIT

package plugin

import (
	"reflect"
	"strings"
	"time"
)

// A Header is one header of a message; names are in lower case.
type Header struct{ Name, Value string }

// A HeaderOperation is a change to headers: see [Set], [Append] and [Remove].
type HeaderOperation struct {
	number int
	header Header
}

// Set replaces every value of a header.
func Set(name, value string) HeaderOperation {
	return HeaderOperation{0, Header{strings.ToLower(name), value}}
}

// Append adds a value to a header.
func Append(name, value string) HeaderOperation {
	return HeaderOperation{1, Header{strings.ToLower(name), value}}
}

// Remove removes every value of a header.
func Remove(name string) HeaderOperation {
	return HeaderOperation{2, Header{Name: strings.ToLower(name)}}
}

// Cases is for the SDK.
func (HeaderOperation) Cases() []reflect.Type {
	header := reflect.TypeFor[Header]()
	return []reflect.Type{header, header, reflect.TypeFor[string]()}
}

// Case is for the SDK.
func (o HeaderOperation) Case() (int, any) {
	if o.number == 2 {
		return 2, o.header.Name
	}
	return o.number, o.header
}

// A Span is a span of time as the host has it.
type Span struct{ Nanoseconds int64 }

// Approval is a permission that carries more than a plain yes.
type Approval struct {
	RequestHeaders, ResponseHeaders []HeaderOperation
	ValidFor                        *Span
	ValidUses                       *uint32
}

// Denial is a refusal, and what the caller is told.
type Denial struct {
	Status    uint16
	Reason    string
	Headers   []Header
	Body      string
	ValidFor  *Span
	ValidUses *uint32
}

// A Decision is what a check answers. Its methods give back a decision with something more.
type Decision struct {
	approval *Approval
	denial   *Denial
}

// Allow lets the call pass.
func Allow() Decision { return Decision{} }

// Deny answers the call with this status, 300 to 599.
func Deny(status int) Decision { return Decision{denial: &Denial{Status: uint16(status)}} }

// Because says why a call is denied, for logs; the caller does not see it.
func (d Decision) Because(reason string) Decision {
	d.refused().Reason = reason
	return d
}

// WithBody is what the caller of a denied call reads.
func (d Decision) WithBody(body string) Decision {
	d.refused().Body = body
	return d
}

// WithHeader sets a header of the response, or of the denial.
func (d Decision) WithHeader(name, value string) Decision {
	if d.denial != nil {
		d.denial.Headers = append(d.denial.Headers, Header{strings.ToLower(name), value})
		return d
	}
	d = d.approved()
	d.approval.ResponseHeaders = append(d.approval.ResponseHeaders, Set(name, value))
	return d
}

// WithRequestHeader sets a header of the request before it goes on.
func (d Decision) WithRequestHeader(name, value string) Decision {
	d = d.approved()
	d.approval.RequestHeaders = append(d.approval.RequestHeaders, Set(name, value))
	return d
}

// ValidFor lets the host repeat the answer for the same question so long.
func (d Decision) ValidFor(span time.Duration) Decision {
	valid := &Span{span.Nanoseconds()}
	if d.denial != nil {
		d.denial.ValidFor = valid
		return d
	}
	d = d.approved()
	d.approval.ValidFor = valid
	return d
}

// ValidUses lets the host repeat the answer so often at most.
func (d Decision) ValidUses(uses uint32) Decision {
	if d.denial != nil {
		d.denial.ValidUses = &uses
		return d
	}
	d = d.approved()
	d.approval.ValidUses = &uses
	return d
}

// Allowed is true if the call passes, for tests.
func (d Decision) Allowed() bool { return d.denial == nil }

// Denied is the denial, for tests; nil if the call passes.
func (d Decision) Denied() *Denial { return d.denial }

func (d Decision) approved() Decision {
	if d.approval == nil {
		d.approval = &Approval{}
	}
	return d
}

// refused is the denial to say more about; of an allowed call nothing is kept.
func (d Decision) refused() *Denial {
	if d.denial == nil {
		return &Denial{}
	}
	return d.denial
}

// Cases is for the SDK.
func (Decision) Cases() []reflect.Type {
	return []reflect.Type{nil, reflect.TypeFor[Approval](), reflect.TypeFor[Denial]()}
}

// Case is for the SDK.
func (d Decision) Case() (int, any) {
	switch {
	case d.denial != nil:
		return 2, *d.denial
	case d.approval != nil:
		return 1, *d.approval
	}
	return 0, nil
}
