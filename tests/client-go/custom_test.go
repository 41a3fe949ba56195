// Custom resources, by the definitions of examples/crds: schemas, defaults, the status beside the spec.
package clientgo

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

func (w *world) syncs() dynamic.ResourceInterface {
	syncs := schema.GroupVersionResource{Group: "secret-sync.x-k8s.io", Version: "v1alpha1", Resource: "secretsyncs"}
	return w.dynamic.Resource(syncs).Namespace(w.namespace)
}

func (w *world) noSync(t *testing.T, name string) bool {
	t.Helper()
	_, err := w.syncs().Get(w.ctx, name, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	return err != nil
}

func newSync(name string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "secret-sync.x-k8s.io/v1alpha1", "kind": "SecretSync", "metadata": map[string]any{"name": name},
		"spec": map[string]any{
			"secretProviderClassName": "class", "serviceAccountName": "account",
			"secretObject": map[string]any{
				"type": "Opaque",
				"data": []any{map[string]any{"sourcePath": "path", "targetKey": "key"}},
			},
		},
	}}
}

// unchecked is said where the rules in CEL aren't even looked at.
const unchecked = "FieldValueInvalid <nil>: Invalid value: null: some validation rules were not checked because the object was invalid; correct the existing errors to complete validation"

// createSync creates a SecretSync with a change to a good one.
func (w *world) createSync(name string, change func(spec, object map[string]any)) (*unstructured.Unstructured, error) {
	sync := newSync(name)
	spec := sync.Object["spec"].(map[string]any)
	change(spec, spec["secretObject"].(map[string]any))
	return w.syncs().Create(w.ctx, sync, metav1.CreateOptions{})
}

func (w *world) patchSync(name, patch string, subresources ...string) (*unstructured.Unstructured, error) {
	return w.syncs().Patch(w.ctx, name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}, subresources...)
}

func TestADefinitionIsEstablishedAndDiscovered(t *testing.T) {
	w := start(t)
	definition := w.define(t, "secretsyncs.yaml")
	equal(t, condition(definition, "NamesAccepted"), "True")
	stored, _, _ := unstructured.NestedStringSlice(definition.Object, "status", "storedVersions")
	equal(t, stored, []string{"v1alpha1"})
	eventually(t, "it is discovered", func() bool {
		resources, err := w.client.Discovery().ServerResourcesForGroupVersion("secret-sync.x-k8s.io/v1alpha1")
		if apierrors.IsNotFound(err) {
			return false
		}
		must(t, err)
		found := []string{}
		for _, resource := range resources.APIResources {
			found = append(found, resource.Name)
		}
		equal(t, found, []string{"secretsyncs", "secretsyncs/status"})
		return true
	})
}

func TestAnObjectIsDefaultedPrunedAndCounted(t *testing.T) {
	w := start(t)
	w.define(t, "secretsyncs.yaml")
	created, err := w.createSync("s", func(spec, _ map[string]any) {
		spec["unknown"] = "x"
		// A null where there may be none is nothing.
		spec["forceSynchronization"], spec["secretSyncControllerName"] = nil, nil
	})
	must(t, err)
	wanted := newSync("s").Object["spec"].(map[string]any)
	wanted["secretSyncControllerName"] = ""
	equal(t, created.Object["spec"], wanted)
	equal(t, created.GetGeneration(), 1)
	equal(t, managers(created), []string{
		`client-go Update {"f:spec":{".":{},"f:secretObject":{".":{},"f:data":{".":{},"k:{\"targetKey\":\"key\"}":{".":{},"f:sourcePath":{},"f:targetKey":{}}},"f:type":{}},"f:secretProviderClassName":{},"f:secretSyncControllerName":{},"f:serviceAccountName":{}}}`,
	})
	_, err = w.syncs().Patch(w.ctx, "s", types.MergePatchType, []byte(`{"spec":{"unknown":"x"}}`), metav1.PatchOptions{FieldValidation: "Strict"})
	const strict = `strict decoding error: unknown field "spec.unknown"`
	refused(t, err, "422 Invalid", ` "" is invalid: patch: Invalid value: …`+strict, "FieldValueInvalid patch: Invalid value: …"+strict)

	labelled, err := w.patchSync("s", `{"metadata":{"labels":{"app":"x"}}}`)
	must(t, err)
	equal(t, labelled.GetGeneration(), 1)
	changed, err := w.patchSync("s", `{"spec":{"forceSynchronization":"a"}}`)
	must(t, err)
	equal(t, changed.GetGeneration(), 2)
}

