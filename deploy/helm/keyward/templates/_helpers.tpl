{{- define "keyward.name" -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "keyward.selector" -}}
app.kubernetes.io/name: keyward
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "keyward.labels" -}}
{{ include "keyward.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end -}}

{{- define "keyward.settings" -}}
listen = "0.0.0.0:5000"
data_dir = "/var/lib/keyward"
database_file = "/run/secrets/keyward/database_url"
keys.master_key_file = "/run/secrets/keyward/master_key"
metrics.listen = "0.0.0.0:9464"

{{ .Values.settings }}
{{- end -}}
