// SPDX-License-Identifier: Apache-2.0 OR MIT

// Package admit judges writes of objects, after validation and before they are stored.
package admit

import "reflect"

// An Operation is what is done to an object.
type Operation uint8

// What is done to an object.
const (
	Create Operation = iota
	Update
	Delete
)

// A Review is one write.
type Review struct {
	// Group is that of the kind, empty for core kinds; Namespace is empty for kinds of the whole cluster.
	Group, Kind, Namespace, Name string
	Operation                    Operation
	// User is who writes, of these groups.
	User   string
	Groups []string
	// Object is JSON, as it would be stored, or for a delete as it is; OldObject is what it was, of an update.
	Object    string
	OldObject *string
}

// A Verdict is what a plugin answers: see [Allow], [Warn], [Deny] and [Patch].
type Verdict struct {
	number int
	what   any
}

type denial struct{ Reason, Field string }

// Allow lets the write go on.
func Allow() Verdict { return Verdict{} }

// Warn lets the write go on, and the one who writes sees these warnings.
func Warn(warnings ...string) Verdict { return Verdict{1, warnings} }

// Deny refuses the write; the field may be empty.
func Deny(reason, field string) Verdict { return Verdict{2, denial{reason, field}} }

// Patch lets the write go on with the object changed by a JSON patch (RFC 6902).
func Patch(patch string) Verdict { return Verdict{3, patch} }

// Cases is for the SDK.
func (Verdict) Cases() []reflect.Type {
	return []reflect.Type{nil, reflect.TypeFor[[]string](), reflect.TypeFor[denial](), reflect.TypeFor[string]()}
}

// Case is for the SDK.
func (v Verdict) Case() (int, any) { return v.number, v.what }

var judge func(review Review) Verdict

// Judge says who judges.
func Judge(judged func(review Review) Verdict) { judge = judged }
