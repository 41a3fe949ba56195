// Server-side apply: who owns which fields, conflicts, what an apply takes away.
package clientgo

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	applymetav1 "k8s.io/client-go/applyconfigurations/meta/v1"
)

// applied is a Secret as someone applies it, with keys and values in turn.
func (w *world) applied(name string, data ...string) *applycorev1.SecretApplyConfiguration {
	secret := applycorev1.Secret(name, w.namespace)
	for at := 0; at+1 < len(data); at += 2 {
		secret.WithData(map[string][]byte{data[at]: []byte(data[at+1])})
	}
	return secret
}

func (w *world) apply(manager string, secret *applycorev1.SecretApplyConfiguration) (*corev1.Secret, error) {
	return w.secrets.Apply(w.ctx, secret, metav1.ApplyOptions{FieldManager: manager})
}

func (w *world) mustApply(t *testing.T, manager string, secret *applycorev1.SecretApplyConfiguration) *corev1.Secret {
	t.Helper()
	applied, err := w.apply(manager, secret)
	must(t, err)
	return applied
}

// managers are the entries of the managed fields, each as `MANAGER OPERATION FIELDS`.
func managers(object metav1.Object) []string {
	managers := []string{}
	for _, entry := range object.GetManagedFields() {
		subresource := ""
		if entry.Subresource != "" {
			subresource = "/" + entry.Subresource
		}
		managers = append(managers, fmt.Sprintf("%s%s %s %s", entry.Manager, subresource, entry.Operation, entry.FieldsV1.GetRawBytes()))
	}
	return managers
}

func values(secret *corev1.Secret) map[string]string {
	values := map[string]string{}
	for key, value := range secret.Data {
		values[key] = string(value)
	}
	return values
}

func TestAnApplyCreatesAndTheSameAgainChangesNothing(t *testing.T) {
	w := start(t)
	first := w.mustApply(t, "one", w.applied("s", "a", "1"))
	equal(t, managers(first), []string{`one Apply {"f:data":{"f:a":{}}}`})
	again := w.mustApply(t, "one", w.applied("s", "a", "1"))
	equal(t, again, first)
}

func TestAFieldOfAnotherManagerIsAConflictUntilForced(t *testing.T) {
	w := start(t)
	w.mustApply(t, "one", w.applied("s", "a", "1", "b", "1"))
	_, err := w.apply("two", w.applied("s", "a", "2"))
	refused(t, err, "409 Conflict", `Apply failed with 1 conflict: conflict with "one": .data.a`,
		`FieldManagerConflict .data.a: conflict with "one"`)
	_, err = w.apply("two", w.applied("s", "a", "2", "b", "2"))
	refused(t, err, "409 Conflict", "Apply failed with 2 conflicts: conflicts with \"one\":\n- .data.a\n- .data.b",
		`FieldManagerConflict .data.a: conflict with "one"`, `FieldManagerConflict .data.b: conflict with "one"`)
	equal(t, values(w.read(t, "s")), map[string]string{"a": "1", "b": "1"})

	forced, err := w.secrets.Apply(w.ctx, w.applied("s", "a", "2"), metav1.ApplyOptions{FieldManager: "two", Force: true})
	must(t, err)
	equal(t, values(forced), map[string]string{"a": "2", "b": "1"})
	equal(t, managers(forced), []string{`one Apply {"f:data":{"f:b":{}}}`, `two Apply {"f:data":{"f:a":{}}}`})
	_, err = w.apply("one", w.applied("s", "a", "1", "b", "1"))
	refused(t, err, "409 Conflict", `Apply failed with 1 conflict: conflict with "two": .data.a`,
		`FieldManagerConflict .data.a: conflict with "two"`)
}

