// SPDX-License-Identifier: Apache-2.0 OR MIT

package request

import (
	"osier.dev/plugin/filter"
	"osier.dev/plugin/internal/abi"
)

type message struct {
	Exchange filter.Exchange
	Headers  filter.Headers
}

type whole struct {
	Exchange filter.Exchange
	Headers  filter.Headers
	Body     []byte
}

//go:wasmexport osier:filter/request@0.1.0#on-request
func onHead(at uint32) uint32 {
	given := abi.At[message](at)
	if head == nil {
		return abi.Result(filter.Proceed())
	}
	return abi.Result(head(given.Exchange, given.Headers))
}

//go:wasmexport osier:filter/request@0.1.0#on-request-body
func onBody(at uint32) uint32 {
	given := abi.At[whole](at)
	if body == nil {
		return abi.Result(filter.Pass())
	}
	return abi.Result(body(given.Exchange, given.Headers, given.Body))
}
