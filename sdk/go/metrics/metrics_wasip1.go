// SPDX-License-Identifier: Apache-2.0 OR MIT

package metrics

import (
	"runtime"
	"unsafe"

	"osier.dev/plugin/internal/abi"
)

//go:wasmimport osier:policy/metrics@0.1.0 define
func define(name string, kind uint32, description string, labels unsafe.Pointer, labelCount uint32, buckets unsafe.Pointer, bucketCount uint32, to unsafe.Pointer)

//go:wasmimport osier:policy/metrics@0.1.0 record-value
func recordValue(name string, labels unsafe.Pointer, count uint32, value float64, to unsafe.Pointer)

// Define defines a family. Doing so again with the same words changes nothing.
func Define(family Definition) error {
	var found [2]uint8
	labels, buckets := abi.List(family.Labels), abi.List(family.Buckets)
	define(family.Name, uint32(family.Kind), family.Description,
		labels, uint32(len(family.Labels)), buckets, uint32(len(family.Buckets)), unsafe.Pointer(&found))
	runtime.KeepAlive(family)
	return failure(found)
}

// Record records a value under the values of the labels, in the order of the definition.
func Record(name string, value float64, labels ...string) error {
	var found [2]uint8
	recordValue(name, abi.List(labels), uint32(len(labels)), value, unsafe.Pointer(&found))
	runtime.KeepAlive(labels)
	return failure(found)
}

func failure(found [2]uint8) error {
	if found[0] == 0 {
		return nil
	}
	return [...]error{ErrNotGranted, ErrMismatch, ErrFull, ErrInvalid}[found[1]]
}
