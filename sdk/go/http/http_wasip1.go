// SPDX-License-Identifier: Apache-2.0 OR MIT

package http

import (
	"reflect"
	"runtime"
	"unsafe"

	"osier.dev/plugin/internal/abi"
)

//go:wasmimport osier:policy/http@0.1.0 send
func send(method, url string, headers unsafe.Pointer, headerCount uint32, body unsafe.Pointer, bodyCount uint32, limited uint32, timeout uint64, to unsafe.Pointer)

//go:wasmimport osier:policy/http@0.1.0 read-document
func document(url string, refresh, ttl, known uint64, to unsafe.Pointer)

// Send sends a request and waits for the whole answer.
func (r Request) Send() (Response, error) {
	var found [3]uint64
	limited := uint32(0)
	if r.Timeout > 0 {
		limited = 1
	}
	send(r.Method, r.URL, abi.List(r.Headers), uint32(len(r.Headers)), abi.List(r.Body), uint32(len(r.Body)),
		limited, uint64(r.Timeout), unsafe.Pointer(&found))
	runtime.KeepAlive(r)
	answer := abi.At[answered[Response]](uint32(uintptr(unsafe.Pointer(&found))))
	return answer.value, answer.err
}

// NewerThan is the revision of a document and its bytes; nil if the revision is the one known. Only the first one who asks waits.
func (d Document) NewerThan(known uint64) (uint64, []byte, error) {
	var found [4]uint64
	document(d.URL, uint64(d.Refresh), uint64(d.TTL), known, unsafe.Pointer(&found))
	answer := abi.At[answered[kept]](uint32(uintptr(unsafe.Pointer(&found))))
	if answer.err != nil || answer.value.Body == nil {
		return known, nil, answer.err
	}
	return answer.value.Revision, append([]byte{}, *answer.value.Body...), nil
}

type kept struct {
	Revision uint64
	Body     *[]byte
}

// answered is a result of the host's.
type answered[T any] struct {
	value T
	err   error
}

func (answered[T]) Cases() []reflect.Type {
	return []reflect.Type{reflect.TypeFor[T](), reflect.TypeFor[uint8]()}
}

func (a *answered[T]) Lift(number int, payload any) {
	if number == 0 {
		a.value = payload.(T)
		return
	}
	a.err = [...]error{ErrNotGranted, ErrInvalid, ErrTimeout, ErrUnavailable, ErrTooLarge}[payload.(uint8)]
}
