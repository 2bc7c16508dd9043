// SPDX-License-Identifier: Apache-2.0 OR MIT

// Package route chooses among the destinations of the route that a request matched.
package route

import (
	"osier.dev/plugin"
	"osier.dev/plugin/filter"
)

// A Request needs a choice.
type Request struct {
	// ID is the value of x-request-id, Source the verified identity of the caller.
	ID, Source string
	// Method, Authority and Path, with query, are those of the request.
	Method, Authority, Path string
}

// A Candidate is one destination of the route.
type Candidate struct {
	// Host is that of the service; Subset is empty and Port zero if the route names none.
	Host, Subset string
	Port         uint16
	Weight       uint32
}

// A Choice is one of the candidates, with changes to the response, such as the cookie of an experiment.
type Choice struct {
	Candidate       uint32
	ResponseHeaders []plugin.HeaderOperation
}

var choose func(request Request, headers filter.Headers, candidates []Candidate) *Choice

// Choose says who chooses; nil leaves the choice to the weights.
func Choose(chooser func(request Request, headers filter.Headers, candidates []Candidate) *Choice) {
	choose = chooser
}
