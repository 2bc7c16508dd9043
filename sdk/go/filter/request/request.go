// SPDX-License-Identifier: Apache-2.0 OR MIT

// Package request filters requests.
package request

import "osier.dev/plugin/filter"

var (
	head func(exchange filter.Exchange, headers filter.Headers) filter.HeadVerdict
	body func(exchange filter.Exchange, headers filter.Headers, body []byte) filter.BodyVerdict
)

// OnHead says who is called when the head of a request has come.
func OnHead(called func(exchange filter.Exchange, headers filter.Headers) filter.HeadVerdict) {
	head = called
}

// OnBody says who is called with the body that OnHead asked for.
func OnBody(called func(exchange filter.Exchange, headers filter.Headers, body []byte) filter.BodyVerdict) {
	body = called
}
