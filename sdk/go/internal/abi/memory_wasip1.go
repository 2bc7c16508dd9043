// SPDX-License-Identifier: Apache-2.0 OR MIT

package abi

import (
	"reflect"
	"unsafe"
)

// What the host knows by number only, so that the garbage collector does not see it: what it has put there for the call that comes, and what it
// still reads of the call before.
var given, taken []any

// The host asks for memory, for the arguments of the next call and for results of its own functions.
//
//go:wasmexport cabi_realloc
func realloc(old, size, align, wanted uint32) uint32 {
	if wanted == 0 {
		return align
	}
	room := make([]uint64, (wanted+7)/8)
	at := unsafe.Pointer(&room[0])
	if size > 0 {
		copy(unsafe.Slice((*byte)(at), wanted), unsafe.Slice((*byte)(pointer(old)), min(size, wanted)))
	}
	given = append(given, room)
	return uint32(uintptr(at))
}

func pointer(at uint32) unsafe.Pointer { return unsafe.Pointer(uintptr(at)) }

// Params makes the arguments of a call out of what the host passed in registers.
func Params[T any](words ...uint64) T {
	taken = nil
	var value T
	flat(reflect.ValueOf(&value).Elem(), &words)
	given = nil
	return value
}

// At makes the arguments of a call out of what the host put into memory, because there are many.
func At[T any](at uint32) T {
	taken = nil
	var value T
	lift(reflect.ValueOf(&value).Elem(), pointer(at))
	given = nil
	return value
}

// Result hands over what a call answers. It stays until the next call.
func Result(value any) uint32 {
	source := reflect.ValueOf(value)
	return uint32(uintptr(room(source.Type(), 1, source)))
}

// Failure is an answer that may be an error, of type `result<_, string>`.
func Failure(err error) uint32 {
	if err == nil {
		return Result(failure{})
	}
	return Result(failure{err.Error(), true})
}

type failure struct {
	text   string
	failed bool
}

func (failure) Cases() []reflect.Type { return []reflect.Type{nil, reflect.TypeFor[string]()} }

func (f failure) Case() (int, any) {
	if f.failed {
		return 1, f.text
	}
	return 0, nil
}

// room lays a value, or the elements of a slice, out in new memory.
func room(t reflect.Type, count int, source reflect.Value) unsafe.Pointer {
	size := shapeOf(t).size
	memory := make([]uint64, (uintptr(count)*size+7)/8+1)
	taken = append(taken, memory)
	at := unsafe.Pointer(&memory[0])
	if source.Kind() != reflect.Slice {
		lower(source, at)
		return at
	}
	for i := range count {
		lower(source.Index(i), unsafe.Add(at, uintptr(i)*size))
	}
	return at
}
