// Tells the team of a caller by the beginning of its address.
package main

import (
	"strings"
	"time"

	"osier.dev/plugin"
	"osier.dev/plugin/kubernetes"
)

type config struct {
	Teams map[string]string `json:"teams"`
}

func init() {
	var settings config
	plugin.Configure(func(given config) error {
		settings = given
		return nil
	})
	kubernetes.Generate(func(question kubernetes.Question) (kubernetes.Generated, error) {
		var facts kubernetes.Facts
		for start, team := range settings.Teams {
			if strings.HasPrefix(question.SourceIP, start) {
				facts.SourceLabels = append(facts.SourceLabels, plugin.Pair{Name: "team", Text: team})
				break
			}
		}
		return facts.For(time.Minute), nil
	})
}

func main() {}