func TestAFieldWrittenByAnUpdateIsAConflictToo(t *testing.T) {
	w := start(t)
	w.secret(t, named("s"))
	_, err := w.apply("one", w.applied("s", "key", "two"))
	refused(t, err, "409 Conflict", `Apply failed with 1 conflict: conflict with "client-go" using v1: .data.key`,
		`FieldManagerConflict .data.key: conflict with "client-go" using v1`)
	_, err = w.merge("s", `{"data":{"other":"b25l"}}`)
	must(t, err)
	// The same value is shared.
	shared := w.mustApply(t, "one", w.applied("s", "key", "one"))
	equal(t, managers(shared), []string{
		`one Apply {"f:data":{"f:key":{}}}`,
		`client-go Update {"f:data":{".":{},"f:key":{},"f:other":{}},"f:type":{}}`,
	})
}

func TestWhatAnApplyDropsGoesUnlessSomebodyElseHasItToo(t *testing.T) {
	w := start(t)
	w.mustApply(t, "one", w.applied("s", "mine", "1", "ours", "1"))
	shared := w.mustApply(t, "two", w.applied("s", "ours", "1"))
	// Whoever changed nothing has no time, and so comes first.
	equal(t, managers(shared), []string{`two Apply {"f:data":{"f:ours":{}}}`, `one Apply {"f:data":{"f:mine":{},"f:ours":{}}}`})
	// Who shares a field can't change it alone.
	_, err := w.apply("two", w.applied("s", "ours", "2"))
	refused(t, err, "409 Conflict", `Apply failed with 1 conflict: conflict with "one": .data.ours`,
		`FieldManagerConflict .data.ours: conflict with "one"`)
	dropped := w.mustApply(t, "one", w.applied("s"))
	equal(t, values(dropped), map[string]string{"ours": "1"})
	equal(t, managers(dropped), []string{`two Apply {"f:data":{"f:ours":{}}}`})
	changed := w.mustApply(t, "two", w.applied("s", "ours", "2"))
	equal(t, values(changed), map[string]string{"ours": "2"})
	equal(t, values(w.mustApply(t, "two", w.applied("s"))), map[string]string{})
}

func TestListsInTheMetadataAreAppliedByTheirKeys(t *testing.T) {
	w := start(t)
	owner := func(name string, uid types.UID) *applymetav1.OwnerReferenceApplyConfiguration {
		return applymetav1.OwnerReference().WithAPIVersion("example.com/v1").WithKind("Nothing").WithName(name).WithUID(uid)
	}
	const other types.UID = "00000000-0000-4000-8000-000000000001"
	w.mustApply(t, "one", w.applied("s").WithFinalizers("example.com/one").WithOwnerReferences(owner("a", nobody)).
		WithLabels(map[string]string{"one": "1"}).WithAnnotations(map[string]string{"note": "1"}))
	both := w.mustApply(t, "two", w.applied("s").WithFinalizers("example.com/two").WithOwnerReferences(owner("b", other)).
		WithLabels(map[string]string{"two": "2"}))
	equal(t, both.Finalizers, []string{"example.com/one", "example.com/two"})
	equal(t, []string{both.OwnerReferences[0].Name, both.OwnerReferences[1].Name}, []string{"a", "b"})
	equal(t, managers(both), []string{
		`one Apply {"f:metadata":{"f:annotations":{"f:note":{}},"f:finalizers":{"v:\"example.com/one\"":{}},"f:labels":{"f:one":{}},"f:ownerReferences":{"k:{\"uid\":\"00000000-0000-4000-8000-000000000000\"}":{}}}}`,
		`two Apply {"f:metadata":{"f:finalizers":{"v:\"example.com/two\"":{}},"f:labels":{"f:two":{}},"f:ownerReferences":{"k:{\"uid\":\"00000000-0000-4000-8000-000000000001\"}":{}}}}`,
	})
	left := w.mustApply(t, "one", w.applied("s"))
	equal(t, left.Finalizers, []string{"example.com/two"})
	equal(t, len(left.OwnerReferences), 1)
	equal(t, left.Labels, map[string]string{"two": "2"})
	_, err := w.merge("s", `{"metadata":{"finalizers":null}}`)
	must(t, err)
}

