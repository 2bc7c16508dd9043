// SPDX-License-Identifier: Apache-2.0 OR MIT

// Package authentication answers the template authentication: who is behind this call?
package authentication

import (
	"reflect"
	"time"

	"osier.dev/plugin"
)

// An Identity is who is behind a call: request.auth.* of what is asked afterwards.
type Identity struct {
	// Principal is ISSUER/SUBJECT.
	Principal string
	// Audiences are whom the credential is for, Presenter who may present it; nil if it does not say.
	Audiences, Presenter *string
	// Claims are everything else that it says.
	Claims []plugin.Pair
}

// An Answer is what a plugin answers: see [Nobody], [Somebody] and [Refused].
type Answer struct {
	somebody *somebody
	denial   *plugin.Denial
}

type somebody struct {
	Output                          Identity
	RequestHeaders, ResponseHeaders []plugin.HeaderOperation
	ValidFor                        *plugin.Span
	ValidUses                       *uint32
}

// Nobody lets the call pass without a caller.
func Nobody() Answer { return Answer{} }

// Somebody lets the call pass; the host may repeat the answer for the same credential so long.
func Somebody(identity Identity, valid time.Duration) Answer {
	answer := somebody{Output: identity}
	if valid > 0 {
		answer.ValidFor = &plugin.Span{Nanoseconds: valid.Nanoseconds()}
	}
	return Answer{somebody: &answer}
}

// Refused answers the call with a denial.
func Refused(denial plugin.Decision) Answer {
	if denied := denial.Denied(); denied != nil {
		return Answer{denial: denied}
	}
	return Answer{denial: &plugin.Denial{Status: 401}}
}

// Cases is for the SDK.
func (Answer) Cases() []reflect.Type {
	return []reflect.Type{nil, reflect.TypeFor[somebody](), reflect.TypeFor[plugin.Denial]()}
}

// Case is for the SDK.
func (a Answer) Case() (int, any) {
	switch {
	case a.denial != nil:
		return 2, *a.denial
	case a.somebody != nil:
		return 1, *a.somebody
	}
	return 0, nil
}

var check func(credential string) Answer

// Check says what answers.
func Check(answer func(credential string) Answer) { check = answer }
