// Sends each request to the endpoint that works on the fewest.
package main

import (
	"osier.dev/plugin"
	"osier.dev/plugin/balance"
	"osier.dev/plugin/filter"
)

func init() {
	plugin.Configure(func(struct{}) error { return nil })
	balance.Pick(func(_ balance.Request, _ filter.Headers, endpoints []balance.Endpoint) (int, bool) {
		fewest := 0
		for place, endpoint := range endpoints {
			if endpoint.InFlight < endpoints[fewest].InFlight {
				fewest = place
			}
		}
		return fewest, len(endpoints) > 0
	})
}

func main() {}
