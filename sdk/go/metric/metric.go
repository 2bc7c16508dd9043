// SPDX-License-Identifier: Apache-2.0 OR MIT

// Package metric takes the template metric: numbers about calls that have ended.
package metric

import "osier.dev/plugin"

// An Instance tells of one call.
type Instance struct {
	Name                        string
	Value                       plugin.Value
	Dimensions                  []plugin.Property
	Timestamp                   plugin.Timestamp
	MonitoredResourceType       string
	MonitoredResourceDimensions []plugin.Property
}

var take func(batch []Instance) error

// Report says who takes the batches; an error loses the batch, and is counted and logged.
func Report(taker func(batch []Instance) error) { take = taker }
