// SPDX-License-Identifier: Apache-2.0 OR MIT

package abi

import (
	"math"
	"reflect"
	"unsafe"
)

// lower writes a value into memory that is zero.
func lower(from reflect.Value, at unsafe.Pointer) {
	if cases := casesOf(from.Type()); cases != nil {
		lowerCase(from, at, payloadOf(cases).align)
		return
	}
	switch from.Kind() {
	case reflect.Struct:
		place := uintptr(0)
		for i := range from.NumField() {
			field := from.Field(i)
			need := shapeOf(field.Type())
			place = up(place, need.align)
			lower(field, unsafe.Add(at, place))
			place += need.size
		}
	case reflect.String:
		text := from.String()
		taken = append(taken, text)
		span(at, unsafe.Pointer(unsafe.StringData(text)), len(text))
	case reflect.Slice:
		span(at, elements(from), from.Len())
	default:
		write(from, at)
	}
}

func lowerCase(from reflect.Value, at unsafe.Pointer, align uintptr) {
	behind := unsafe.Add(at, up(1, align))
	if from.Kind() == reflect.Pointer {
		if !from.IsNil() {
			*(*uint8)(at) = 1
			lower(from.Elem(), behind)
		}
		return
	}
	chosen, payload := from.Interface().(Case).Case()
	*(*uint8)(at) = uint8(chosen)
	if payload != nil {
		lower(reflect.ValueOf(payload), behind)
	}
}

func elements(from reflect.Value) unsafe.Pointer {
	if from.Len() == 0 {
		return nil
	}
	if from.Type().Elem().Kind() == reflect.Uint8 {
		bytes := from.Bytes()
		taken = append(taken, bytes)
		return unsafe.Pointer(&bytes[0])
	}
	return room(from.Type().Elem(), from.Len(), from)
}

// span writes where something is and how much there is of it. Nothing has a place of its own that is aligned for all.
func span(at, first unsafe.Pointer, count int) {
	if count == 0 {
		*(*uint32)(at) = 8
		return
	}
	*(*uint32)(at) = uint32(uintptr(first))
	*(*uint32)(unsafe.Add(at, 4)) = uint32(count)
}

func write(from reflect.Value, at unsafe.Pointer) {
	switch from.Kind() {
	case reflect.Bool:
		if from.Bool() {
			*(*uint8)(at) = 1
		}
	case reflect.Uint8:
		*(*uint8)(at) = uint8(from.Uint())
	case reflect.Uint16:
		*(*uint16)(at) = uint16(from.Uint())
	case reflect.Uint32:
		*(*uint32)(at) = uint32(from.Uint())
	case reflect.Uint64:
		*(*uint64)(at) = from.Uint()
	case reflect.Int64:
		*(*int64)(at) = from.Int()
	case reflect.Float64:
		*(*uint64)(at) = math.Float64bits(from.Float())
	default:
		panic("no type of the component model: " + from.Type().String())
	}
}

// List lays a list out for a function of the host. It stays until the next call of this plugin.
func List[T any](all []T) unsafe.Pointer {
	if len(all) == 0 {
		return unsafe.Pointer(uintptr(8))
	}
	return elements(reflect.ValueOf(all))
}
