module osier.dev/plugin

go 1.24
