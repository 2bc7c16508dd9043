// SPDX-License-Identifier: Apache-2.0 OR MIT

package response

import (
	"osier.dev/plugin/filter"
	"osier.dev/plugin/internal/abi"
)

type message struct {
	Exchange filter.Exchange
	Status   uint16
	Headers  filter.Headers
}

type whole struct {
	Exchange filter.Exchange
	Status   uint16
	Headers  filter.Headers
	Body     []byte
}

//go:wasmexport osier:filter/response@0.1.0#on-response
func onHead(at uint32) uint32 {
	given := abi.At[message](at)
	if head == nil {
		return abi.Result(filter.Proceed())
	}
	return abi.Result(head(given.Exchange, int(given.Status), given.Headers))
}

//go:wasmexport osier:filter/response@0.1.0#on-response-body
func onBody(at uint32) uint32 {
	given := abi.At[whole](at)
	if body == nil {
		return abi.Result(filter.Pass())
	}
	return abi.Result(body(given.Exchange, int(given.Status), given.Headers, given.Body))
}
