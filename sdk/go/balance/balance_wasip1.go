// SPDX-License-Identifier: Apache-2.0 OR MIT

package balance

import (
	"osier.dev/plugin/filter"
	"osier.dev/plugin/internal/abi"
)

type asked struct {
	Request   Request
	Headers   filter.Headers
	Endpoints []Endpoint
}

//go:wasmexport osier:extension/balance@0.1.0#pick
func export(a, b, c, d, e, f, g, h, i, j, k, l, m, n uint32) uint32 {
	var words []uint64
	for _, word := range []uint32{a, b, c, d, e, f, g, h, i, j, k, l, m, n} {
		words = append(words, uint64(word))
	}
	given := abi.Params[asked](words...)
	var place *uint32
	if chosen, ok := pick(given.Request, given.Headers, given.Endpoints); ok {
		number := uint32(chosen)
		place = &number
	}
	return abi.Result(place)
}
