// The managed fields, edited by hand: taken over, forgotten, brought from client-side to server-side apply.
package clientgo

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/util/csaupgrade"
)

func (w *world) patch(t *testing.T, name string, kind types.PatchType, patch string) *corev1.Secret {
	t.Helper()
	patched, err := w.secrets.Patch(w.ctx, name, kind, []byte(patch), metav1.PatchOptions{})
	must(t, err)
	return patched
}

func TestAnEmptyEntryOrAnEmptyListForgetsTheManagers(t *testing.T) {
	w := start(t)
	for _, reset := range []string{`[{}]`, `[]`} {
		w.mustApply(t, "one", w.applied("s", "a", "1"))
		forgotten := w.patch(t, "s", types.MergePatchType, `{"metadata":{"managedFields":`+reset+`}}`)
		equal(t, managers(forgotten), []string{})
		// Until the next apply nobody is noted, then everything counts as written before it.
		changed := w.patch(t, "s", types.MergePatchType, `{"data":{"b":"MQ=="}}`)
		equal(t, managers(changed), []string{})
		_, err := w.apply("one", w.applied("s", "a", "2"))
		refused(t, err, "409 Conflict", `Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.a`,
			`FieldManagerConflict .data.a: conflict with "before-first-apply" using v1`)
		applied := w.mustApply(t, "one", w.applied("s", "a", "1"))
		equal(t, managers(applied), []string{
			`one Apply {"f:data":{"f:a":{}}}`,
			`before-first-apply Update {"f:data":{".":{},"f:a":{},"f:b":{}},"f:type":{}}`,
		})
		must(t, w.secrets.Delete(w.ctx, "s", metav1.DeleteOptions{}))
	}
}

func TestAnUpdateForgetsTheManagersToo(t *testing.T) {
	w := start(t)
	applied := w.mustApply(t, "one", w.applied("s", "a", "1"))
	applied.ManagedFields = []metav1.ManagedFieldsEntry{{}}
	applied.Data["b"] = []byte("1")
	updated, err := w.secrets.Update(w.ctx, applied, metav1.UpdateOptions{})
	must(t, err)
	equal(t, managers(updated), []string{})
	// What isn't sent stays as it is.
	w.mustApply(t, "one", w.applied("t", "a", "1"))
	read := w.read(t, "t")
	read.ManagedFields = nil
	kept, err := w.secrets.Update(w.ctx, read, metav1.UpdateOptions{})
	must(t, err)
	equal(t, managers(kept), []string{`one Apply {"f:data":{"f:a":{}}}`})
}

func TestAnEntryIsTakenOutByAPatchThatTestsTheRevision(t *testing.T) {
	w := start(t)
	w.mustApply(t, "one", w.applied("s", "a", "1"))
	both := w.mustApply(t, "two", w.applied("s", "a", "1", "b", "1"))
	test := `[{"op":"replace","path":"/metadata/resourceVersion","value":"` + both.ResourceVersion + `"},{"op":"remove","path":"/metadata/managedFields/0"}]`
	left := w.patch(t, "s", types.JSONPatchType, test)
	equal(t, managers(left), []string{`two Apply {"f:data":{"f:a":{},"f:b":{}}}`})
	equal(t, values(left), map[string]string{"a": "1", "b": "1"})
	_, err := w.secrets.Patch(w.ctx, "s", types.JSONPatchType, []byte(test), metav1.PatchOptions{})
	refused(t, err, "409 Conflict secrets/s", `Operation cannot be fulfilled on secrets "s": the object has been modified; please apply your changes to the latest version and try again`)
	// The one that was taken out has lost its say.
	changed := w.mustApply(t, "two", w.applied("s", "a", "2"))
	equal(t, values(changed), map[string]string{"a": "2"})
}

