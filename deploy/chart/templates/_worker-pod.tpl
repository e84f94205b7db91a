{{- /* The pod template of the workers. */ -}}
{{- define "rondo.workerPod" -}}
{{- $w := .Values.worker -}}
{{- $grace := ternary $w.spot.graceSeconds $w.terminationGracePeriodSeconds $w.spot.enabled -}}
metadata:
  labels:
    {{- include "rondo.selector" (list . "worker") | nindent 4 }}
    {{- with $w.podLabels }}{{ toYaml . | nindent 4 }}{{ end }}
  {{- with $w.podAnnotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- if eq $w.kind "StatefulSet" }}
  # The only one that it may have. At the run's end the coordinator has no pods left.
  restartPolicy: Always
  {{- else }}
  # A pod that ends is replaced by the Job, later each time; it tells faults from evictions (podFailurePolicy).
  restartPolicy: Never
  {{- end }}
  serviceAccountName: {{ include "rondo.workers" . }}
  automountServiceAccountToken: false
  enableServiceLinks: false
  terminationGracePeriodSeconds: {{ $grace }}
  {{- with .Values.image.pullSecrets }}
  imagePullSecrets: {{- toYaml . | nindent 2 }}
  {{- end }}
  securityContext: {{- include "rondo.podSecurity" . | nindent 4 }}
  {{- with $w.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with $w.runtimeClassName }}
  runtimeClassName: {{ . }}
  {{- end }}
  {{- with $w.schedulerName }}
  schedulerName: {{ . }}
  {{- end }}
  {{- $nodeSelector := merge dict (ternary $w.spot.nodeSelector dict $w.spot.enabled) $w.nodeSelector }}
  {{- with $nodeSelector }}
  nodeSelector: {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $w.affinity }}
  affinity: {{- toYaml . | nindent 4 }}
  {{- end }}
  topologySpreadConstraints:
  {{- if $w.topologySpreadConstraints }}
  {{- toYaml $w.topologySpreadConstraints | nindent 2 }}
  {{- else }}
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "rondo.selector" (list . "worker") | nindent 8 }}
  {{- end }}
  tolerations:
  - {key: node.kubernetes.io/unreachable, operator: Exists, effect: NoExecute, tolerationSeconds: 30}
  - {key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: 30}
  {{- if and (gt (int $w.gpusPerPod) 0) $w.gpuResource }}
  - {key: {{ regexReplaceAll "/mig-.*$" $w.gpuResource "/gpu" }}, operator: Exists, effect: NoSchedule}
  {{- end }}
  {{- if $w.spot.enabled }}{{ with $w.spot.tolerations }}{{ toYaml . | nindent 2 }}{{ end }}{{ end }}
  {{- with $w.tolerations }}{{ toYaml . | nindent 2 }}{{ end }}
  containers:
  {{- $perPod := include "rondo.workersPerPod" . | int }}
  {{- range $index := until $perPod }}
  - {{- include "rondo.workerContainer" (list $ $index $perPod) | nindent 4 }}
  {{- end }}
  volumes:
  - name: ca
    # Not optional, and without the key for now: the pod waits until the coordinator has written it.
    configMap: {name: {{ .Release.Name }}-ca, items: [{key: ca.crt, path: ca.crt}]}
  {{- include "rondo.tokenVolume" . | nindent 2 }}
  - name: shm
    emptyDir: {medium: Memory, sizeLimit: {{ include "rondo.shmSize" . }}}
  - name: tmp
    emptyDir: {sizeLimit: 2Gi}
  - name: cache
    {{- if $w.cache.storageClass }}
    ephemeral:
      volumeClaimTemplate:
        spec:
          accessModes: [ReadWriteOnce]
          storageClassName: {{ $w.cache.storageClass }}
          resources: {requests: {storage: {{ $w.cache.size }}}}
    {{- else }}
    emptyDir: {sizeLimit: {{ $w.cache.size }}}
    {{- end }}
  {{- if and .Values.data.claim .Values.data.inWorkers }}
  - name: data
    persistentVolumeClaim: {claimName: {{ .Values.data.claim }}, readOnly: true}
  {{- end }}
  {{- with $w.extraVolumes }}{{ toYaml . | nindent 2 }}{{ end }}
{{- end }}

