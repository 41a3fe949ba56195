// Deletion: preconditions, finalizers, dry runs, whole collections.
package clientgo

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// raw deletes a Secret and shows what the server answers, masked.
func (w *world) raw(ctx context.Context, name string, body string) (string, error) {
	request := w.client.CoreV1().RESTClient().Delete().Namespace(w.namespace).Resource("secrets").Name(name).
		SetHeader("Content-Type", "application/json").SetHeader("Accept", "application/json").Body([]byte(body))
	answer, err := request.DoRaw(ctx)
	return string(answer), err
}

func TestADeletionHeedsItsPreconditions(t *testing.T) {
	w := start(t)
	first := w.secret(t, named("s"))
	second, err := w.merge("s", `{"data":{"key":"dHdv"}}`)
	must(t, err)
	uid := nobody
	err = w.secrets.Delete(w.ctx, "s", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}})
	refused(t, err, "409 Conflict Secret/s", fmt.Sprintf(`Operation cannot be fulfilled on Secret "s": the UID in the precondition (%s) does not match the UID in record (%s). The object might have been deleted and then recreated`, nobody, first.UID))
	old := metav1.Preconditions{UID: &first.UID, ResourceVersion: &first.ResourceVersion}
	err = w.secrets.Delete(w.ctx, "s", metav1.DeleteOptions{Preconditions: &old})
	refused(t, err, "409 Conflict Secret/s", fmt.Sprintf(`Operation cannot be fulfilled on Secret "s": the ResourceVersion in the precondition (%s) does not match the ResourceVersion in record (%s). The object might have been modified`, first.ResourceVersion, second.ResourceVersion))
	equal(t, w.read(t, "s"), second)
	right := metav1.Preconditions{UID: &second.UID, ResourceVersion: &second.ResourceVersion}
	must(t, w.secrets.Delete(w.ctx, "s", metav1.DeleteOptions{Preconditions: &right}))
	err = w.secrets.Delete(w.ctx, "s", metav1.DeleteOptions{Preconditions: &right})
	refused(t, err, "404 NotFound secrets/s", `secrets "s" not found`)
}

func TestADeletionAnswersWhatWasDeleted(t *testing.T) {
	w := start(t)
	created := w.secret(t, named("s"))
	answer, err := w.raw(w.ctx, "s", `{}`)
	must(t, err)
	var status metav1.Status
	must(t, json.Unmarshal([]byte(answer), &status))
	equal(t, status, metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusSuccess,
		Details: &metav1.StatusDetails{Name: "s", Kind: "secrets", UID: created.UID},
	})
}

func TestADeletedObjectWaitsForItsFinalizers(t *testing.T) {
	w := start(t)
	secret := named("s")
	secret.Finalizers = []string{"example.com/one", "example.com/two"}
	created := w.secret(t, secret)
	must(t, w.secrets.Delete(w.ctx, "s", metav1.DeleteOptions{}))
	marked := w.read(t, "s")
	if marked.DeletionTimestamp == nil || marked.DeletionGracePeriodSeconds == nil || *marked.DeletionGracePeriodSeconds != 0 {
		t.Fatal("it isn't marked")
	}
	if marked.ResourceVersion == created.ResourceVersion {
		t.Fatal("the mark is no change")
	}
	// Once more changes nothing, not even the time.
	must(t, w.secrets.Delete(w.ctx, "s", metav1.DeleteOptions{}))
	equal(t, w.read(t, "s"), marked)

	_, err := w.merge("s", `{"metadata":{"finalizers":["example.com/one","example.com/two","example.com/three"]}}`)
	const rule = `metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{"example.com/three"}`
	refused(t, err, "422 Invalid Secret/s", `Secret "s" is invalid: `+rule, "FieldValueForbidden "+rule)
	changed := w.patch(t, "s", types.MergePatchType, `{"data":{"key":"dHdv"},"metadata":{"finalizers":["example.com/two"]}}`)
	equal(t, changed.Finalizers, []string{"example.com/two"})
	equal(t, changed.DeletionTimestamp, marked.DeletionTimestamp)
	// The mark can't be taken back.
	back := w.patch(t, "s", types.MergePatchType, `{"metadata":{"deletionTimestamp":null,"deletionGracePeriodSeconds":null}}`)
	equal(t, back, changed)
	watch := w.watch(t, metav1.ListOptions{ResourceVersion: back.ResourceVersion})
	w.patch(t, "s", types.MergePatchType, `{"metadata":{"finalizers":null}}`)
	if !w.isGone(t, "s") {
		t.Fatal("it waits for nothing")
	}
	equal(t, watch.next(t).Type, "DELETED")
}

