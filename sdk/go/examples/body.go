package main

import (
	"encoding/json"
	"strings"

	"osier.dev/plugin"
	"osier.dev/plugin/filter"
	"osier.dev/plugin/filter/request"
)

// The body of a request must be a JSON object with the required fields: hook filter.
func init() {
	request.OnHead(func(_ filter.Exchange, headers filter.Headers) filter.HeadVerdict {
		if strings.HasPrefix(headers.Get("content-type"), "application/json") {
			return filter.NeedBody(64 << 10)
		}
		return filter.Proceed()
	})
	request.OnBody(func(_ filter.Exchange, _ filter.Headers, body []byte) filter.BodyVerdict {
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(body, &fields); err != nil || fields == nil {
			return unfit("the body is no JSON object")
		}
		for _, name := range settings.Required {
			if _, there := fields[name]; !there {
				return unfit("the body has no field " + name)
			}
		}
		return filter.Pass(filter.Header(plugin.Set("x-checked", "json")))
	})
}

func unfit(reason string) filter.BodyVerdict {
	return filter.Answer(filter.Reply{Status: 422, Body: []byte(reason + "\n"), Reason: reason})
}
