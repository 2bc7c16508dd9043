// SPDX-License-Identifier: Apache-2.0 OR MIT

// Package edge takes the template edge: who called whom.
package edge

import "osier.dev/plugin"

// An Instance tells of one call.
type Instance struct {
	Timestamp                                             plugin.Timestamp
	SourceWorkloadNamespace, SourceWorkloadName           string
	SourceOwner, SourceUID                                string
	DestinationWorkloadNamespace, DestinationWorkloadName string
	DestinationOwner, DestinationUID                      string
	DestinationServiceNamespace, DestinationServiceName   string
	ContextProtocol, APIProtocol                          string
}

var take func(batch []Instance) error

// Report says who takes the batches; an error loses the batch, and is counted and logged.
func Report(taker func(batch []Instance) error) { take = taker }
