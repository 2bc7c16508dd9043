module local/{{name}}

go 1.24

require osier.dev/plugin v0.0.0

replace osier.dev/plugin => ./osier
