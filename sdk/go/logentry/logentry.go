// SPDX-License-Identifier: Apache-2.0 OR MIT

// Package logentry takes the template logentry: lines about calls that have ended.
package logentry

import "osier.dev/plugin"

// An Instance tells of one call.
type Instance struct {
	Name                        string
	Variables                   []plugin.Property
	Timestamp                   plugin.Timestamp
	Severity                    string
	MonitoredResourceType       string
	MonitoredResourceDimensions []plugin.Property
}

var take func(batch []Instance) error

// Report says who takes the batches; an error loses the batch, and is counted and logged.
func Report(taker func(batch []Instance) error) { take = taker }
