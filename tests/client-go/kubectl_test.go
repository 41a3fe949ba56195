// kubectl, word for word, where this machine has one. Its everyday commands on the double stand in crates/doubles/kubernetes/src/tests/kubectl.rs
// (apply, get, describe, label, create, wait, watch, explain); here stands what a double could easily get wrong and a real one can't.
package clientgo

import (
	"errors"
	"os/exec"
	"strings"
	"testing"
)

const manifest = `
apiVersion: v1
kind: Secret
metadata: {name: s, labels: {app: x}}
data: {key: b25l}
`

// kubectl runs one command, given as its words; what it prints, and its exit code.
func (w *world) kubectl(t *testing.T, input string, words ...string) (string, int) {
	t.Helper()
	if _, err := exec.LookPath("kubectl"); err != nil {
		t.Skip("SKIPPED: there is no kubectl on this machine")
	}
	words = append([]string{"--kubeconfig", w.kubeconfig, "--namespace", w.namespace, "--cache-dir", t.TempDir()}, words...)
	command := exec.CommandContext(w.ctx, "kubectl", words...)
	command.Stdin = strings.NewReader(input)
	printed, err := command.CombinedOutput()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		t.Fatal(err)
	}
	return string(printed), command.ProcessState.ExitCode()
}

// says checks what a command prints, `…` standing for any text, and that it succeeds.
func (w *world) says(t *testing.T, wanted, input string, words ...string) {
	t.Helper()
	w.ends(t, 0, wanted, input, words...)
}

func (w *world) ends(t *testing.T, code int, wanted, input string, words ...string) {
	t.Helper()
	printed, exit := w.kubectl(t, input, words...)
	if exit != code || !reads(printed, wanted) {
		t.Fatalf("kubectl %s ended with %d and printed\n%s\nwanted %d and\n%s", strings.Join(words, " "), exit, printed, code, wanted)
	}
}

func TestKubectlAppliesShowsTheDifferenceAndTakesAway(t *testing.T) {
	w := start(t)
	other := strings.ReplaceAll(manifest, "key: b25l", "other: dHdv")
	w.says(t, "secret/s created\n", manifest, "apply", "-f", "-")
	w.says(t, "secret/s unchanged\n", manifest, "apply", "-f", "-")
	w.says(t, "", manifest, "diff", "-f", "-")
	w.ends(t, 1, "…-  key: …+  other: …", other, "diff", "-f", "-")
	w.says(t, "secret/s configured\n", other, "apply", "-f", "-")
	equal(t, values(w.read(t, "s")), map[string]string{"other": "two"})
	w.says(t, "secret/s configured (server dry run)\n", manifest, "apply", "--dry-run=server", "-f", "-")
	equal(t, values(w.read(t, "s")), map[string]string{"other": "two"})
}

func TestKubectlComesFromClientSideToServerSideApply(t *testing.T) {
	w := start(t)
	w.says(t, "secret/s created\n", manifest, "apply", "-f", "-")
	w.says(t, "secret/s serverside-applied\n", manifest, "apply", "--server-side", "-f", "-")
	changed := strings.ReplaceAll(manifest, "b25l", "dHdv")
	w.says(t, "secret/s serverside-applied\n", changed, "apply", "--server-side", "-f", "-")
	w.ends(t, 1, `error: Apply failed with 1 conflict: conflict with "kubectl": .data.key
Please review the fields above--they currently have other managers. …`, manifest, "apply", "--server-side", "--field-manager=other", "-f", "-")
	w.says(t, "secret/s serverside-applied\n", manifest, "apply", "--server-side", "--field-manager=other", "--force-conflicts", "-f", "-")
	w.ends(t, 1, `error: Apply failed with 1 conflict: conflict with "other": .data.key…`, changed, "apply", "--server-side", "-f", "-")
}

