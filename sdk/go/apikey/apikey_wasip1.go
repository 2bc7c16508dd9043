// SPDX-License-Identifier: Apache-2.0 OR MIT

package apikey

import "osier.dev/plugin/internal/abi"

//go:wasmexport osier:policy/apikey@0.1.0#check
func export(a, b, c, d, e, f, g, h uint32, seconds int64, nanoseconds uint32) uint32 {
	var words []uint64
	for _, word := range []uint32{a, b, c, d, e, f, g, h} {
		words = append(words, uint64(word))
	}
	words = append(words, uint64(seconds), uint64(nanoseconds))
	return abi.Result(check(abi.Params[Question](words...)))
}
