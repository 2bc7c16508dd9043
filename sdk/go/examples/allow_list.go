package main

import (
	"slices"

	"osier.dev/plugin"
	"osier.dev/plugin/listentry"
)

// A header allow-list: template listentry.
func init() {
	listentry.Check(func(value string) plugin.Decision {
		if slices.Contains(settings.Allow, value) {
			return plugin.Allow()
		}
		return plugin.Deny(403).Because("not on the list").
			WithBody("You are not on the list.\n").WithHeader("x-denied-by", "allow-list")
	})
}
