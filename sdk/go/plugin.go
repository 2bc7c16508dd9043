// SPDX-License-Identifier: Apache-2.0 OR MIT

// Package plugin writes policy plugins for Osier.
//
// A plugin is a program whose init functions say what answers which template: one package of this module for each template and hook. Importing a
// package makes the plugin export it.
//
//	func init() {
//		listentry.Check(func(value string) plugin.Decision {
//			if value == "alice" {
//				return plugin.Allow()
//			}
//			return plugin.Deny(403).Because("not on the list")
//		})
//	}
//
//	func main() {}
package plugin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

var configure = func([]byte) error { return nil }

// Configure says who reads the configuration of the Plugin object, `spec.config`. A field that C does not have is refused, and so is the object if
// read returns an error. It is called before any question.
func Configure[C any](read func(config C) error) {
	configure = func(text []byte) error {
		var config C
		decoder := json.NewDecoder(bytes.NewReader(text))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&config); err != nil {
			return plain(err)
		}
		if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
			return errors.New("there is more than one value")
		}
		return read(config)
	}
}

// plain says what is wrong with a configuration in its own words, not in Go's.
func plain(err error) error {
	var mistyped *json.UnmarshalTypeError
	if errors.As(err, &mistyped) {
		return fmt.Errorf("%s: must not be a %s", mistyped.Field, mistyped.Value)
	}
	return errors.New(strings.TrimPrefix(err.Error(), "json: "))
}
