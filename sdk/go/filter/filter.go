// SPDX-License-Identifier: Apache-2.0 OR MIT

// Package filter has the words of filters, which stand around a request: packages filter/request, filter/response and filter/trailers say when they
// are called.
package filter

import (
	"reflect"
	"strings"

	"osier.dev/plugin"
)

// An Exchange is what a message belongs to.
type Exchange struct {
	// ID is the value of x-request-id.
	ID string
	// Inbound is true where the call arrives.
	Inbound bool
	// Source is the verified identity of the caller, Service the host of the called service; empty if there is none.
	Source, Service string
	// Method, Scheme, Authority and Path, with query, are those of the request.
	Method, Scheme, Authority, Path string
}

// Headers are those of a message.
type Headers []plugin.Header

// Get is the first value of a header; empty if there is none.
func (h Headers) Get(name string) string {
	for _, header := range h {
		if strings.EqualFold(header.Name, name) {
			return header.Value
		}
	}
	return ""
}

// A Change is one change to a message: see [Header], [Path], [Authority], [Method] and [Status].
type Change struct {
	number int
	what   any
}

// Header changes a header.
func Header(operation plugin.HeaderOperation) Change { return Change{0, operation} }

// Path replaces the path with query of a request.
func Path(path string) Change { return Change{1, path} }

// Authority replaces the authority of a request.
func Authority(authority string) Change { return Change{2, authority} }

// Method replaces the method of a request.
func Method(method string) Change { return Change{3, method} }

// Status replaces the status of a response.
func Status(status int) Change { return Change{4, uint16(status)} }

// Cases is for the SDK.
func (Change) Cases() []reflect.Type {
	text := reflect.TypeFor[string]()
	return []reflect.Type{reflect.TypeFor[plugin.HeaderOperation](), text, text, text, reflect.TypeFor[uint16]()}
}

// Case is for the SDK.
func (c Change) Case() (int, any) { return c.number, c.what }

// A Reply is an answer that the filter gives itself.
type Reply struct {
	// Status is 200 to 599.
	Status  uint16
	Headers []plugin.Header
	Body    []byte
	// Reason is for logs; the caller does not see it.
	Reason string
}

// A HeadVerdict is what becomes of a message when its head is known: see [Proceed], [Respond] and [NeedBody].
type HeadVerdict struct {
	number int
	what   any
}

// Proceed lets the message go on with these changes; its body streams by untouched.
func Proceed(changes ...Change) HeadVerdict { return HeadVerdict{0, changes} }

// Respond sends this to the caller instead.
func Respond(reply Reply) HeadVerdict { return HeadVerdict{1, reply} }

// NeedBody asks for the whole body, of at most so many bytes.
func NeedBody(limit uint64) HeadVerdict { return HeadVerdict{2, limit} }

// Cases is for the SDK.
func (HeadVerdict) Cases() []reflect.Type {
	return []reflect.Type{reflect.TypeFor[[]Change](), reflect.TypeFor[Reply](), reflect.TypeFor[uint64]()}
}

// Case is for the SDK.
func (v HeadVerdict) Case() (int, any) { return v.number, v.what }

// A BodyVerdict is what becomes of a message when its body is known: see [Pass], [Replace] and [Answer].
type BodyVerdict struct {
	number int
	what   any
}

type changes struct {
	Operations []Change
	Body       *[]byte
}

// Pass lets the message go on with these changes and the same body.
func Pass(all ...Change) BodyVerdict { return BodyVerdict{0, changes{Operations: all}} }

// Replace lets the message go on with another body and these changes.
func Replace(body []byte, all ...Change) BodyVerdict { return BodyVerdict{0, changes{all, &body}} }

// Answer sends this to the caller instead.
func Answer(reply Reply) BodyVerdict { return BodyVerdict{1, reply} }

// Cases is for the SDK.
func (BodyVerdict) Cases() []reflect.Type {
	return []reflect.Type{reflect.TypeFor[changes](), reflect.TypeFor[Reply]()}
}

// Case is for the SDK.
func (v BodyVerdict) Case() (int, any) { return v.number, v.what }
