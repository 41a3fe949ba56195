// Create, update and patch: optimistic concurrency, what can't be changed, patches that don't fit.
package clientgo

import (
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
)

const modified = `Operation cannot be fulfilled on secrets "s": the object has been modified; please apply your changes to the latest version and try again`

func TestAnUpdateOfWhatWasNotSeenIsAConflict(t *testing.T) {
	w := start(t)
	first := w.secret(t, named("s"))
	second := first.DeepCopy()
	second.Data["key"] = []byte("two")
	second, err := w.secrets.Update(w.ctx, second, metav1.UpdateOptions{})
	must(t, err)
	_, err = w.secrets.Update(w.ctx, first, metav1.UpdateOptions{})
	refused(t, err, "409 Conflict secrets/s", modified)
	_, err = w.merge("s", fmt.Sprintf(`{"metadata":{"resourceVersion":%q}}`, first.ResourceVersion))
	refused(t, err, "409 Conflict secrets/s", modified)
	equal(t, w.read(t, "s"), second)
	// What changes nothing is no change.
	same, err := w.secrets.Update(w.ctx, second, metav1.UpdateOptions{})
	must(t, err)
	equal(t, same, second)
	first.ResourceVersion = ""
	_, err = w.secrets.Update(w.ctx, first, metav1.UpdateOptions{})
	must(t, err)
}

func TestNoChangeIsLostWhereManyTryAgain(t *testing.T) {
	w := start(t)
	secret := named("s")
	secret.Annotations = map[string]string{"count": "0"}
	w.secret(t, secret)
	var all sync.WaitGroup
	failed := make(chan error, 8)
	backoff := retry.DefaultRetry
	backoff.Steps = 100
	for range 8 {
		all.Go(func() {
			failed <- retry.RetryOnConflict(backoff, func() error {
				secret, err := w.secrets.Get(w.ctx, "s", metav1.GetOptions{})
				if err != nil {
					return err
				}
				count, err := strconv.Atoi(secret.Annotations["count"])
				if err != nil {
					return err
				}
				secret.Annotations["count"] = strconv.Itoa(count + 1)
				_, err = w.secrets.Update(w.ctx, secret, metav1.UpdateOptions{})
				return err
			})
		})
	}
	all.Wait()
	close(failed)
	for err := range failed {
		must(t, err)
	}
	equal(t, w.read(t, "s").Annotations["count"], "8")
}

func TestAnIdentityIsNeverChanged(t *testing.T) {
	w := start(t)
	before := w.secret(t, named("s"))
	changed := before.DeepCopy()
	changed.UID = nobody
	_, err := w.secrets.Update(w.ctx, changed, metav1.UpdateOptions{})
	refused(t, err, "409 Conflict secrets/s", fmt.Sprintf(`Operation cannot be fulfilled on secrets "s": …Precondition failed: UID in precondition: %s, UID in object meta: %s`, nobody, before.UID))
	_, err = w.merge("s", fmt.Sprintf(`{"metadata":{"uid":%q}}`, nobody))
	const immutable = `metadata.uid: Invalid value: "00000000-0000-4000-8000-000000000000": field is immutable`
	refused(t, err, "422 Invalid Secret/s", `Secret "s" is invalid: `+immutable, "FieldValueInvalid "+immutable)
	_, err = w.merge("s", `{"metadata":{"name":"other"}}`)
	refused(t, err, "400 BadRequest", "the name of the object (other) does not match the name on the URL (s)")
	_, err = w.merge("s", `{"metadata":{"namespace":"other"}}`)
	refused(t, err, "400 BadRequest", "the namespace of the provided object does not match the namespace sent on the request")
	changed = before.DeepCopy()
	changed.CreationTimestamp = metav1.NewTime(time.Unix(1_000_000_000, 0))
	kept, err := w.secrets.Update(w.ctx, changed, metav1.UpdateOptions{})
	must(t, err)
	equal(t, kept, before)
	changed = before.DeepCopy()
	changed.Type = "example.com/other"
	_, err = w.secrets.Update(w.ctx, changed, metav1.UpdateOptions{})
	refused(t, err, "422 Invalid Secret/s", `Secret "s" is invalid: type: Invalid value: "example.com/other": field is immutable`,
		`FieldValueInvalid type: Invalid value: "example.com/other": field is immutable`)
	equal(t, w.read(t, "s"), before)
}

