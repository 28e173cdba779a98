{{- /* The file of flags of one program. (dict "root" $ "program" "ingest") */}}
{{- define "headway.config" -}}
{{- $v := .root.Values }}
{{- $name := include "headway.name" .root }}
{{- $c := dict "log-level" $v.logLevel "nats-url" $v.nats.url }}
{{- $redis := ne .program "relay" }}

{{- with $v.nats }}
{{- if eq .auth "password" }}
{{- $_ := set $c "nats-user" $.program }}
{{- $_ := set $c "nats-password-file" "/run/headway/nats" }}
{{- else if ne .auth "none" }}
{{- $_ := set $c (printf "nats-%s-file" .auth) "/run/headway/nats" }}
{{- end }}
{{- if .tls.secret }}{{ $_ := set $c "nats-ca-file" "/run/headway/nats-ca.crt" }}{{ end }}
{{- if .tls.clientCertificate }}
{{- $_ := set $c "nats-cert-file" "/run/headway/nats-tls.crt" }}
{{- $_ := set $c "nats-key-file" "/run/headway/nats-tls.key" }}
{{- end }}
{{- end }}

{{- if $redis }}
{{- with $v.redis }}
{{- $_ := set $c "redis-url" .url }}
{{- if eq .auth "password" }}
{{- $_ := set $c "redis-user" $.program }}
{{- $_ := set $c "redis-password-file" "/run/headway/redis" }}
{{- end }}
{{- if .tls.secret }}{{ $_ := set $c "redis-ca-file" "/run/headway/redis-ca.crt" }}{{ end }}
{{- if .tls.clientCertificate }}
{{- $_ := set $c "redis-cert-file" "/run/headway/redis-tls.crt" }}
{{- $_ := set $c "redis-key-file" "/run/headway/redis-tls.key" }}
{{- end }}
{{- end }}
{{- $_ := set $c "partitions" (int $v.log.partitions) }}
{{- $_ := set $c "replicas" (int $v.log.replicas) }}
{{- if $v.log.maxAge }}{{ $_ := set $c "max-age" $v.log.maxAge }}{{ end }}
{{- if $v.policy }}{{ $_ := set $c "policy" "/etc/headway/policy.yaml" }}{{ end }}
{{- end }}

{{- if eq .program "api" }}
{{- $_ := set $c "listen" ":8080" }}
{{- $_ := set $c "ops-listen" ":9090" }}
{{- $_ := set $c "access" $v.api.access }}
{{- if eq $v.api.access "none" }}{{ $_ := set $c "allow-unauthenticated" true }}{{ end }}
{{- $service := printf "%s-api" $name }}
{{- $hosts := list $service (printf "%s.%s" $service .root.Release.Namespace) (printf "%s.%s.svc" $service .root.Release.Namespace) (printf "%s.%s.svc.cluster.local" $service .root.Release.Namespace) }}
{{- if $v.api.ingress.host }}{{ $hosts = append $hosts $v.api.ingress.host }}{{ end }}
{{- $_ := set $c "allowed-host" (concat $hosts $v.api.hosts | uniq) }}
{{- if $v.api.tls.secret }}
{{- $_ := set $c "tls-cert-file" "/run/headway/api-tls.crt" }}
{{- $_ := set $c "tls-key-file" "/run/headway/api-tls.key" }}
{{- end }}
{{- else }}
{{- $_ := set $c "listen" ":9090" }}
{{- end }}

{{- if eq .program "relay" }}
{{- with $v.relay }}
{{- if .ray.clusters }}{{ $_ := set $c "ray" .ray.clusters }}{{ end }}
{{- if .ray.tokenSecret.name }}{{ $_ := set $c "ray-token-file" "/run/headway/ray-token" }}{{ end }}
{{- if .ray.eventsSecret.name }}{{ $_ := set $c "ray-events-secret-file" "/run/headway/ray-events-secret" }}{{ end }}
{{- if .kuberay.enabled }}
{{- $_ := set $c "kuberay" true }}
{{- if .kuberay.namespace }}{{ $_ := set $c "kube-namespace" .kuberay.namespace }}{{ end }}
{{- end }}
{{- if .proof }}{{ $_ := set $c "ray-proof" .proof }}{{ end }}
{{- end }}
{{- end }}
{{- toYaml (mergeOverwrite $c (deepCopy (index $v .program).config)) }}
{{- end }}

{{- /* The Secrets of one program, as sources of a projected volume: each pod gets the entries that it uses. */}}
{{- define "headway.secrets" -}}
{{- $v := .root.Values }}
{{- $from := list }}
{{- $servers := dict "nats" $v.nats }}
{{- if ne .program "relay" }}{{ $_ := set $servers "redis" $v.redis }}{{ end }}
{{- range $server, $s := $servers }}
{{- if ne $s.auth "none" }}
{{- $from = append $from (dict "secret" (dict "name" $s.secret "items" (list (dict "key" (printf "%s-%s" $server $.program) "path" $server)))) }}
{{- end }}
{{- if $s.tls.secret }}
{{- $items := list (dict "key" "ca.crt" "path" (printf "%s-ca.crt" $server)) }}
{{- if $s.tls.clientCertificate }}
{{- $items = concat $items (list (dict "key" "tls.crt" "path" (printf "%s-tls.crt" $server)) (dict "key" "tls.key" "path" (printf "%s-tls.key" $server))) }}
{{- end }}
{{- $from = append $from (dict "secret" (dict "name" $s.tls.secret "items" $items)) }}
{{- end }}
{{- end }}
{{- if and (eq .program "api") $v.api.tls.secret }}
{{- $from = append $from (dict "secret" (dict "name" $v.api.tls.secret "items" (list (dict "key" "tls.crt" "path" "api-tls.crt") (dict "key" "tls.key" "path" "api-tls.key")))) }}
{{- end }}
{{- if eq .program "relay" }}
{{- with $v.relay.ray }}
{{- if .tokenSecret.name }}{{ $from = append $from (dict "secret" (dict "name" .tokenSecret.name "items" (list (dict "key" .tokenSecret.key "path" "ray-token")))) }}{{ end }}
{{- if .eventsSecret.name }}{{ $from = append $from (dict "secret" (dict "name" .eventsSecret.name "items" (list (dict "key" .eventsSecret.key "path" "ray-events-secret")))) }}{{ end }}
{{- end }}
{{- end }}
{{- range (index $v .program).files }}
{{- $from = append $from (dict "secret" (dict "name" .secret "items" (list (dict "key" .key "path" .name)))) }}
{{- end }}
{{- toJson $from }}
{{- end }}