{{- /* One worker of a pod: (list $ index workersPerPod). */ -}}
{{- define "rondo.workerContainer" -}}
{{- $ := index . 0 -}}
{{- $index := index . 1 -}}
{{- $perPod := index . 2 -}}
{{- $w := $.Values.worker -}}
{{- $port := add 8080 $index -}}
name: {{ ternary "worker" (printf "worker-%d" $index) (eq $perPod 1) }}
image: {{ include "rondo.image" (list $ $.Values.image.worker) }}
imagePullPolicy: {{ $.Values.image.worker.pullPolicy }}
args:
- worker
- join
- --coordinator={{ include "rondo.coordinatorHost" $ }}:7070
- --ca-file=/var/run/rondo/ca/ca.crt
- --token-file=/var/run/rondo/token/token
- --wait=600
- --id=$(POD_NAME){{ if gt $perPod 1 }}-{{ $index }}{{ end }}
- --health=0.0.0.0:{{ $port }}
- --cache-mib={{ $w.cacheMib }}
env:
- {name: RONDO_CACHE, value: /var/cache/rondo}
- {name: RONDO_LOG, value: {{ $.Values.logLevel }}}
- {name: POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
# The ring passes each node's and each zone's border once.
- {name: RONDO_HOST, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
- {name: RONDO_ZONE, valueFrom: {fieldRef: {fieldPath: "metadata.labels['topology.kubernetes.io/zone']"}}}
{{- with $w.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- with $.Values.data.credentialsSecret }}
envFrom:
- secretRef: {name: {{ . }}}
{{- end }}
ports:
- {name: {{ ternary "health" (printf "health-%d" $index) (eq $perPod 1) }}, containerPort: {{ $port }}}
startupProbe:
  httpGet: {path: /healthz, port: {{ $port }}}
  periodSeconds: 2
  failureThreshold: 300
readinessProbe:
  httpGet: {path: /readyz, port: {{ $port }}}
  periodSeconds: 5
  timeoutSeconds: 5
livenessProbe:
  httpGet: {path: /healthz, port: {{ $port }}}
  periodSeconds: 10
  timeoutSeconds: 10
  failureThreshold: 6
{{- if and (ne $w.kind "StatefulSet") (semverCompare ">=1.35.0-0" $.Capabilities.KubeVersion.Version) }}
# A worker that fails is started again in its pod: at once, beside others, and its decoded images are still there; but
# not where that cannot help. Older versions replace the pod.
restartPolicy: Never
restartPolicyRules:
- {action: Restart, exitCodes: {operator: NotIn, values: [0, 2, 4]}}
{{- end }}
terminationMessagePolicy: FallbackToLogsOnError
securityContext: {{- include "rondo.containerSecurity" $ | nindent 2 }}
{{- $resources := deepCopy $w.resources }}
{{- if and (gt (int $w.gpusPerPod) 0) $w.gpuResource }}
{{- $_ := set $resources "limits" (merge (dict $w.gpuResource 1) (default dict $resources.limits)) }}
{{- end }}
resources: {{- toYaml $resources | nindent 2 }}
volumeMounts:
- {name: ca, mountPath: /var/run/rondo/ca, readOnly: true}
- {name: token, mountPath: /var/run/rondo/token, readOnly: true}
- {name: shm, mountPath: /dev/shm}
- {name: tmp, mountPath: /tmp}
- {name: cache, mountPath: /var/cache/rondo}
{{- if and $.Values.data.claim $.Values.data.inWorkers }}
- {name: data, mountPath: {{ $.Values.data.mountPath }}, readOnly: true}
{{- end }}
{{- with $w.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}
