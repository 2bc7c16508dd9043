// Lets everybody read, and only admins write.
package main

import (
	"slices"

	"osier.dev/plugin"
	"osier.dev/plugin/authorization"
)

type config struct {
	Admins []string `json:"admins"`
}

func init() {
	var settings config
	plugin.Configure(func(given config) error {
		settings = given
		return nil
	})
	authorization.Check(func(question authorization.Question) plugin.Decision {
		switch {
		case question.Action.Method == "GET":
			return plugin.Allow()
		case slices.Contains(settings.Admins, question.Subject.User):
			return plugin.Allow().WithRequestHeader("x-role", "admin")
		}
		return plugin.Deny(403).Because("not an admin").WithBody("Admins only.\n")
	})
}

func main() {}
