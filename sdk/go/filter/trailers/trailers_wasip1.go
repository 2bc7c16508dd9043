// SPDX-License-Identifier: Apache-2.0 OR MIT

package trailers

import (
	"osier.dev/plugin"
	"osier.dev/plugin/filter"
	"osier.dev/plugin/internal/abi"
)

type message struct {
	Exchange filter.Exchange
	Trailers filter.Headers
}

//go:wasmexport osier:filter/trailers@0.1.0#on-request-trailers
func onRequest(at uint32) uint32 { return told(request, at) }

//go:wasmexport osier:filter/trailers@0.1.0#on-response-trailers
func onResponse(at uint32) uint32 { return told(response, at) }

func told(called func(filter.Exchange, filter.Headers) []plugin.HeaderOperation, at uint32) uint32 {
	given := abi.At[message](at)
	var changes []plugin.HeaderOperation
	if called != nil {
		changes = called(given.Exchange, given.Trailers)
	}
	return abi.Result(list{changes})
}

// The host reads a list where it lies, as it does a record with nothing but a list.
type list struct{ Changes []plugin.HeaderOperation }
