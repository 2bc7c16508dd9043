// SPDX-License-Identifier: Apache-2.0 OR MIT

package route

import (
	"osier.dev/plugin/filter"
	"osier.dev/plugin/internal/abi"
)

type asked struct {
	Request    Request
	Headers    filter.Headers
	Candidates []Candidate
}

//go:wasmexport osier:extension/route@0.1.0#choose
func export(a, b, c, d, e, f, g, h, i, j, k, l, m, n uint32) uint32 {
	var words []uint64
	for _, word := range []uint32{a, b, c, d, e, f, g, h, i, j, k, l, m, n} {
		words = append(words, uint64(word))
	}
	given := abi.Params[asked](words...)
	return abi.Result(choose(given.Request, given.Headers, given.Candidates))
}
