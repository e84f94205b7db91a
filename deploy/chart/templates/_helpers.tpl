{{- define "rondo.labels" -}}
app.kubernetes.io/name: rondo
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- /* What selects pods: (list $ "worker"). */ -}}
{{- define "rondo.selector" -}}
app.kubernetes.io/name: rondo
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "rondo.coordinator" -}}{{ .Release.Name }}-coordinator{{- end }}
{{- define "rondo.workers" -}}{{ .Release.Name }}-workers{{- end }}
{{- /* What keeps the workers' pods; JobSet names its Job after itself and its one replicated job. */ -}}
{{- define "rondo.workload" -}}
{{- if eq .Values.worker.kind "JobSet" }}{{ .Release.Name }}-workers-0{{ else }}{{ include "rondo.workers" . }}{{ end }}
{{- end }}
{{- define "rondo.workloadKind" -}}{{ ternary "StatefulSet" "Job" (eq .Values.worker.kind "StatefulSet") }}{{- end }}
{{- define "rondo.nats" -}}{{ .Release.Name }}-nats{{- end }}
{{- define "rondo.tokenSecret" -}}{{ default (printf "%s-token" .Release.Name) .Values.join.existingSecret }}{{- end }}
{{- define "rondo.natsSecret" -}}{{ default (printf "%s-nats" .Release.Name) .Values.nats.existingSecret }}{{- end }}

{{- /* (list $ .Values.image.worker) */ -}}
{{- define "rondo.image" -}}
{{- $image := index . 1 -}}
{{- if $image.digest }}{{ $image.repository }}@{{ $image.digest }}{{ else }}{{ $image.repository }}:{{ default (index . 0).Chart.AppVersion $image.tag }}{{ end }}
{{- end }}

{{- define "rondo.coordinatorHost" -}}{{ include "rondo.coordinator" . }}.{{ .Release.Namespace }}.svc{{- end }}

{{- define "rondo.workersPerPod" -}}{{ max 1 (int .Values.worker.gpusPerPod) }}{{- end }}

{{- define "rondo.pods" -}}
{{- $perPod := include "rondo.workersPerPod" . | int -}}
{{- if mod (int .Values.workers) $perPod -}}
{{- fail (printf "workers is %d, but each pod holds %d of them (worker.gpusPerPod): give a multiple" (int .Values.workers) $perPod) -}}
{{- end -}}
{{- div (int .Values.workers) $perPod -}}
{{- end }}

{{- /* The options of a worker's recipe: those given, and its threads, which decide the last bits of the result. */ -}}
{{- define "rondo.recipe" -}}
{{- $recipe := deepCopy .Values.recipe -}}
{{- $requests := default dict .Values.worker.resources.requests -}}
{{- $limits := default dict .Values.worker.resources.limits -}}
{{- $cpus := toString (default (default "" $requests.cpu) $limits.cpu) -}}
{{- if and (not (hasKey $recipe "threads")) (regexMatch "^[1-9][0-9]*$" $cpus) -}}
{{- $_ := set $recipe "threads" (int $cpus) -}}
{{- end -}}
{{- $_ := set $recipe "data" .Values.data.source -}}
{{ toYaml $recipe }}
{{- end }}

{{- /* What the workers of a pod need of /dev/shm, in MiB: of N each takes its gradients and N × 4 MiB. */ -}}
{{- define "rondo.shmMib" -}}
{{- $gradients := dict "resnet18" 45 "resnet34" 84 "resnet50" 98 "resnet101" 170 "resnet152" 230 -}}
{{- $workers := include "rondo.workersPerPod" . | int -}}
{{- mul $workers (add (get $gradients (default "resnet34" .Values.recipe.arch) | default 230) (mul 4 $workers)) -}}
{{- end }}

{{- /* A quarter more, for what stays behind for a moment when the ring is built anew. */ -}}
{{- define "rondo.shmSize" -}}
{{- $mib := include "rondo.shmMib" . | int -}}
{{- .Values.worker.shmSize | default (printf "%dMi" (add 64 $mib (div $mib 4))) -}}
{{- end }}

{{- define "rondo.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "rondo.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- /* The token that buys a worker its certificate: a Secret's, or the pod's own. */ -}}
{{- define "rondo.tokenVolume" -}}
- name: token
  {{- if eq .Values.join.method "service-account" }}
  projected:
    sources:
    - serviceAccountToken: {path: token, audience: rondo, expirationSeconds: 3600}
  {{- else }}
  secret: {secretName: {{ include "rondo.tokenSecret" . }}, defaultMode: 0440}
  {{- end }}
{{- end }}
