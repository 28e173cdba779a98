module github.com/headwayhq/headway/services/relay/kuberay/kubetest

go 1.26.0
