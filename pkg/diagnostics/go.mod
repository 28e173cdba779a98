module github.com/headwayhq/headway/pkg/diagnostics

go 1.26.0
