{{- define "headway.name" -}}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains "headway" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}{{ printf "%s-headway" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "headway.selector" -}}
app.kubernetes.io/name: headway
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "headway.labels" -}}
{{ include "headway.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "headway.image" -}}
{{- with .Values.image }}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{- /* The programs of this release, as a list in JSON. */}}
{{- define "headway.programs" -}}
{{- $all := list "ingest" "detector" "api" }}
{{- if .Values.relay.enabled }}{{ $all = append $all "relay" }}{{ end }}
{{- toJson $all }}
{{- end }}

{{- /* The ports in a list of addresses, in JSON. (dict "urls" "nats://a:4222,b" "default" 4222) */}}
{{- define "headway.ports" -}}
{{- $ports := list }}
{{- $all := regexReplaceAll "^[a-zA-Z0-9+.-]+://" .urls "" | splitList "," }}
{{- range $all }}
{{- $host := regexReplaceAll "^[a-zA-Z0-9+.-]+://" . "" | splitList "/" | first | splitList "@" | last }}
{{- $port := regexFind ":[0-9]+$" $host | trimPrefix ":" }}
{{- $ports = append $ports (int ($port | default (toString $.default))) }}
{{- end }}
{{- $ports | uniq | toJson }}
{{- end }}
