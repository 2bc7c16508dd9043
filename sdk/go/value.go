// SPDX-License-Identifier: Apache-2.0 OR MIT

package plugin

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// A Timestamp is a point in time as the host has it.
type Timestamp struct {
	Seconds     int64
	Nanoseconds uint32
}

// Time is the same as Go has it, in UTC.
func (t Timestamp) Time() time.Time { return time.Unix(t.Seconds, int64(t.Nanoseconds)).UTC() }

// Duration is the same as Go has it.
func (s Span) Duration() time.Duration { return time.Duration(s.Nanoseconds) }

// A Pair is an entry of a map of texts.
type Pair struct{ Name, Text string }

// A Property is a value with a name.
type Property struct {
	Name  string
	Value Value
}

// Get is the value of a name; absent if there is none.
func Get(properties []Property, name string) Value {
	for _, property := range properties {
		if property.Name == name {
			return property.Value
		}
	}
	return Value{}
}

// A Value is an attribute value whose type the policy's author chose. The zero Value is absent.
type Value struct{ content any }

// ValueOf is a value, for tests: of string, int64, float64, bool, [time.Time], [time.Duration], map[string]string, or absent of nil.
func ValueOf(content any) Value { return Value{content} }

// Content is nil, or of type string, int64, float64, bool, [time.Time], [time.Duration] or map[string]string.
func (v Value) Content() any { return v.content }

// Text is a text, and whether it is one.
func (v Value) Text() (string, bool) {
	text, ok := v.content.(string)
	return text, ok
}

// Texts is a map of texts; nil if it is none.
func (v Value) Texts() map[string]string {
	texts, _ := v.content.(map[string]string)
	return texts
}

// String is the value as text, as logs and labels have it; empty if it is absent.
func (v Value) String() string {
	switch content := v.content.(type) {
	case nil:
		return ""
	case time.Time:
		return content.Format(time.RFC3339Nano)
	case map[string]string:
		pairs := []string{}
		for name, text := range content {
			pairs = append(pairs, name+"="+text)
		}
		return strings.Join(slices.Sorted(slices.Values(pairs)), ",")
	default:
		return fmt.Sprint(content)
	}
}

// Cases is for the SDK.
func (*Value) Cases() []reflect.Type {
	return []reflect.Type{
		nil, reflect.TypeFor[string](), reflect.TypeFor[int64](), reflect.TypeFor[float64](), reflect.TypeFor[bool](),
		reflect.TypeFor[Timestamp](), reflect.TypeFor[Span](), reflect.TypeFor[[]Pair](),
	}
}

// Lift is for the SDK.
func (v *Value) Lift(_ int, payload any) {
	switch payload := payload.(type) {
	case Timestamp:
		v.content = payload.Time()
	case Span:
		v.content = payload.Duration()
	case []Pair:
		texts := make(map[string]string, len(payload))
		for _, pair := range payload {
			texts[pair.Name] = pair.Text
		}
		v.content = texts
	default:
		v.content = payload
	}
}
