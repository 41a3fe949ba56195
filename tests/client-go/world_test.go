// Package clientgo holds the Kubernetes double to Kubernetes' own Go client: what these tests say is true on the real API server, too.
// They run unchanged on whatever cluster KUBECONFIG leads to: on the double by tests/client_go.rs, on a real control plane by
// tests/control_plane/client_go.rs.
package clientgo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"
)

// patience is for a machine that does much else, and for the garbage collector of the real control plane, which looks for new kinds
// every 30 seconds.
const patience = 60 * time.Second

// nobody is the uid of nothing that there is.
const nobody types.UID = "00000000-0000-4000-8000-000000000000"

var definitions = schema.GroupVersionResource{
	Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions",
}

// world is a cluster, with a namespace of this test alone.
type world struct {
	ctx        context.Context
	config     *rest.Config
	kubeconfig string
	namespace  string
	client     *kubernetes.Clientset
	dynamic    *dynamic.DynamicClient
	secrets    typedcorev1.SecretInterface
}

func TestMain(m *testing.M) {
	if os.Getenv("KUBECONFIG") == "" {
		fmt.Fprintln(os.Stderr, "these tests need a KUBECONFIG, of an administrator")
		os.Exit(2)
	}
	os.Exit(m.Run())
}

func start(t *testing.T) *world {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(stop)
	w := &world{ctx: ctx, kubeconfig: os.Getenv("KUBECONFIG")}
	config, err := clientcmd.BuildConfigFromFlags("", w.kubeconfig)
	must(t, err)
	// The part before the slash is the field manager. The throttle of the client would only make the tests slow.
	config.UserAgent, config.QPS = "client-go/tests", -1
	w.config = config
	w.client = kubernetes.NewForConfigOrDie(config)
	w.dynamic = dynamic.NewForConfigOrDie(config)
	w.namespace = w.newNamespace(t)
	w.secrets = w.client.CoreV1().Secrets(w.namespace)
	return w
}

// newNamespace is an empty namespace that goes with the test.
func (w *world) newNamespace(t *testing.T) string {
	t.Helper()
	namespaces := w.client.CoreV1().Namespaces()
	wanted := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "client-go-"}}
	created, err := namespaces.Create(w.ctx, wanted, metav1.CreateOptions{})
	must(t, err)
	t.Cleanup(func() { must(t, namespaces.Delete(context.Background(), created.Name, metav1.DeleteOptions{})) })
	return created.Name
}

// define installs a definition of examples/crds and waits until its resource is served. It stays: the next test needs it, too.
func (w *world) define(t *testing.T, file string) *unstructured.Unstructured {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../examples/crds/secret-store", file))
	must(t, err)
	definition := &unstructured.Unstructured{}
	must(t, yaml.Unmarshal(text, &definition.Object))
	options := metav1.ApplyOptions{FieldManager: "tests", Force: true}
	_, err = w.dynamic.Resource(definitions).Apply(w.ctx, definition.GetName(), definition, options)
	must(t, err)
	eventually(t, "the definition is established", func() bool {
		definition, err = w.dynamic.Resource(definitions).Get(w.ctx, definition.GetName(), metav1.GetOptions{})
		must(t, err)
		return condition(definition, "Established") == "True"
	})
	return definition
}

func condition(object *unstructured.Unstructured, kind string) string {
	conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
	for _, one := range conditions {
		if one := one.(map[string]any); one["type"] == kind {
			return one["status"].(string)
		}
	}
	return ""
}

// secret creates a Secret.
func (w *world) secret(t *testing.T, secret *corev1.Secret) *corev1.Secret {
	t.Helper()
	created, err := w.secrets.Create(w.ctx, secret, metav1.CreateOptions{})
	must(t, err)
	return created
}

// read is a Secret as it is now.
func (w *world) read(t *testing.T, name string) *corev1.Secret {
	t.Helper()
	secret, err := w.secrets.Get(w.ctx, name, metav1.GetOptions{})
	must(t, err)
	return secret
}

// merge merges a patch into a Secret.
func (w *world) merge(name, patch string) (*corev1.Secret, error) {
	return w.secrets.Patch(w.ctx, name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
}

// isGone says whether there is no such Secret.
func (w *world) isGone(t *testing.T, name string) bool {
	t.Helper()
	_, err := w.secrets.Get(w.ctx, name, metav1.GetOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	return err != nil
}

// named is a Secret with one key, and with labels, given as key and value in turn.
func named(name string, labels ...string) *corev1.Secret {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string][]byte{"key": []byte("one")}}
	for at := 0; at+1 < len(labels); at += 2 {
		metav1.SetMetaDataLabel(&secret.ObjectMeta, labels[at], labels[at+1])
	}
	return secret
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// equal compares two values as they stand in JSON.
func equal(t *testing.T, found, wanted any) {
	t.Helper()
	if found, wanted := text(t, found), text(t, wanted); found != wanted {
		t.Fatalf("found  %s\nwanted %s", found, wanted)
	}
}

func text(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	must(t, err)
	return string(text)
}

// refused checks the whole Status of a refusal. `what` is its code, its reason and what its details name: `404 NotFound secrets/one`;
// a cause is its reason, its field and its message: `FieldValueRequired spec.name: Required value`. `…` stands for any text: for what
// only the real one can know, or what the double doesn't quote because it may be secret.
func refused(t *testing.T, err error, what, message string, causes ...string) {
	t.Helper()
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		t.Fatalf("not refused by the API server: %v", err)
	}
	said := status.Status()
	found := []string{fmt.Sprintf("%d %s%s", said.Code, said.Reason, subject(said.Details)), said.Message}
	if said.Details != nil {
		for _, cause := range said.Details.Causes {
			found = append(found, fmt.Sprintf("%s %s: %s", cause.Type, cause.Field, cause.Message))
		}
	}
	// In no order that one could rely on.
	slices.Sort(found[2:])
	// The real one names some twice.
	found = slices.Compact(found)
	slices.Sort(causes)
	if wanted := append([]string{what, message}, causes...); !slices.EqualFunc(found, wanted, reads) {
		t.Fatalf("refused with\n%s\nwanted\n%s", strings.Join(found, "\n"), strings.Join(wanted, "\n"))
	}
}

// reads says whether a text is as wanted, where `…` stands for any text.
func reads(text, wanted string) bool {
	parts := strings.Split(regexp.QuoteMeta(wanted), "…")
	return regexp.MustCompile("(?s)^" + strings.Join(parts, ".*") + "$").MatchString(text)
}

func subject(details *metav1.StatusDetails) string {
	if details == nil || details.Kind == "" && details.Name == "" {
		return ""
	}
	kind := details.Kind
	if details.Group != "" {
		kind += "." + details.Group
	}
	return fmt.Sprintf(" %s/%s", kind, details.Name)
}

func eventually(t *testing.T, what string, asked func() bool) {
	t.Helper()
	for begun := time.Now(); !asked(); time.Sleep(20 * time.Millisecond) {
		if time.Since(begun) > patience {
			t.Fatalf("never: %s", what)
		}
	}
}