func TestAnEntryIsRenamedToAnotherManager(t *testing.T) {
	w := start(t)
	applied := w.mustApply(t, "old", w.applied("s", "a", "1", "b", "1"))
	applied.ManagedFields[0].Manager = "new"
	patch := text(t, map[string]any{"metadata": map[string]any{
		"managedFields": applied.ManagedFields, "resourceVersion": applied.ResourceVersion,
	}})
	renamed := w.patch(t, "s", types.MergePatchType, patch)
	equal(t, managers(renamed), []string{`new Apply {"f:data":{"f:a":{},"f:b":{}}}`})
	// What the new one doesn't apply goes.
	equal(t, values(w.mustApply(t, "new", w.applied("s", "a", "2"))), map[string]string{"a": "2"})
	equal(t, managers(w.read(t, "s")), []string{`new Apply {"f:data":{"f:a":{}}}`})
}

func TestAChangeBesideTheManagedFieldsIsNotedOnTopOfThem(t *testing.T) {
	w := start(t)
	applied := w.mustApply(t, "old", w.applied("s", "a", "1", "c", "1"))
	applied.ManagedFields[0].Manager = "new"
	applied.Data["a"], applied.Data["b"] = []byte("2"), []byte("1")
	updated, err := w.secrets.Update(w.ctx, applied, metav1.UpdateOptions{FieldManager: "hand"})
	must(t, err)
	equal(t, managers(updated), []string{`new Apply {"f:data":{"f:c":{}}}`, `hand Update {"f:data":{"f:a":{},"f:b":{}}}`})
}

func TestFieldsOfClientSideAppliesBecomeThoseOfServerSideApplies(t *testing.T) {
	w := start(t)
	secret := named("s")
	created, err := w.secrets.Create(w.ctx, secret, metav1.CreateOptions{FieldManager: "kubectl-client-side-apply"})
	must(t, err)
	patch, err := csaupgrade.UpgradeManagedFieldsPatch(created, sets.New("kubectl-client-side-apply"), "kubectl")
	must(t, err)
	upgraded := w.patch(t, "s", types.JSONPatchType, string(patch))
	equal(t, managers(upgraded), []string{`kubectl Apply {"f:data":{".":{},"f:key":{}},"f:type":{}}`})
	equal(t, values(w.mustApply(t, "kubectl", w.applied("s", "other", "1"))), map[string]string{"other": "1"})
}

func TestManagedFieldsThatMeanNothingArePassedOverAndMustNotBeApplied(t *testing.T) {
	w := start(t)
	w.mustApply(t, "one", w.applied("s", "a", "1"))
	for _, entry := range []string{
		`{"operation":"Apply","fieldsType":"FieldsV1","apiVersion":"v1","fieldsV1":"x"}`,
		`{"operation":"Guess","fieldsType":"FieldsV1","apiVersion":"v1","fieldsV1":{}}`,
		`{"operation":"Apply","fieldsType":"FieldsV9","apiVersion":"v1","fieldsV1":{}}`,
	} {
		kept := w.patch(t, "s", types.MergePatchType, `{"metadata":{"managedFields":[`+entry+`]}}`)
		equal(t, managers(kept), []string{`one Apply {"f:data":{"f:a":{}}}`})
	}
	body := []byte(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s","managedFields":[{}]}}`)
	_, err := w.secrets.Patch(w.ctx, "s", types.ApplyPatchType, body, metav1.PatchOptions{FieldManager: "one"})
	refused(t, err, "400 BadRequest", "metadata.managedFields must be nil")
}

func TestAManagersNameHasItsLimits(t *testing.T) {
	w := start(t)
	_, err := w.secrets.Create(w.ctx, named("s"), metav1.CreateOptions{FieldManager: strings.Repeat("m", 129)})
	refused(t, err, "422 Invalid CreateOptions.meta.k8s.io/", `CreateOptions.meta.k8s.io "" is invalid: fieldManager: Too long: may not be more than 128 bytes`,
		"FieldValueTooLong fieldManager: Too long: may not be more than 128 bytes")
}
