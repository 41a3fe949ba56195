// Custom resources, by the definitions of examples/crds: schemas, defaults, the status beside the spec.
package clientgo

import (
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
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
