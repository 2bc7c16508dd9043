// SPDX-License-Identifier: Apache-2.0 OR MIT

// Package schedule has a say in where a pod runs.
package schedule

import (
	"reflect"

	"osier.dev/plugin"
)

// A Node fits the pod by the scheduler's own rules.
type Node struct {
	Name   string
	Labels []plugin.Pair
	// FreeCPU is in thousandths of a core, FreeMemory in bytes.
	FreeCPU, FreeMemory int64
	// Pods run there; Siblings are those among them of the same controller as this pod.
	Pods, Siblings uint32
}

// A Pod needs a node.
type Pod struct {
	Namespace, Name string
	Labels          []plugin.Pair
	// Object is the pod as JSON.
	Object string
}

// An Opinion is what a plugin thinks of a node: see [Score] and [Infeasible].
type Opinion struct {
	number int
	what   any
}

// Score is 0 to 100, more is better.
func Score(points uint32) Opinion { return Opinion{1, points} }

// Infeasible says that the pod must not run there, and why.
func Infeasible(reason string) Opinion { return Opinion{0, reason} }

// Cases is for the SDK.
func (Opinion) Cases() []reflect.Type {
	return []reflect.Type{reflect.TypeFor[string](), reflect.TypeFor[uint32]()}
}

// Case is for the SDK.
func (o Opinion) Case() (int, any) { return o.number, o.what }

var score func(pod Pod, nodes []Node) []Opinion

// Each says who has an opinion of each node, in their order.
func Each(scorer func(pod Pod, nodes []Node) []Opinion) { score = scorer }
