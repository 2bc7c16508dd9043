// SPDX-License-Identifier: Apache-2.0 OR MIT

// Package http calls other services, and reads documents that the host keeps fresh. The Plugin object must grant the origin:
// grants: {http: [https://limits.example]}. A call waits for its answer, and with it the request that the plugin is asked about.
package http

import (
	"errors"
	"time"
)

// Why there is no answer.
var (
	ErrNotGranted  = errors.New("the origin is not granted")
	ErrInvalid     = errors.New("the request is none")
	ErrTimeout     = errors.New("there was no answer in time")
	ErrUnavailable = errors.New("the service does not answer")
	ErrTooLarge    = errors.New("a body has more than a mebibyte")
)

// A Header is one header of a message.
type Header struct{ Name, Value string }

// A Request is what is sent, to an absolute URL.
type Request struct {
	Method, URL string
	Headers     []Header
	// Body has at most a mebibyte.
	Body []byte
	// Timeout is until the answer is whole: a second if it is zero, at most ten.
	Timeout time.Duration
}

// A Response is an answer, whatever its status. Names of headers are in lower case.
type Response struct {
	Status  uint16
	Headers []Header
	Body    []byte
}

// A Document is fetched by the host again and again, once for all instances.
type Document struct {
	URL string
	// Refresh is how often; at least a second.
	Refresh time.Duration
	// TTL is how long after it was fetched last it is given to anybody; zero: for ever.
	TTL time.Duration
}
