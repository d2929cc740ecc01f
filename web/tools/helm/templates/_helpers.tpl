{{- define "vivarium.labels" -}}
app.kubernetes.io/name: vivarium
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "vivarium.selector" -}}
app.kubernetes.io/name: vivarium
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "vivarium.name" -}}
{{ printf "%s-vivarium" .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end }}