func TestWhatIsThereAlreadyIsNotCreated(t *testing.T) {
	w := start(t)
	w.secret(t, named("s"))
	_, err := w.secrets.Create(w.ctx, named("s"), metav1.CreateOptions{})
	refused(t, err, "409 AlreadyExists secrets/s", `secrets "s" already exists`)
	_, err = w.secrets.Update(w.ctx, named("absent"), metav1.UpdateOptions{})
	refused(t, err, "404 NotFound secrets/absent", `secrets "absent" not found`)
	versioned := named("t")
	versioned.ResourceVersion = "1"
	_, err = w.secrets.Create(w.ctx, versioned, metav1.CreateOptions{})
	refused(t, err, "500 ", "resourceVersion should not be set on objects to be created")
	_, err = w.client.CoreV1().Secrets("nowhere").Create(w.ctx, named("s"), metav1.CreateOptions{})
	refused(t, err, "404 NotFound namespaces/nowhere", `namespaces "nowhere" not found`)
	dry, err := w.secrets.Create(w.ctx, named("u"), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	must(t, err)
	equal(t, dry.ResourceVersion, "")
	if !w.isGone(t, "u") {
		t.Fatal("a dry run has created it")
	}
}

func TestNamesLabelsAndKeysFollowTheirRules(t *testing.T) {
	w := start(t)
	_, err := w.secrets.Create(w.ctx, named("Big"), metav1.CreateOptions{})
	const subdomain = `a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')`
	refused(t, err, "422 Invalid Secret/Big", `Secret "Big" is invalid: metadata.name: Invalid value: "Big": `+subdomain, `FieldValueInvalid metadata.name: Invalid value: "Big": `+subdomain)
	labelled := named("s", "a", "b c")
	labelled.Data["b c"] = nil
	_, err = w.secrets.Create(w.ctx, labelled, metav1.CreateOptions{})
	const label = `metadata.labels: Invalid value: "b c": a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')`
	const key = `data[b c]: Invalid value: "b c": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')`
	refused(t, err, "422 Invalid Secret/s", `Secret "s" is invalid: [`+label+", "+key+"]", "FieldValueInvalid "+label, "FieldValueInvalid "+key)
}

func TestAPatchThatDoesNotFitIsRefused(t *testing.T) {
	w := start(t)
	before := w.secret(t, named("s", "app", "x"))
	const unprocessable, bad = "422 Invalid", "400 BadRequest"
	const rejected = "the server rejected our request due to an error in our request"
	for _, one := range []struct {
		kind                 types.PatchType
		patch, what, message string
	}{
		{types.JSONPatchType, `[{"op":"test","path":"/metadata/labels/app","value":"y"}]`, unprocessable, rejected},
		{types.JSONPatchType, `[{"op":"remove","path":"/metadata/labels/none"}]`, unprocessable, rejected},
		{types.JSONPatchType, `[{"op":"add","path":"/spec/none","value":"b25l"}]`, unprocessable, rejected},
		{types.JSONPatchType, `[{"op":"juggle","path":"/data"}]`, unprocessable, rejected},
		{types.JSONPatchType, `{"op":"remove"}`, bad, "error decoding patch: json: cannot unmarshal object into Go value of type …"},
		{types.MergePatchType, `[]`, bad, "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}"},
		{types.MergePatchType, `{`, bad, "error decoding patch: …"},
		{types.StrategicMergePatchType, `[]`, bad, "json: cannot unmarshal array into Go value of type map[string]interface {}"},
		{types.MergePatchType, `{"data":{"key":5}}`, unprocessable, `json: cannot unmarshal …into Go struct field Secret.data of type []uint8`},
		{types.MergePatchType, `{"data":{"key":"?"}}`, unprocessable, "illegal base64 data at input byte 0"},
		{types.MergePatchType, `{"kind":"ConfigMap"}`, unprocessable, "converting (…): unknown conversion"},
		{"application/magic", `{}`, "415 UnsupportedMediaType", "…"},
	} {
		_, err := w.secrets.Patch(w.ctx, "s", one.kind, []byte(one.patch), metav1.PatchOptions{})
		t.Run(one.patch, func(t *testing.T) {
			if one.what == unprocessable && one.message != rejected {
				// Here the real one quotes the whole object.
				at := ` "" is invalid: patch: Invalid value: `
				refused(t, err, one.what, at+"…"+one.message, "FieldValueInvalid patch: Invalid value: …"+one.message)
				return
			}
			refused(t, err, one.what, one.message)
		})
	}
	equal(t, w.read(t, "s"), before)
}

func TestOptionsOfWritesThatMeanNothingAreRefused(t *testing.T) {
	w := start(t)
	secret := w.secret(t, named("s"))
	_, err := w.secrets.Create(w.ctx, named("t"), metav1.CreateOptions{DryRun: []string{"Some"}})
	const dry = `dryRun: Unsupported value: ["Some"]: supported values: "All"`
	refused(t, err, "422 Invalid CreateOptions.meta.k8s.io/", `CreateOptions.meta.k8s.io "" is invalid: `+dry, "FieldValueNotSupported "+dry)
	_, err = w.secrets.Create(w.ctx, named("t"), metav1.CreateOptions{FieldValidation: "Maybe"})
	const maybe = `fieldValidation: Unsupported value: "Maybe": supported values: "", "Ignore", "Strict", "Warn"`
	refused(t, err, "422 Invalid CreateOptions.meta.k8s.io/", `CreateOptions.meta.k8s.io "" is invalid: `+maybe, "FieldValueNotSupported "+maybe)
	_, err = w.secrets.Update(w.ctx, secret, metav1.UpdateOptions{FieldManager: "\n"})
	const printable = `fieldManager: Invalid value: "\n": invalid character U+000A (at position 0)`
	refused(t, err, "422 Invalid UpdateOptions.meta.k8s.io/", `UpdateOptions.meta.k8s.io "" is invalid: `+printable, "FieldValueInvalid "+printable)
}
