{{- /* What a Job and a JobSet's Job have in common. */ -}}
{{- define "rondo.jobSpec" -}}
# Indexed, so that it is elastic: completions and parallelism change together, at any time.
completionMode: Indexed
completions: {{ include "rondo.pods" . }}
parallelism: {{ include "rondo.pods" . }}
backoffLimit: {{ int .Values.job.backoffLimit }}
# Each pod waits for its replacement by what became of it alone: 10, 20, 40 s … 10 min. Without this each loss makes the
# next pod wait longer, whichever it is, and the wait begins anew with the next loss: a large run would only shrink.
backoffLimitPerIndex: {{ int .Values.job.backoffLimit }}
{{- with int .Values.job.activeDeadlineSeconds }}
activeDeadlineSeconds: {{ . }}
{{- end }}
# Workers end with 0 when the run is over, and only then: the first one says so for all.
successPolicy:
  rules: [{succeededCount: 1}]
podReplacementPolicy: Failed
podFailurePolicy:
  rules:
  # Evicted, preempted or drained: no fault.
  - action: Ignore
    onPodConditions: [{type: DisruptionTarget}]
  # Wrong configuration (2) or a refused credential (4): the next pod would end alike.
  - action: FailJob
    onExitCodes: {operator: In, values: [2, 4]}
template: {{- include "rondo.workerPod" . | nindent 2 }}
{{- end }}
