// Prefers nodes with few pods, and leaves out those with too many.
package main

import (
	"osier.dev/plugin"
	"osier.dev/plugin/schedule"
)

type config struct {
	Most uint32 `json:"most"`
}

func init() {
	var settings config
	plugin.Configure(func(given config) error {
		settings = given
		return nil
	})
	schedule.Each(func(_ schedule.Pod, nodes []schedule.Node) []schedule.Opinion {
		var opinions []schedule.Opinion
		for _, node := range nodes {
			if node.Pods >= settings.Most {
				opinions = append(opinions, schedule.Infeasible("it has too many pods"))
			} else {
				opinions = append(opinions, schedule.Score(100-min(100, node.Pods)))
			}
		}
		return opinions
	})
}

func main() {}