func TestKubectlPatchesReplacesAndSelects(t *testing.T) {
	w := start(t)
	w.says(t, "secret/s created\n", manifest, "create", "-f", "-")
	w.ends(t, 1, `Error from server (AlreadyExists): error when creating "STDIN": secrets "s" already exists`+"\n", manifest, "create", "-f", "-")
	w.says(t, "secret/s patched\n", "", "patch", "secret", "s", "--type=json", "-p", `[{"op":"add","path":"/data/more","value":"dHdv"}]`)
	w.says(t, "secret/s patched (no change)\n", "", "patch", "secret", "s", "--type=merge", "-p", `{"data":{"more":"dHdv"}}`)
	w.says(t, "secret/s patched\n", "", "patch", "secret", "s", "-p", `{"data":{"more":null}}`)
	w.ends(t, 1, "The request is invalid: the server rejected our request due to an error in our request\n", "",
		"patch", "secret", "s", "--type=json", "-p", `[{"op":"test","path":"/data/key","value":"no"}]`)
	w.says(t, "secret/s replaced\n", strings.ReplaceAll(manifest, "b25l", "dHdv"), "replace", "-f", "-")
	w.ends(t, 1, `Error from server (NotFound): error when replacing "STDIN": secrets "t" not found`+"\n", strings.ReplaceAll(manifest, "name: s", "name: t"), "replace", "-f", "-")
	w.says(t, "s dHdv\n", "", "get", "secrets", "-l", "app in (x)", "-o", `jsonpath={range .items[*]}{.metadata.name} {.data.key}{"\n"}{end}`)
	w.says(t, "secret/s\n", "", "get", "secrets", "--field-selector", "metadata.name=s", "-o", "name")
	w.says(t, "No resources found in "+w.namespace+" namespace.\n", "", "get", "secrets", "-l", "app=y")
	w.ends(t, 1, "The Secret \"t\" is invalid: metadata.labels: Invalid value: \"-\": …", strings.NewReplacer("name: s", "name: t", "app: x", `app: "-"`).Replace(manifest), "create", "-f", "-")
	w.says(t, "secret \"s\" deleted…\n", "", "delete", "secret", "s")
	w.says(t, "", "", "delete", "secret", "s", "--ignore-not-found")
}

func TestKubectlWaitsInTheForeground(t *testing.T) {
	w := start(t)
	owner := w.secret(t, named("owner"))
	w.owned(t, "owned", ownedBy(owner))
	w.says(t, "secret \"owner\" deleted…\n", "", "delete", "secret", "owner", "--cascade=foreground")
	eventually(t, "what is owned is gone", func() bool { return w.isGone(t, "owned") })
}

func TestKubectlKnowsTheSecretStore(t *testing.T) {
	w := start(t)
	w.define(t, "secretsyncs.yaml")
	w.define(t, "secretproviderclasses.yaml")
	w.says(t, "…secretsyncs …secret-sync.x-k8s.io/v1alpha1 …true …SecretSync\n", "", "api-resources", "--api-group", "secret-sync.x-k8s.io")
	sync := text(t, newSync("s").Object)
	w.says(t, "secretsync.secret-sync.x-k8s.io/s created\n", sync, "apply", "-f", "-")
	w.ends(t, 1, `The SecretSync "s" is invalid: spec.secretObject.labels: Invalid value: Labels should not contain secrets-store.sync.x-k8s.io. This key is reserved for the controller.`+"\n", "",
		"patch", "secretsync", "s", "--type=merge", "-p", `{"spec":{"secretObject":{"labels":{"secrets-store.sync.x-k8s.io":"x"}}}}`)
	w.ends(t, 1, `Error from server (BadRequest): error when creating "STDIN": SecretSync in version "v1alpha1" cannot be handled as a SecretSync: strict decoding error: unknown field "spec.colour"`+"\n",
		strings.NewReplacer(`"name":"s"`, `"name":"t"`, `"spec":{`, `"spec":{"colour":"red",`).Replace(sync), "create", "-f", "-")
	w.says(t, "secretsync.secret-sync.x-k8s.io/s patched\n", "", "patch", "secretsync", "s", "--subresource=status", "--type=merge", "-p", `{"status":{"syncHash":"x"}}`)
	w.says(t, "secretsync.secret-sync.x-k8s.io/s condition met\n", "", "wait", "secretsync/s", "--for=jsonpath={.status.syncHash}=x", "--timeout=10s")
	w.says(t, "…FIELD: targetKey <string>\n…", "", "explain", "secretsync.spec.secretObject.data.targetKey")
}
