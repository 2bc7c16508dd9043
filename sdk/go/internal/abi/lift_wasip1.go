// SPDX-License-Identifier: Apache-2.0 OR MIT

package abi

import (
	"math"
	"reflect"
	"unsafe"
)

// flat takes what stands for a value from the front of the words. Variants never come this way.
func flat(to reflect.Value, words *[]uint64) {
	next := func() uint64 {
		word := (*words)[0]
		*words = (*words)[1:]
		return word
	}
	switch to.Kind() {
	case reflect.Struct:
		for i := range to.NumField() {
			flat(to.Field(i), words)
		}
	case reflect.String:
		text(to, uint32(next()), uint32(next()))
	case reflect.Slice:
		list(to, uint32(next()), uint32(next()))
	default:
		word := next()
		number(to, unsafe.Pointer(&word))
	}
}

// lift reads a value from memory.
func lift(to reflect.Value, at unsafe.Pointer) {
	if cases := casesOf(to.Type()); cases != nil {
		liftCase(to, at, cases)
		return
	}
	switch to.Kind() {
	case reflect.Struct:
		place := uintptr(0)
		for i := range to.NumField() {
			field := to.Field(i)
			need := shapeOf(field.Type())
			place = up(place, need.align)
			lift(field, unsafe.Add(at, place))
			place += need.size
		}
	case reflect.String:
		text(to, *(*uint32)(at), *(*uint32)(unsafe.Add(at, 4)))
	case reflect.Slice:
		list(to, *(*uint32)(at), *(*uint32)(unsafe.Add(at, 4)))
	default:
		number(to, at)
	}
}

func liftCase(to reflect.Value, at unsafe.Pointer, cases []reflect.Type) {
	chosen := int(*(*uint8)(at))
	payload := reflect.Value{}
	if chosen < len(cases) && cases[chosen] != nil {
		payload = reflect.New(cases[chosen])
		lift(payload.Elem(), unsafe.Add(at, up(1, payloadOf(cases).align)))
	}
	switch {
	case to.Kind() != reflect.Pointer && payload.IsValid():
		to.Addr().Interface().(Lifted).Lift(chosen, payload.Elem().Interface())
	case to.Kind() != reflect.Pointer:
		to.Addr().Interface().(Lifted).Lift(chosen, nil)
	case payload.IsValid():
		to.Set(payload)
	}
}

// text is the text itself, not a copy: what the host put there is Go's memory, and lives as long as somebody has it.
func text(to reflect.Value, at, size uint32) {
	if size > 0 {
		to.SetString(unsafe.String((*byte)(pointer(at)), size))
	}
}

func list(to reflect.Value, at, count uint32) {
	if count == 0 {
		return
	}
	if to.Type().Elem().Kind() == reflect.Uint8 {
		to.SetBytes(unsafe.Slice((*byte)(pointer(at)), count))
		return
	}
	size := shapeOf(to.Type().Elem()).size
	all := reflect.MakeSlice(to.Type(), int(count), int(count))
	for i := range int(count) {
		lift(all.Index(i), unsafe.Add(pointer(at), uintptr(i)*size))
	}
	to.Set(all)
}

func number(to reflect.Value, at unsafe.Pointer) {
	switch to.Kind() {
	case reflect.Bool:
		to.SetBool(*(*uint8)(at) != 0)
	case reflect.Uint8:
		to.SetUint(uint64(*(*uint8)(at)))
	case reflect.Uint16:
		to.SetUint(uint64(*(*uint16)(at)))
	case reflect.Uint32:
		to.SetUint(uint64(*(*uint32)(at)))
	case reflect.Uint64:
		to.SetUint(*(*uint64)(at))
	case reflect.Int64:
		to.SetInt(*(*int64)(at))
	case reflect.Float64:
		to.SetFloat(math.Float64frombits(*(*uint64)(at)))
	default:
		panic("no type of the component model: " + to.Type().String())
	}
}
