// SPDX-License-Identifier: Apache-2.0 OR MIT

// Package tracespan takes the template tracespan: spans of traces.
package tracespan

import "osier.dev/plugin"

// An Instance tells of one call.
type Instance struct {
	TraceID, SpanID, ParentSpanID, SpanName string
	StartTime, EndTime                      plugin.Timestamp
	SpanTags                                []plugin.Property
	HTTPStatusCode                          int64
	ClientSpan                              bool
	SourceName, SourceIP                    string
	DestinationName, DestinationIP          string
	RequestSize, ResponseSize               int64
	APIProtocol                             string
}

var take func(batch []Instance) error

// Report says who takes the batches; an error loses the batch, and is counted and logged.
func Report(taker func(batch []Instance) error) { take = taker }