func TestAnApplyHeedsAResourceVersionAndAUid(t *testing.T) {
	w := start(t)
	first := w.mustApply(t, "one", w.applied("s", "a", "1"))
	second := w.mustApply(t, "one", w.applied("s", "a", "2").WithResourceVersion(first.ResourceVersion).WithUID(first.UID))
	const modified = `Operation cannot be fulfilled on secrets "s": the object has been modified; please apply your changes to the latest version and try again`
	_, err := w.apply("one", w.applied("s", "a", "3").WithResourceVersion(first.ResourceVersion))
	refused(t, err, "409 Conflict secrets/s", modified)
	// Forcing takes fields, not the right to overwrite what wasn't seen.
	forced := metav1.ApplyOptions{FieldManager: "two", Force: true}
	_, err = w.secrets.Apply(w.ctx, w.applied("s", "a", "3").WithResourceVersion(first.ResourceVersion), forced)
	refused(t, err, "409 Conflict secrets/s", modified)
	_, err = w.apply("one", w.applied("s", "a", "3").WithUID(nobody))
	const immutable = `metadata.uid: Invalid value: "00000000-0000-4000-8000-000000000000": field is immutable`
	refused(t, err, "422 Invalid Secret/s", `Secret "s" is invalid: `+immutable, "FieldValueInvalid "+immutable)
	equal(t, w.read(t, "s"), second)

	_, err = w.apply("one", w.applied("absent", "a", "1").WithUID(nobody))
	refused(t, err, "409 Conflict secrets/absent", fmt.Sprintf(`Operation cannot be fulfilled on secrets "absent": uid mismatch: the provided object specified uid %s, and no existing object was found`, nobody))
	// A revision alone doesn't keep an apply from creating: whoever means an object that is there says its uid.
	w.mustApply(t, "one", w.applied("absent", "a", "1").WithResourceVersion(second.ResourceVersion))
}

func TestAnApplyOfDryRunShowsWhatItWouldDo(t *testing.T) {
	w := start(t)
	first := w.mustApply(t, "one", w.applied("s", "a", "1"))
	dry := metav1.ApplyOptions{FieldManager: "two", Force: true, DryRun: []string{metav1.DryRunAll}}
	shown, err := w.secrets.Apply(w.ctx, w.applied("s", "a", "2"), dry)
	must(t, err)
	equal(t, values(shown), map[string]string{"a": "2"})
	equal(t, managers(shown), []string{`two Apply {"f:data":{"f:a":{}}}`})
	equal(t, w.read(t, "s"), first)
	shown, err = w.secrets.Apply(w.ctx, w.applied("new", "a", "2"), dry)
	must(t, err)
	equal(t, values(shown), map[string]string{"a": "2"})
	if !w.isGone(t, "new") {
		t.Fatal("a dry run has created it")
	}
}

func TestAnApplyNeedsAManagerAndAnotherPatchNoForce(t *testing.T) {
	w := start(t)
	w.secret(t, named("s"))
	body := []byte(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"}}`)
	_, err := w.secrets.Patch(w.ctx, "s", types.ApplyPatchType, body, metav1.PatchOptions{})
	refused(t, err, "422 Invalid PatchOptions.meta.k8s.io/", `PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch`,
		"FieldValueRequired fieldManager: Required value: is required for apply patch")
	force := true
	_, err = w.secrets.Patch(w.ctx, "s", types.MergePatchType, []byte(`{}`), metav1.PatchOptions{Force: &force})
	refused(t, err, "422 Invalid PatchOptions.meta.k8s.io/", `PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch`,
		"FieldValueForbidden force: Forbidden: may not be specified for non-apply patch")
	body = []byte(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"other"}}`)
	_, err = w.secrets.Patch(w.ctx, "s", types.ApplyPatchType, body, metav1.PatchOptions{FieldManager: "one"})
	refused(t, err, "400 BadRequest", "the name of the object (other) does not match the name on the URL (s)")
}
