{{/* KEDA must be 2.19 or newer: below, `fallback` starts no worker from none. Its version is looked up where it says it. */}}
{{- define "ballast.checkKeda" -}}
{{- $version := .Values.autoscaling.keda.version -}}
{{- if not $version -}}
{{- with lookup "apps/v1" "Deployment" .Values.autoscaling.keda.namespace "keda-operator" -}}
{{- $version = index (default dict .metadata.labels) "app.kubernetes.io/version" | default "" -}}
{{- end -}}
{{- end -}}
{{- if $version -}}
{{- if not (semverCompare ">=2.19.0-0" $version) -}}
{{- fail (printf "autoscaling: KEDA is %s, and must be 2.19 or newer: an older one starts no worker when Prometheus is away" $version) -}}
{{- end -}}
{{- end -}}
{{- end }}
