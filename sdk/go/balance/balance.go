// SPDX-License-Identifier: Apache-2.0 OR MIT

// Package balance chooses the endpoint of a service that gets a request.
package balance

import "osier.dev/plugin/filter"

// A Request needs a choice.
type Request struct {
	// ID is the value of x-request-id, Source the verified identity of the caller.
	ID, Source string
	// Method, Authority and Path, with query, are those of the request.
	Method, Authority, Path string
}

// An Endpoint is a ready one.
type Endpoint struct {
	Pod, Node string
	// InFlight are the requests that it is working on.
	InFlight uint32
}

var pick func(request Request, headers filter.Headers, endpoints []Endpoint) (int, bool)

// Pick says who chooses: the place in the list, or false to leave the choice to the service's own balancer.
func Pick(picker func(request Request, headers filter.Headers, endpoints []Endpoint) (int, bool)) {
	pick = picker
}
