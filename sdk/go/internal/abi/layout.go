// SPDX-License-Identifier: Apache-2.0 OR MIT

// Package abi moves values between Go and the component model's memory: records are structs with the same fields in the same order, options are
// pointers, lists are slices, variants are types that say their cases.
package abi

import "reflect"

// A Variant is one of several cases, each with a payload or none.
type Variant interface {
	// Cases are the types of the payloads; nil is none.
	Cases() []reflect.Type
}

// A Case can be handed to the host.
type Case interface {
	Variant
	// Case is the number of the case and its payload.
	Case() (int, any)
}

// A Lifted variant can be made of what the host hands over.
type Lifted interface {
	Variant
	// Lift sets the case; the payload is nil if it has none.
	Lift(number int, payload any)
}

type shape struct{ size, align uintptr }

var (
	shapes  = map[reflect.Type]shape{}
	variant = reflect.TypeFor[Variant]()
)

func shapeOf(t reflect.Type) shape {
	if known, ok := shapes[t]; ok {
		return known
	}
	found := measure(t)
	shapes[t] = found
	return found
}

func measure(t reflect.Type) shape {
	if cases := casesOf(t); cases != nil {
		payload := payloadOf(cases)
		return shape{up(up(1, payload.align)+payload.size, payload.align), payload.align}
	}
	switch t.Kind() {
	case reflect.String, reflect.Slice:
		return shape{8, 4}
	case reflect.Struct:
		whole := shape{0, 1}
		for i := range t.NumField() {
			field := shapeOf(t.Field(i).Type)
			whole.size = up(whole.size, field.align) + field.size
			whole.align = max(whole.align, field.align)
		}
		whole.size = up(whole.size, whole.align)
		return whole
	default:
		return shape{t.Size(), t.Size()}
	}
}

// casesOf are the payloads of a variant, an option among them; nil if it is none.
func casesOf(t reflect.Type) []reflect.Type {
	switch {
	case t.Kind() == reflect.Pointer:
		return []reflect.Type{nil, t.Elem()}
	case t.Implements(variant):
		return reflect.Zero(t).Interface().(Variant).Cases()
	case reflect.PointerTo(t).Implements(variant):
		return reflect.New(t).Interface().(Variant).Cases()
	}
	return nil
}

// payloadOf is the room that the largest payload needs; its place is the first that fits behind the number of the case.
func payloadOf(cases []reflect.Type) shape {
	room := shape{0, 1}
	for _, one := range cases {
		if one != nil {
			need := shapeOf(one)
			room.size, room.align = max(room.size, need.size), max(room.align, need.align)
		}
	}
	return room
}

func up(place, align uintptr) uintptr { return (place + align - 1) &^ (align - 1) }
