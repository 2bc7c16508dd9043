// A header names the subset that a request goes to, and a cookie remembers it.
package main

import (
	"osier.dev/plugin"
	"osier.dev/plugin/filter"
	"osier.dev/plugin/route"
)

type config struct {
	Header string `json:"header"`
}

func init() {
	var settings config
	plugin.Configure(func(given config) error {
		settings = given
		return nil
	})
	route.Choose(func(_ route.Request, headers filter.Headers, candidates []route.Candidate) *route.Choice {
		wanted := headers.Get(settings.Header)
		for place, candidate := range candidates {
			if wanted != "" && candidate.Subset == wanted {
				cookie := plugin.Set("set-cookie", "variant="+wanted)
				return &route.Choice{Candidate: uint32(place), ResponseHeaders: []plugin.HeaderOperation{cookie}}
			}
		}
		return nil
	})
}

func main() {}