func TestADeletionOfDryRunShowsWhatItWouldDo(t *testing.T) {
	w := start(t)
	held := named("held")
	held.Finalizers = []string{"example.com/hold"}
	before := []any{w.secret(t, held), w.secret(t, named("free"))}
	answer, err := w.raw(w.ctx, "held", `{"dryRun":["All"]}`)
	must(t, err)
	var shown metav1.PartialObjectMetadata
	must(t, json.Unmarshal([]byte(answer), &shown))
	equal(t, shown.Kind, "Secret")
	if shown.DeletionTimestamp == nil {
		t.Fatal("it doesn't show that it would be marked")
	}
	answer, err = w.raw(w.ctx, "free", `{"dryRun":["All"]}`)
	must(t, err)
	var status metav1.Status
	must(t, json.Unmarshal([]byte(answer), &status))
	equal(t, status.Status, metav1.StatusSuccess)
	err = w.secrets.Delete(w.ctx, "free", metav1.DeleteOptions{DryRun: []string{"Some"}})
	refused(t, err, "422 Invalid DeleteOptions.meta.k8s.io/", `DeleteOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["Some"]: supported values: "All"`,
		`FieldValueNotSupported dryRun: Unsupported value: ["Some"]: supported values: "All"`)
	equal(t, []any{w.read(t, "held"), w.read(t, "free")}, before)
	_, err = w.merge("held", `{"metadata":{"finalizers":null}}`)
	must(t, err)
}

func TestAnUnknownPropagationIsRefused(t *testing.T) {
	w := start(t)
	w.secret(t, named("s"))
	unknown := metav1.DeletionPropagation("Sideways")
	err := w.secrets.Delete(w.ctx, "s", metav1.DeleteOptions{PropagationPolicy: &unknown})
	refused(t, err, "422 Invalid DeleteOptions.meta.k8s.io/", `DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "Sideways": supported values: "Foreground", "Background", "Orphan", "nil"`,
		`FieldValueNotSupported propagationPolicy: Unsupported value: "Sideways": supported values: "Foreground", "Background", "Orphan", "nil"`)
	orphan, also := metav1.DeletePropagationOrphan, true
	err = w.secrets.Delete(w.ctx, "s", metav1.DeleteOptions{PropagationPolicy: &orphan, OrphanDependents: &also})
	refused(t, err, "422 Invalid DeleteOptions.meta.k8s.io/", `DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Invalid value: "Orphan": orphanDependents and deletionPropagation cannot be both set`,
		`FieldValueInvalid propagationPolicy: Invalid value: "Orphan": orphanDependents and deletionPropagation cannot be both set`)
	w.read(t, "s")
}

func TestACollectionIsDeletedAsSelected(t *testing.T) {
	w := start(t)
	w.secret(t, named("one", "app", "x"))
	w.secret(t, named("two", "app", "x"))
	w.secret(t, named("three", "app", "y"))
	selected := metav1.ListOptions{LabelSelector: "app=x", FieldSelector: "metadata.name!=two"}
	must(t, w.secrets.DeleteCollection(w.ctx, metav1.DeleteOptions{}, selected))
	list, err := w.secrets.List(w.ctx, metav1.ListOptions{})
	must(t, err)
	equal(t, names(list), []string{"three", "two"})
	must(t, w.secrets.DeleteCollection(w.ctx, metav1.DeleteOptions{}, metav1.ListOptions{}))
	list, err = w.secrets.List(w.ctx, metav1.ListOptions{})
	must(t, err)
	equal(t, names(list), []string{})
}
