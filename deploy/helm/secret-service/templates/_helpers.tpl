{{- define "secret-service.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-{{ .Chart.Name }}{{ end }}
{{- end }}

{{- define "secret-service.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "secret-service.labels" -}}
{{ include "secret-service.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "secret-service.image" -}}
{{- with .Values.image }}{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}{{ end }}
{{- end }}

{{- /* Cluster-scoped objects carry the namespace in their names: another instance may be in the same cluster. */}}
{{- define "secret-service.cluster-name" -}}
{{ include "secret-service.name" . }}-{{ .Release.Namespace }}
{{- end }}

{{- define "secret-service.has-client-ca" -}}
{{- with .Values.authentication.clientCA }}{{ if or .secret .configMap }}true{{ end }}{{ end }}
{{- end }}

{{- define "secret-service.has-vault-ca" -}}
{{- with .Values.vault.ca }}{{ if or .secret .configMap }}true{{ end }}{{ end }}
{{- end }}

{{- /* Values that are reused from an earlier release may lack all of authentication.oidc. */}}
{{- define "secret-service.has-oidc" -}}
{{- with .Values.authentication.oidc }}{{ if .issuer }}true{{ end }}{{ end }}
{{- end }}

{{- define "secret-service.has-oidc-ca" -}}
{{- if include "secret-service.has-oidc" . }}{{ with .Values.authentication.oidc.ca }}{{ if or .secret .configMap }}true{{ end }}{{ end }}{{ end }}
{{- end }}

{{- /* Values that are reused from an earlier release may lack all of console. */}}
{{- define "secret-service.has-console" -}}
{{- with .Values.console }}{{ if .enabled }}true{{ end }}{{ end }}
{{- end }}

{{- /* Whether the console has an Ingress or a route. */}}
{{- define "secret-service.has-console-entrance" -}}
{{- if include "secret-service.has-console" . }}
{{- with .Values.console.ingress }}{{ if .enabled }}true{{ end }}{{ end }}
{{- with .Values.console.route }}{{ if .enabled }}true{{ end }}{{ end }}
{{- end }}
{{- end }}

{{- /* The origins of the console that have other hosts than the service's address, as a list in JSON. */}}
{{- define "secret-service.console-origins" -}}
{{- $origins := list }}
{{- with .Values.console }}
{{- range .origins }}{{ $origins = append $origins . }}{{ end }}
{{- with .ingress }}{{ if .enabled }}{{ $origins = append $origins (printf "https://%s" .host) }}{{ end }}{{ end }}
{{- with .route }}{{ if .enabled }}{{ range .hostnames }}{{ $origins = append $origins (printf "https://%s" .) }}{{ end }}{{ end }}{{ end }}
{{- end }}
{{- $origins | uniq | toJson }}
{{- end }}

{{- /* Patterns with * and ? as one regular expression. */}}
{{- define "secret-service.regex" -}}
{{- $all := list }}
{{- range . }}{{ $all = append $all (regexQuoteMeta . | replace "\\*" ".*" | replace "\\?" ".") }}{{ end }}
{{- join "|" $all }}
{{- end }}

{{- /* The Secrets that the service is run with, as a list in JSON. */}}
{{- define "secret-service.own-secrets" -}}
{{- $own := list }}
{{- with .Values.tls.secret }}{{ $own = append $own . }}{{ end }}
{{- with .Values.authentication.clientCA.secret }}{{ $own = append $own . }}{{ end }}
{{- with .Values.vault.ca.secret }}{{ $own = append $own . }}{{ end }}
{{- if include "secret-service.has-oidc-ca" . }}{{ with .Values.authentication.oidc.ca.secret }}{{ $own = append $own . }}{{ end }}{{ end }}
{{- range .Values.imagePullSecrets }}{{ with .name }}{{ $own = append $own . }}{{ end }}{{ end }}
{{- $own | toJson }}
{{- end }}

{{- define "secret-service.config" -}}
[vault]
uri = {{ .Values.vault.uri | quote }}
{{- if include "secret-service.has-vault-ca" . }}
ca_file = "/etc/secret-service/vault/ca.crt"
{{- end }}

[credential]
kind = "workload-identity"
{{- with .Values.workloadIdentity.clientId }}
client_id = {{ . | quote }}
{{- end }}
{{- with .Values.workloadIdentity.tenantId }}
tenant_id = {{ . | quote }}
{{- end }}
{{- if ne .Values.cloud.name "public" }}

[cloud]
name = {{ .Values.cloud.name | quote }}
{{- with .Values.cloud.authorityHost }}
authority_host = {{ . | quote }}
{{- end }}
{{- end }}

[kubernetes]
namespace = {{ .Release.Namespace | quote }}
lease = {{ .Values.lease | quote }}

[sync]
engine = {{ .Values.engine | quote }}

[secret_store]
service_account = {{ .Values.secretStore.serviceAccount | quote }}
{{- with .Values.secretStore.clientId }}
client_id = {{ . | quote }}
{{- end }}
{{- with .Values.secretStore.tenantId }}
tenant_id = {{ . | quote }}
{{- end }}
{{- with .Values.secretStore.cloudEnvFile }}
cloud_env_file = {{ . | quote }}
{{- end }}

[synced_secrets]
{{- $reserved := list }}
{{- range include "secret-service.own-secrets" . | fromJsonArray }}
{{- $reserved = append $reserved (printf "%s this service, which is run with it" .) }}
{{- end }}
{{- with .Values.syncedSecrets }}
types = {{ .types | toJson }}
labels = {{ .labels | toJson }}
reserved_names = {{ concat $reserved .reservedNames | toJson }}
free_names = {{ .freeNames | toJson }}
{{- end }}
{{- if or .Values.usages.rules .Values.usages.workloads }}

[usages]
{{- with .Values.usages.rules }}
rules = {{ . | toJson }}
{{- end }}
{{- if .Values.usages.workloads }}
workloads = true
{{- end }}
{{- end }}

[server]
{{- if .Values.tls.secret }}
listen = ["[::]:{{ .Values.service.port }}"]
tls_cert_file = "/etc/secret-service/tls/tls.crt"
tls_key_file = "/etc/secret-service/tls/tls.key"
{{- else }}
listen = ["127.0.0.1:{{ .Values.service.port }}"]
{{- end }}
unix_socket = "/run/secret-service/grpc.sock"
drain = "{{ .Values.drainSeconds }}s"
{{- if .Values.metrics.enabled }}
metrics_listen = "[::]:{{ .Values.metrics.port }}"
{{- end }}
{{- if include "secret-service.has-console" . }}
console = true
allowed_origins = {{ include "secret-service.console-origins" . }}
{{- end }}

[authentication]
tokens = {{ .Values.authentication.tokens }}
audience = {{ .Values.authentication.audience | quote }}
anonymous = {{ .Values.authentication.anonymous }}
{{- if include "secret-service.has-client-ca" . }}
client_ca_file = "/etc/secret-service/clients/ca.crt"
{{- if .Values.authentication.clientCA.revocations }}
client_crl_file = "/etc/secret-service/clients/ca.crl"
{{- end }}
{{- end }}
{{- with .Values.authentication.oidc }}
{{- if .issuer }}

[authentication.oidc]
issuer = {{ .issuer | quote }}
audience = {{ .audience | toJson }}
username_claim = {{ dig "usernameClaim" "sub" . | quote }}
username_prefix = {{ dig "usernamePrefix" "oidc:" . | quote }}
groups_claim = {{ dig "groupsClaim" "groups" . | quote }}
groups_prefix = {{ dig "groupsPrefix" "oidc-group:" . | quote }}
{{- with .requiredClaims }}
required_claims = {{ . | toJson }}
{{- end }}
{{- if include "secret-service.has-oidc-ca" $ }}
ca_file = "/etc/secret-service/oidc/ca.crt"
{{- end }}
{{- if include "secret-service.has-console" $ }}
{{- with .console }}
{{- if .clientId }}

[authentication.oidc.console]
client_id = {{ .clientId | quote }}
{{- with .scopes }}
scopes = {{ . | toJson }}
{{- end }}
{{- with .token }}
token = {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.authorization.rules }}

[authorization]
rules = {{ . | toJson }}
{{- end }}
{{- if .Values.backup.enabled }}

[backup]
directory = {{ ternary "/var/backups/secret-service" "/var/lib/secret-service/backups" (ne .Values.backup.existingClaim "") | quote }}
interval = {{ .Values.backup.interval | quote }}
keep = {{ .Values.backup.keep }}
{{- end }}

[log]
level = {{ .Values.log.level | quote }}
{{- with .Values.config }}

{{ . }}
{{- end }}
{{- end }}
