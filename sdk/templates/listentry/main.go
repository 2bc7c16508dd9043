// Lets through what is on a list.
package main

import (
	"slices"

	"osier.dev/plugin"
	"osier.dev/plugin/listentry"
)

type config struct {
	Allow []string `json:"allow"`
}

func init() {
	var settings config
	plugin.Configure(func(given config) error {
		settings = given
		return nil
	})
	listentry.Check(func(value string) plugin.Decision {
		if slices.Contains(settings.Allow, value) {
			return plugin.Allow()
		}
		return plugin.Deny(403).Because("not on the list")
	})
}

func main() {}
