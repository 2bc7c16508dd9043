// SPDX-License-Identifier: Apache-2.0 OR MIT

// Package kubernetes answers the template kubernetes, an attribute generator: what else is known of the two ends of a call?
package kubernetes

import (
	"reflect"
	"time"

	"osier.dev/plugin"
)

// A Question says which ends are meant; what is unknown is empty.
type Question struct {
	SourceUID, SourceIP, DestinationUID, DestinationIP string
	DestinationPort                                    int64
}

// Facts are what is known; what is not said is absent.
type Facts struct {
	SourcePodIP, SourcePodName            *string
	SourceLabels                          []plugin.Pair
	SourceNamespace                       *string
	SourceServiceAccountName              *string
	SourceHostIP                          *string
	SourceWorkloadUID, SourceWorkloadName *string
	SourceWorkloadNamespace, SourceOwner  *string
	DestinationPodIP, DestinationPodName  *string
	DestinationContainerName              *string
	DestinationLabels                     []plugin.Pair
	DestinationNamespace                  *string
	DestinationServiceAccountName         *string
	DestinationHostIP                     *string
	DestinationWorkloadUID                *string
	DestinationWorkloadName               *string
	DestinationWorkloadNamespace          *string
	DestinationOwner                      *string
}

// Generated are facts, and how long the host may repeat them.
type Generated struct {
	Output    Facts
	ValidFor  *plugin.Span
	ValidUses *uint32
}

// For says how long the host may repeat the answer for the same ends.
func (f Facts) For(span time.Duration) Generated {
	return Generated{Output: f, ValidFor: &plugin.Span{Nanoseconds: span.Nanoseconds()}}
}

// Once are facts that the host does not repeat.
func (f Facts) Once() Generated { return Generated{Output: f} }

type answer struct {
	generated Generated
	err       error
}

// Cases is for the SDK.
func (answer) Cases() []reflect.Type {
	return []reflect.Type{reflect.TypeFor[Generated](), reflect.TypeFor[string]()}
}

// Case is for the SDK.
func (a answer) Case() (int, any) {
	if a.err != nil {
		return 1, a.err.Error()
	}
	return 0, a.generated
}

var generate func(question Question) (Generated, error)

// Generate says what answers.
func Generate(answer func(question Question) (Generated, error)) { generate = answer }
