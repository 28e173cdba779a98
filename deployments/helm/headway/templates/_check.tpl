{{- /* Values that can't work, all at once. The schema has checked kinds and names before. */}}
{{- define "headway.check" -}}
{{- $v := .Values }}
{{- $bad := list }}

{{- if not $v.nats.url }}
{{- $bad = append $bad "nats.url is missing. Set it to the address of NATS with JetStream, such as nats://nats.nats:4222" }}
{{- else if not (regexMatch "^(nats|tls|ws|wss)://" $v.nats.url) }}
{{- $bad = append $bad (printf "nats.url: %q doesn't begin with nats:// or tls://, as in nats://nats.nats:4222" $v.nats.url) }}
{{- else if regexMatch "://[^/]*@" $v.nats.url }}
{{- $bad = append $bad "nats.url has a user in it, which everybody could read who may read ConfigMaps. Set nats.auth and nats.secret instead" }}
{{- end }}
{{- if not $v.redis.url }}
{{- $bad = append $bad "redis.url is missing. Set it to the address of Redis, such as redis://redis.redis:6379/0" }}
{{- else if not (regexMatch "^rediss?(\\+(sentinel|cluster))?://" $v.redis.url) }}
{{- $bad = append $bad (printf "redis.url: %q begins with none of redis://, rediss://, redis+sentinel:// and redis+cluster://, as in redis://redis.redis:6379/0" $v.redis.url) }}
{{- else if regexMatch "://[^/]*@" $v.redis.url }}
{{- $bad = append $bad "redis.url has a password in it, which everybody could read who may read ConfigMaps. Set redis.auth and redis.secret instead" }}
{{- end }}

{{- range $server, $s := dict "nats" $v.nats "redis" $v.redis }}
{{- if and (ne $s.auth "none") (not $s.secret) }}
{{- $bad = append $bad (printf "%s.secret is missing. %s.auth is %s, so name a Secret with the entries %s-ingest, %s-detector and %s-api" $server $server $s.auth $server $server $server) }}
{{- else if and (eq $s.auth "none") $s.secret }}
{{- $bad = append $bad (printf "%s.secret is set, but %s.auth is none. Say how the programs sign in: %s.auth: password" $server $server $server) }}
{{- end }}
{{- if and $s.tls.clientCertificate (not $s.tls.secret) }}
{{- $bad = append $bad (printf "%s.tls.secret is missing. %s.tls.clientCertificate is true, so name a Secret with ca.crt, tls.crt and tls.key" $server $server) }}
{{- end }}
{{- end }}
{{- if and $v.redis.tls.secret $v.redis.url (not (hasPrefix "rediss" $v.redis.url)) }}
{{- $bad = append $bad "redis.tls.secret is set, but redis.url doesn't begin with rediss, so nothing would be encrypted" }}
{{- end }}

{{- range $program := list "ingest" "api" }}
{{- with (index $v $program).autoscaling }}
{{- if .enabled }}
{{- $most := int .maxReplicas }}
{{- if lt $most (int .minReplicas) }}
{{- $bad = append $bad (printf "%s.autoscaling.maxReplicas (%d) is less than minReplicas (%d)" $program $most (int .minReplicas)) }}
{{- end }}
{{- if and (eq $program "ingest") (gt $most (int $v.log.partitions)) }}
{{- $bad = append $bad (printf "ingest.autoscaling.maxReplicas (%d) is more than log.partitions (%d), so some would have nothing to do" $most (int $v.log.partitions)) }}
{{- end }}
{{- if not (or .lagSeconds .streams .cpuPercent) }}
{{- $bad = append $bad (printf "%s.autoscaling is enabled, but by nothing. Set %s or cpuPercent" $program (ternary "lagSeconds" "streams" (eq $program "ingest"))) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- with $v.api.ingress }}
{{- if and .enabled (not .host) }}
{{- $bad = append $bad "api.ingress.host is missing. Set it to the host name at which people open the dashboard" }}
{{- end }}
{{- end }}

{{- with $v.relay }}
{{- if and .enabled (not .ray.clusters) (not .kuberay.enabled) (not .ray.eventsSecret.name) }}
{{- $bad = append $bad "relay.enabled is true, but there is nothing to watch. Set relay.ray.clusters, or relay.kuberay.enabled" }}
{{- end }}
{{- if and (not .enabled) (or .ray.clusters .kuberay.enabled) }}
{{- $bad = append $bad "relay.ray.clusters or relay.kuberay is set, but relay.enabled is false. Set it to true" }}
{{- end }}
{{- end }}

{{- if $bad }}
{{- printf "\n\n  - %s\n" (join "\n  - " $bad) | fail }}
{{- end }}
{{- end }}
