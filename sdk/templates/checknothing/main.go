// Answers in place of a service that is being repaired.
package main

import (
	"osier.dev/plugin"
	"osier.dev/plugin/checknothing"
)

type config struct {
	Message string `json:"message"`
}

func init() {
	var settings config
	plugin.Configure(func(given config) error {
		settings = given
		return nil
	})
	checknothing.Check(func() plugin.Decision {
		return plugin.Deny(503).Because("maintenance").WithHeader("retry-after", "60").WithBody(settings.Message)
	})
}

func main() {}
