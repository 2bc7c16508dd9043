// Lets through the holders of known keys.
package main

import (
	"osier.dev/plugin"
	"osier.dev/plugin/apikey"
)

type config struct {
	Keys map[string]string `json:"keys"`
}

func init() {
	var settings config
	plugin.Configure(func(given config) error {
		settings = given
		return nil
	})
	apikey.Check(func(question apikey.Question) plugin.Decision {
		if consumer, known := settings.Keys[question.Key]; known {
			return plugin.Allow().WithRequestHeader("x-consumer", consumer)
		}
		if question.Key == "" {
			return plugin.Deny(401).Because("no key")
		}
		return plugin.Deny(401).Because("unknown key")
	})
}

func main() {}
