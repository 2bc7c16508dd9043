package main

import (
	"fmt"
	"time"

	"osier.dev/plugin"
	"osier.dev/plugin/authorization"
)

// Required claims: template authorization.
func init() {
	authorization.Check(func(question authorization.Question) plugin.Decision {
		claims := plugin.Get(question.Subject.Properties, "claims").Texts()
		for name, value := range settings.Claims {
			if claims[name] != value {
				return plugin.Deny(403).Because(fmt.Sprintf("claim %s must be %s", name, value))
			}
		}
		return plugin.Allow().
			WithRequestHeader("x-user", question.Subject.User).
			WithHeader("x-tier", settings.Claims["tier"]).
			ValidFor(time.Second)
	})
}
