{{- define "ballast.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{/* Labels by which pods are selected: (dict "root" $ "component" "coordinator"), or with "pool". */}}
{{- define "ballast.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- with .pool }}
ballast.internal/pool: {{ . }}
{{- end }}
{{- end }}

{{- define "ballast.labels" -}}
{{ include "ballast.selector" . }}
app.kubernetes.io/part-of: ballast
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{/* Selects coordinator, trainers and workers: the nodes of the cluster. */}}
{{- define "ballast.nodesSelector" -}}
matchLabels:
  {{- include "ballast.selector" (dict "root" .) | nindent 2 }}
matchExpressions:
  - key: app.kubernetes.io/component
    operator: In
    values: [coordinator, classifier-trainer, diffusion-worker]
{{- end }}

{{/* One of our images, by "name". */}}
{{- define "ballast.image" -}}
{{- $image := .root.Values.image -}}
{{ $image.prefix }}/{{ .name }}:{{ default .root.Chart.AppVersion $image.tag }}
{{- with index $image.digests .name }}@{{ . }}{{ end -}}
{{- end }}

{{/* An image of others: repository, tag, digest. */}}
{{- define "ballast.foreignImage" -}}
{{ .repository }}:{{ .tag }}
{{- with .digest }}@{{ . }}{{ end -}}
{{- end }}

{{- define "ballast.natsUrl" -}}
{{- if not .Values.nats.enabled -}}
{{- required "nats.address: say where NATS is (nats://HOST:4222 or tls://HOST:4222), or set nats.enabled" .Values.nats.address -}}
{{- else -}}
{{- printf "%s://%s-nats:4222" (ternary "nats" "tls" (eq .Values.tls.mode "none")) (include "ballast.fullname" .) -}}
{{- end -}}
{{- end }}

{{- define "ballast.hasAccounts" -}}
{{- if or .Values.nats.enabled .Values.nats.accounts }}true{{ end -}}
{{- end }}

{{/* The Secret with the password of NATS's user "role", and the key that it has there. */}}
{{- define "ballast.natsPasswords" -}}
{{- default (printf "%s-nats-%s" (include "ballast.fullname" .root) .role) .root.Values.nats.passwordsSecret -}}
{{- end }}

{{- define "ballast.natsPasswordKey" -}}
{{- ternary .role "password" (ne .root.Values.nats.passwordsSecret "") -}}
{{- end }}

{{- define "ballast.tokensSecret" -}}
{{- default (printf "%s-api-tokens" (include "ballast.fullname" .)) .Values.api.tokensSecret -}}
{{- end }}

{{/* The Secret that holds the controller's token for the API. */}}
{{- define "ballast.controllerToken" -}}
{{- if .Values.api.tokensSecret -}}
{{- required "controller.tokenSecret: name a Secret with a token of scope submit, whose digest is among those of api.tokensSecret, or set controller.enabled to false" .Values.controller.tokenSecret -}}
{{- else if .Values.controller.tokenSecret -}}
{{- fail "controller.tokenSecret: the API takes its token only if api.tokensSecret has its digest; name that Secret too, or leave both to the chart" -}}
{{- else -}}
{{- printf "%s-controller-token" (include "ballast.fullname" .) -}}
{{- end -}}
{{- end }}

{{- define "ballast.priorityClass" -}}
{{- if .root.Values.priorityClasses.create }}
priorityClassName: {{ .root.Release.Namespace }}-{{ include "ballast.fullname" .root }}-{{ .component }}
{{- end }}
{{- end }}

{{/* A claim by its key of `storage`. */}}
{{- define "ballast.claim" -}}
{{- $claim := index .root.Values.storage .key -}}
{{- default (printf "%s-%s" (include "ballast.fullname" .root) .key) $claim.existingClaim -}}
{{- end }}
