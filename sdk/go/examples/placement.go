package main

import (
	"encoding/json"
	"slices"

	"osier.dev/plugin"
	"osier.dev/plugin/admit"
	"osier.dev/plugin/balance"
	"osier.dev/plugin/filter"
	"osier.dev/plugin/route"
	"osier.dev/plugin/schedule"
)

// The hooks route, balance, admit and schedule, one plugin each.
func init() {
	route.Choose(variant)
	balance.Pick(leastBusy)
	admit.Judge(owned)
	schedule.Each(spread)
}

// A header names the subset, and a cookie remembers it.
func variant(_ route.Request, headers filter.Headers, candidates []route.Candidate) *route.Choice {
	wanted := headers.Get("x-variant")
	for place, candidate := range candidates {
		if wanted != "" && candidate.Subset == wanted {
			cookie := plugin.Set("set-cookie", "variant="+wanted)
			return &route.Choice{Candidate: uint32(place), ResponseHeaders: []plugin.HeaderOperation{cookie}}
		}
	}
	return nil
}

// The endpoint that works on the fewest requests.
func leastBusy(_ balance.Request, _ filter.Headers, endpoints []balance.Endpoint) (int, bool) {
	fewest := 0
	for place, endpoint := range endpoints {
		if endpoint.InFlight < endpoints[fewest].InFlight {
			fewest = place
		}
	}
	return fewest, len(endpoints) > 0
}

// Objects have an owner; who writes is it where none is named.
func owned(review admit.Review) admit.Verdict {
	var object struct {
		Metadata struct{ Labels map[string]string }
	}
	if err := json.Unmarshal([]byte(review.Object), &object); err != nil {
		return admit.Deny(err.Error(), "")
	}
	owner, named := object.Metadata.Labels["owner"]
	switch {
	case review.Operation == admit.Delete || len(object.Metadata.Labels) == 0:
		return admit.Allow()
	case slices.Contains(settings.Reserved, owner):
		return admit.Deny(owner+" owns nothing", "metadata.labels.owner")
	case named:
		return admit.Allow()
	}
	patch, _ := json.Marshal([]map[string]string{{"op": "add", "path": "/metadata/labels/owner", "value": review.User}})
	return admit.Patch(string(patch))
}

// Where the fewest pods are, and never two of a kind.
func spread(_ schedule.Pod, nodes []schedule.Node) []schedule.Opinion {
	var opinions []schedule.Opinion
	for _, node := range nodes {
		if node.Siblings > 0 {
			opinions = append(opinions, schedule.Infeasible("there is one of its kind"))
		} else {
			opinions = append(opinions, schedule.Score(100-min(100, node.Pods)))
		}
	}
	return opinions
}
