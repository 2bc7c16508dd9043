// The example plugins of every SDK, in one component.
package main

import "osier.dev/plugin"

type config struct {
	Allow    []string          `json:"allow"`
	Limit    uint64            `json:"limit"`
	Claims   map[string]string `json:"claims"`
	Required []string          `json:"required"`
	Reserved []string          `json:"reserved"`
}

var settings = config{Limit: 100}

func init() {
	plugin.Configure(func(given config) error {
		if given.Limit == 0 {
			given.Limit = settings.Limit
		}
		settings = given
		return nil
	})
}

func main() {}
