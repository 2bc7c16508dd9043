// Objects must have a label.
package main

import (
	"encoding/json"

	"osier.dev/plugin"
	"osier.dev/plugin/admit"
)

type config struct {
	Label string `json:"label"`
}

type object struct {
	Metadata struct {
		Labels map[string]string `json:"labels"`
	} `json:"metadata"`
}

func init() {
	var settings config
	plugin.Configure(func(given config) error {
		settings = given
		return nil
	})
	admit.Judge(func(review admit.Review) admit.Verdict {
		var written object
		if err := json.Unmarshal([]byte(review.Object), &written); err != nil {
			return admit.Deny(err.Error(), "")
		}
		if _, labelled := written.Metadata.Labels[settings.Label]; labelled || review.Operation == admit.Delete {
			return admit.Allow()
		}
		return admit.Deny("label "+settings.Label+" is required here", "metadata.labels")
	})
}

func main() {}
