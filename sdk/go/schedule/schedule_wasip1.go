// SPDX-License-Identifier: Apache-2.0 OR MIT

package schedule

import "osier.dev/plugin/internal/abi"

type asked struct {
	Pod   Pod
	Nodes []Node
}

// The host reads a list where it lies, as it does a record with nothing but a list.
type list struct{ Opinions []Opinion }

//go:wasmexport osier:extension/schedule@0.1.0#score
func export(a, b, c, d, e, f, g, h, i, j uint32) uint32 {
	var words []uint64
	for _, word := range []uint32{a, b, c, d, e, f, g, h, i, j} {
		words = append(words, uint64(word))
	}
	given := abi.Params[asked](words...)
	return abi.Result(list{score(given.Pod, given.Nodes)})
}
