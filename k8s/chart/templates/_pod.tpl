{{/* The common parts of every pod of Ballast. Each template takes a dict with "root" and its parameters. */}}

{{- define "ballast.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "ballast.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/* "settings": nodeSelector, affinity, tolerations; "unreachableSeconds" where Kubernetes's 300 s are too long. A pod with
"needsKubernetes" has the token of its service account. */}}
{{- define "ballast.placement" -}}
automountServiceAccountToken: {{ default false .needsKubernetes }}
enableServiceLinks: false
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .settings.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .settings.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- $hasSeconds := not (kindIs "invalid" .settings.unreachableSeconds) -}}
{{- if or .settings.tolerations $hasSeconds }}
tolerations:
  {{- if $hasSeconds }}
  - { key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: {{ .settings.unreachableSeconds }} }
  - { key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: {{ .settings.unreachableSeconds }} }
  {{- end }}
  {{- with .settings.tolerations }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
securityContext:
  {{- include "ballast.podSecurity" . | nindent 2 }}
{{- end }}

{{/* Waits for a TCP port ("host", "port") before the pod's container starts, in place of crashing until it is there. */}}
{{- define "ballast.waitFor" -}}
- name: wait-for-{{ .name }}
  image: {{ .image }}
  imagePullPolicy: {{ .root.Values.image.pullPolicy }}
  command:
    - bash
    - -c
    - until (exec 3<>"/dev/tcp/$HOST/$PORT") 2>/dev/null; do echo "waiting for $HOST:$PORT"; sleep 1; done
  env:
    - name: HOST
      value: {{ .host | quote }}
    - name: PORT
      value: {{ .port | quote }}
  resources:
    requests: { cpu: 10m, memory: 16Mi }
    limits: { memory: 64Mi }
  securityContext:
    {{- include "ballast.containerSecurity" . | nindent 4 }}
{{- end }}

{{- define "ballast.waitForNats" -}}
{{- $url := urlParse (include "ballast.natsUrl" .root) -}}
{{- $address := splitList ":" $url.host -}}
{{- include "ballast.waitFor" (dict "root" .root "image" .image "name" "nats" "host" (first $address) "port" (default "4222" (index (append $address "") 1))) }}
{{- end }}

{{/* Environment of a node of role "role". */}}
{{- define "ballast.nodeEnvironment" -}}
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: POD_IP
  valueFrom:
    fieldRef:
      fieldPath: status.podIP
- name: BALLAST_GRAPH_CACHE
  value: /var/cache/ballast
{{- if include "ballast.hasAccounts" .root }}
- name: BALLAST_NATS_USER
  value: {{ .natsUser }}
- name: BALLAST_NATS_PASSWORD_FILE
  value: /etc/ballast/nats/password
- name: BALLAST_NATS_INBOX_PREFIX
  value: _INBOX_{{ .natsUser }}
{{- end }}
{{- end }}

{{/* Flags of every node. */}}
{{- define "ballast.nodeArguments" -}}
- --join=$(BALLAST_JOIN)
- --cluster=$(BALLAST_CLUSTER)
- --labels=role={{ .component }},pod=$(POD_NAME)
- --host=0.0.0.0
- --port=4700
- --advertise=$(POD_IP)
- --health-port=4701
- --metrics-port=9464
- --dir=/var/lib/ballast/node
- --grace={{ .settings.graceSeconds }}
- --lease=60
{{- end }}

{{/* Readiness ends when a node drains; liveness does not: a draining node must not be restarted into joining again. */}}
{{- define "ballast.nodeProbes" -}}
startupProbe:
  grpc:
    port: 4701
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 60
readinessProbe:
  grpc:
    port: 4701
    service: readiness
  periodSeconds: 5
  timeoutSeconds: 5
# Patient: a coordinator that is restarted begins every run's epoch again, a trainer its own.
livenessProbe:
  grpc:
    port: 4701
    service: liveness
  periodSeconds: 15
  timeoutSeconds: 10
  failureThreshold: 6
{{- end }}

{{- define "ballast.nodePorts" -}}
- name: grpc
  containerPort: 4700
- name: health
  containerPort: 4701
- name: metrics
  containerPort: 9464
{{- end }}

{{- define "ballast.nodeMounts" -}}
- name: node
  mountPath: /var/lib/ballast/node
- name: cache
  mountPath: /var/cache/ballast
- name: tmp
  mountPath: /tmp
- name: shm
  mountPath: /dev/shm
{{- if ne .root.Values.tls.mode "none" }}
- name: tls
  mountPath: /etc/ballast/tls
  readOnly: true
{{- end }}
{{- if include "ballast.hasAccounts" .root }}
- name: nats
  mountPath: /etc/ballast/nats
  readOnly: true
{{- end }}
{{- end }}

{{- define "ballast.nodeVolumes" -}}
{{- $fullname := include "ballast.fullname" .root -}}
- name: node
  emptyDir:
    sizeLimit: {{ .nodeSize }}
- name: cache
  emptyDir:
    sizeLimit: 1Gi
- name: tmp
  emptyDir:
    sizeLimit: 1Gi
- name: shm
  emptyDir:
    medium: Memory
    sizeLimit: {{ .shmSize }}
{{- if ne .root.Values.tls.mode "none" }}
- name: tls
  secret:
    secretName: {{ $fullname }}-{{ .component }}-tls
    defaultMode: 0440
{{- end }}
{{- if include "ballast.hasAccounts" .root }}
- name: nats
  secret:
    secretName: {{ include "ballast.natsPasswords" (dict "root" .root "role" .natsUser) }}
    items:
      - { key: {{ include "ballast.natsPasswordKey" (dict "root" .root "role" .natsUser) }}, path: password }
    defaultMode: 0440
{{- end }}
{{- end }}

{{/* The two volumes that coordinator and trainers share. */}}
{{- define "ballast.sharedMounts" -}}
- name: runs
  mountPath: /var/lib/ballast/runs
- name: data
  mountPath: /var/lib/ballast/data
  readOnly: true
{{- end }}

{{- define "ballast.sharedVolumes" -}}
- name: runs
  persistentVolumeClaim:
    claimName: {{ include "ballast.claim" (dict "root" .root "key" "runs") }}
- name: data
  persistentVolumeClaim:
    claimName: {{ include "ballast.claim" (dict "root" .root "key" "data") }}
{{- end }}

{{/* The hook does what SIGTERM would do; but a drain that fails here is told as an event of the pod. */}}
{{- define "ballast.drainHook" -}}
preStop:
  exec:
    command:
      - sh
      - -c
      - exec ballast drain "$POD_IP:4700" --node "$POD_IP:4700" --grace {{ .settings.graceSeconds }}
{{- end }}

{{/* A hook that fails has used its time, and the program gets its own after it. */}}
{{- define "ballast.drainSeconds" -}}
{{- add (mul 2 (int .settings.graceSeconds)) 20 -}}
{{- end }}

{{/* A change of these restarts the pods. */}}
{{- define "ballast.configChecksum" -}}
checksum/cluster: {{ include "ballast.clusterData" .root | sha256sum }}
{{- end }}

{{- define "ballast.clusterData" -}}
BALLAST_JOIN: {{ include "ballast.natsUrl" . | quote }}
BALLAST_CLUSTER: {{ .Values.clusterName | quote }}
BALLAST_WORKER_RESOURCES: {{ .Values.worker.offers | quote }}
{{- if eq .Values.tls.mode "none" }}
BALLAST_INSECURE: '1'
{{- else }}
BALLAST_TLS_CA: /etc/ballast/tls/ca.crt
BALLAST_TLS_CERT: /etc/ballast/tls/tls.crt
BALLAST_TLS_KEY: /etc/ballast/tls/tls.key
{{- if hasPrefix "tls:" (include "ballast.natsUrl" .) }}
BALLAST_NATS_CA: /etc/ballast/tls/ca.crt
BALLAST_NATS_CERT: /etc/ballast/tls/tls.crt
BALLAST_NATS_KEY: /etc/ballast/tls/tls.key
{{- end }}
{{- end }}
{{- end }}
