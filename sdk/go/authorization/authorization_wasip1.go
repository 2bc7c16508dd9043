// SPDX-License-Identifier: Apache-2.0 OR MIT

package authorization

import "osier.dev/plugin/internal/abi"

//go:wasmexport osier:policy/authorization@0.1.0#check
func export(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p uint32) uint32 {
	var words []uint64
	for _, word := range []uint32{a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p} {
		words = append(words, uint64(word))
	}
	return abi.Result(check(abi.Params[Question](words...)))
}
