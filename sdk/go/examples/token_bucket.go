package main

import (
	"strconv"
	"time"

	"osier.dev/plugin/counters"
	"osier.dev/plugin/quota"
)

// A token bucket for each set of dimensions, over the host's counters: template quota.
func init() {
	quota.Allocate(func(request quota.Request) quota.Outcome {
		terms := counters.Terms{Capacity: settings.Limit, Refill: settings.Limit, Interval: time.Hour}
		taken, err := counters.Take("limits", request.Key(), request.Amount, terms, request.BestEffort)
		switch {
		case err != nil:
			return quota.Refused("cannot count: " + err.Error())
		case taken.Amount == 0:
			return quota.Refused("the bucket is empty").RetryAfter(taken.RetryAfter)
		}
		return quota.Granted(taken.Amount).WithHeader("x-ratelimit-limit", strconv.FormatUint(settings.Limit, 10))
	})
}