func TestAnObjectThatTheSchemaForbidsIsRefused(t *testing.T) {
	w := start(t)
	w.define(t, "secretsyncs.yaml")
	type change = func(spec, object map[string]any)
	const name = `^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	for _, one := range []struct {
		change change
		causes []string
	}{
		{func(spec, _ map[string]any) { delete(spec, "serviceAccountName") }, []string{"FieldValueRequired spec.serviceAccountName: Required value"}},
		{func(spec, _ map[string]any) { spec["serviceAccountName"] = 5 }, []string{
			`FieldValueTypeInvalid spec.serviceAccountName: Invalid value: "integer": spec.serviceAccountName in body must be of type string: "integer"`}},
		{func(spec, _ map[string]any) { spec["serviceAccountName"] = nil }, []string{"FieldValueRequired spec.serviceAccountName: Required value"}},
		{func(spec, _ map[string]any) { spec["serviceAccountName"] = "" }, []string{
			`FieldValueInvalid spec.serviceAccountName: Invalid value: "": spec.serviceAccountName in body should be at least 1 chars long`}},
		{func(spec, _ map[string]any) { spec["serviceAccountName"] = "A b" }, []string{
			`FieldValueInvalid spec.serviceAccountName: Invalid value: "A b": spec.serviceAccountName in body should match '` + name + `'`}},
		{func(spec, _ map[string]any) { spec["serviceAccountName"] = strings.Repeat("a", 254) }, []string{
			`FieldValueTooLong spec.serviceAccountName: Too long: may not be more than 253 bytes`}},
		{func(_, object map[string]any) { object["data"] = []any{} }, []string{
			`FieldValueInvalid spec.secretObject.data: Invalid value: 0: spec.secretObject.data in body should have at least 1 items`}},
		{func(_, object map[string]any) { object["data"] = "x" }, []string{
			`FieldValueTypeInvalid spec.secretObject.data: Invalid value: "string": spec.secretObject.data in body must be of type array: "string"`}},
		{func(_, object map[string]any) { object["data"] = []any{map[string]any{"sourcePath": "p"}} }, []string{
			"FieldValueRequired spec.secretObject.data[0].targetKey: Required value"}},
		{func(_, object map[string]any) {
			one := map[string]any{"sourcePath": "p", "targetKey": "k"}
			object["data"] = []any{one, maps.Clone(one)}
		}, []string{`FieldValueDuplicate spec.secretObject.data[1]: Duplicate value: {"targetKey":"k"}`}},
		{func(_, object map[string]any) { object["labels"] = map[string]any{"a": 1} }, []string{
			`FieldValueTypeInvalid spec.secretObject.labels.a: Invalid value: "integer": spec.secretObject.labels.a in body must be of type string: "integer"`}},
		{func(_, object map[string]any) {
			object["labels"] = map[string]any{"secrets-store.sync.x-k8s.io/a": "b"}
		}, []string{`FieldValueInvalid spec.secretObject.labels: Invalid value: Labels should not contain secrets-store.sync.x-k8s.io. This key is reserved for the controller.`}},
		{func(_, object map[string]any) {
			object["labels"] = map[string]any{"a": strings.Repeat("b", 63)}
		}, []string{`FieldValueInvalid spec.secretObject.labels: Invalid value: Labels should have < 63 characters for both keys and values.`}},
		{func(_, object map[string]any) {
			object["annotations"] = map[string]any{"secrets-store.sync.x-k8s.io": "b"}
		}, []string{`FieldValueInvalid spec.secretObject.annotations: Invalid value: Annotations should not contain secrets-store.sync.x-k8s.io. This key is reserved for the controller.`}},
	} {
		_, err := w.createSync("s", one.change)
		t.Run(one.causes[0], func(t *testing.T) {
			list, causes := []string{}, one.causes
			if !strings.HasPrefix(causes[0], "FieldValueInvalid") && !strings.HasPrefix(causes[0], "FieldValueDuplicate") {
				causes = append(causes, unchecked)
			}
			for _, cause := range causes {
				_, told, _ := strings.Cut(cause, " ")
				list = append(list, told)
			}
			message := strings.Join(list, ", ")
			if len(list) > 1 {
				message = "[" + message + "]"
			}
			refused(t, err, "422 Invalid SecretSync.secret-sync.x-k8s.io/s", `SecretSync.secret-sync.x-k8s.io "s" is invalid: `+message, causes...)
		})
	}
}

func TestSpecAndStatusAreWrittenApart(t *testing.T) {
	w := start(t)
	w.define(t, "secretsyncs.yaml")
	both := newSync("s")
	both.Object["status"] = map[string]any{"syncHash": "x"}
	created, err := w.syncs().Create(w.ctx, both, metav1.CreateOptions{})
	must(t, err)
	equal(t, created.Object["status"], nil)
	_, err = w.patchSync("s", `{"status":{"syncHash":"x"}}`)
	must(t, err)
	said, err := w.patchSync("s", `{"status":{"syncHash":"x"},"spec":{"forceSynchronization":"a"},"metadata":{"labels":{"a":"b"}}}`, "status")
	must(t, err)
	equal(t, said.Object["status"], map[string]any{"syncHash": "x"})
	equal(t, said.Object["spec"], created.Object["spec"])
	equal(t, said.GetLabels(), nil)
	equal(t, said.GetGeneration(), 1)
	equal(t, managers(said)[1], `client-go/status Update {"f:status":{".":{},"f:syncHash":{}}}`)

	_, err = w.patchSync("s", `{"status":{"conditions":[{"type":"Ready"}]}}`, "status")
	refused(t, err, "422 Invalid SecretSync.secret-sync.x-k8s.io/s", "…",
		"FieldValueRequired status.conditions[0].lastTransitionTime: Required value",
		"FieldValueRequired status.conditions[0].message: Required value",
		"FieldValueRequired status.conditions[0].reason: Required value",
		"FieldValueRequired status.conditions[0].status: Required value", unchecked)
	_, err = w.patchSync("s", `{"status":{"lastSuccessfulSyncTime":"yesterday"}}`, "status")
	const time = `status.lastSuccessfulSyncTime: Invalid value: "yesterday": lastSuccessfulSyncTime in body must be of type date-time: "yesterday"`
	refused(t, err, "422 Invalid SecretSync.secret-sync.x-k8s.io/s", "…", "FieldValueTypeInvalid "+time, unchecked)
	many := make([]string, 17)
	for at := range many {
		many[at] = fmt.Sprintf(`{"type":"C%d","status":"True","reason":"Because","message":"","lastTransitionTime":"2026-01-02T03:04:05Z"}`, at)
	}
	_, err = w.patchSync("s", `{"status":{"conditions":[`+strings.Join(many, ",")+`]}}`, "status")
	refused(t, err, "422 Invalid SecretSync.secret-sync.x-k8s.io/s", "…", "FieldValueTooMany status.conditions: Too many: 17: must have at most 16 items", unchecked)
	_, err = w.patchSync("s", `{"status":{"conditions":[{"type":"a","status":"Perhaps","reason":"Because","message":"","lastTransitionTime":"2026-01-02T03:04:05Z","observedGeneration":-1}]}}`, "status")
	refused(t, err, "422 Invalid SecretSync.secret-sync.x-k8s.io/s", "…",
		`FieldValueInvalid status.conditions[0].observedGeneration: Invalid value: -1: conditions[0].observedGeneration in body should be greater than or equal to 0`,
		`FieldValueNotSupported status.conditions[0].status: Unsupported value: "Perhaps": supported values: "True", "False", "Unknown"`, unchecked)

	changed, err := w.patchSync("s", `{"status":null,"spec":{"forceSynchronization":"b"}}`)
	must(t, err)
	equal(t, changed.GetGeneration(), 2)
	equal(t, changed.Object["status"], map[string]any{"syncHash": "x"})
	stale := created.DeepCopy()
	stale.Object["status"] = map[string]any{"syncHash": "y"}
	_, err = w.syncs().UpdateStatus(w.ctx, stale, metav1.UpdateOptions{})
	refused(t, err, "409 Conflict secretsyncs.secret-sync.x-k8s.io/s", `Operation cannot be fulfilled on secretsyncs.secret-sync.x-k8s.io "s": the object has been modified; please apply your changes to the latest version and try again`)
	stale.SetResourceVersion("")
	_, err = w.syncs().Update(w.ctx, stale, metav1.UpdateOptions{})
	const version = `metadata.resourceVersion: Invalid value: 0: must be specified for an update`
	refused(t, err, "422 Invalid secretsyncs.secret-sync.x-k8s.io/s", `secretsyncs.secret-sync.x-k8s.io "s" is invalid: `+version, "FieldValueInvalid "+version)
}

func TestAStatusIsAppliedByItsManager(t *testing.T) {
	w := start(t)
	w.define(t, "secretsyncs.yaml")
	apply := func(manager string, sync *unstructured.Unstructured, subresources ...string) (*unstructured.Unstructured, error) {
		return w.syncs().Apply(w.ctx, "s", sync, metav1.ApplyOptions{FieldManager: manager}, subresources...)
	}
	spec, err := apply("user", newSync("s"))
	must(t, err)
	ready := func(status string) *unstructured.Unstructured {
		return &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": spec.GetAPIVersion(), "kind": "SecretSync", "metadata": map[string]any{"name": "s"},
			"status": map[string]any{"conditions": []any{map[string]any{
				"type": "Ready", "status": status, "reason": "Because", "message": "", "lastTransitionTime": "2026-01-02T03:04:05Z",
			}}},
		}}
	}
	said, err := apply("controller", ready("True"), "status")
	must(t, err)
	equal(t, condition(said, "Ready"), "True")
	equal(t, said.GetGeneration(), 1)
	_, err = apply("somebody", ready("False"), "status")
	const field = `.status.conditions[type="Ready"].status`
	refused(t, err, "409 Conflict", `Apply failed with 1 conflict: conflict with "controller" with subresource "status": `+field,
		`FieldManagerConflict `+field+`: conflict with "controller" with subresource "status"`)
	again, err := apply("user", newSync("s"))
	must(t, err)
	equal(t, again, said)
}

func TestCustomResourcesAreWatchedAndDeletedLikeOthers(t *testing.T) {
	w := start(t)
	w.define(t, "secretsyncs.yaml")
	sync := newSync("s")
	sync.SetFinalizers([]string{"example.com/hold"})
	created, err := w.syncs().Create(w.ctx, sync, metav1.CreateOptions{})
	must(t, err)
	opened, err := w.syncs().Watch(w.ctx, metav1.ListOptions{ResourceVersion: created.GetResourceVersion()})
	must(t, err)
	defer opened.Stop()
	must(t, w.syncs().Delete(w.ctx, "s", metav1.DeleteOptions{}))
	marked, err := w.syncs().Get(w.ctx, "s", metav1.GetOptions{})
	must(t, err)
	// The mark counts.
	equal(t, marked.GetGeneration(), 2)
	_, err = w.patchSync("s", `{"metadata":{"finalizers":null}}`)
	must(t, err)
	equal(t, watching{opened}.told(t, 2), []string{"MODIFIED s", "DELETED s"})
	_, err = w.syncs().Get(w.ctx, "s", metav1.GetOptions{})
	refused(t, err, "404 NotFound secretsyncs.secret-sync.x-k8s.io/s", `secretsyncs.secret-sync.x-k8s.io "s" not found`)
}
