// SPDX-License-Identifier: Apache-2.0 OR MIT

package kubernetes

import "osier.dev/plugin/internal/abi"

//go:wasmexport osier:policy/kubernetes@0.1.0#generate
func export(a, b, c, d, e, f, g, h uint32, port uint64) uint32 {
	var words []uint64
	for _, word := range []uint32{a, b, c, d, e, f, g, h} {
		words = append(words, uint64(word))
	}
	generated, err := generate(abi.Params[Question](append(words, port)...))
	return abi.Result(answer{generated, err})
}
