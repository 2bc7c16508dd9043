// SPDX-License-Identifier: Apache-2.0 OR MIT

// Package trailers filters trailers, such as the status of a gRPC call.
package trailers

import (
	"osier.dev/plugin"
	"osier.dev/plugin/filter"
)

var request, response func(exchange filter.Exchange, trailers filter.Headers) []plugin.HeaderOperation

// OnRequest says who is called when the trailers of a request have come.
func OnRequest(called func(exchange filter.Exchange, trailers filter.Headers) []plugin.HeaderOperation) {
	request = called
}

// OnResponse says who is called when the trailers of a response have come.
func OnResponse(called func(exchange filter.Exchange, trailers filter.Headers) []plugin.HeaderOperation) {
	response = called
}
