// Owners: what their references must say, and what becomes of what is owned when the owner goes.
package clientgo

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func ownedBy(owner *corev1.Secret) metav1.OwnerReference {
	return metav1.OwnerReference{APIVersion: "v1", Kind: "Secret", Name: owner.Name, UID: owner.UID}
}

// owned creates a Secret with owners.
func (w *world) owned(t *testing.T, name string, owners ...metav1.OwnerReference) *corev1.Secret {
	t.Helper()
	secret := named(name)
	secret.OwnerReferences = owners
	return w.secret(t, secret)
}

func (w *world) delete(t *testing.T, name string, policy metav1.DeletionPropagation) {
	t.Helper()
	must(t, w.secrets.Delete(w.ctx, name, metav1.DeleteOptions{PropagationPolicy: &policy}))
}

func TestAnOwnerReferenceMustBeComplete(t *testing.T) {
	w := start(t)
	empty := named("one")
	empty.OwnerReferences = []metav1.OwnerReference{{}}
	_, err := w.secrets.Create(w.ctx, empty, metav1.CreateOptions{})
	refused(t, err, "422 Invalid Secret/one", `Secret "one" is invalid: [metadata.ownerReferences.apiVersion: Invalid value: "": version must not be empty, metadata.ownerReferences.kind: Invalid value: "": must not be empty, metadata.ownerReferences.name: Invalid value: "": must not be empty, metadata.ownerReferences.uid: Invalid value: "": must not be empty]`,
		`FieldValueInvalid metadata.ownerReferences.apiVersion: Invalid value: "": version must not be empty`,
		`FieldValueInvalid metadata.ownerReferences.kind: Invalid value: "": must not be empty`,
		`FieldValueInvalid metadata.ownerReferences.name: Invalid value: "": must not be empty`,
		`FieldValueInvalid metadata.ownerReferences.uid: Invalid value: "": must not be empty`)

	event := named("one")
	event.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Event", Name: "e", UID: nobody}}
	_, err = w.secrets.Create(w.ctx, event, metav1.CreateOptions{})
	refused(t, err, "422 Invalid Secret/one", `Secret "one" is invalid: metadata.ownerReferences: Invalid value: {"apiVersion":"v1","kind":"Event","name":"e","uid":"00000000-0000-4000-8000-000000000000"}: /v1, Kind=Event is disallowed from being an owner`,
		`FieldValueInvalid metadata.ownerReferences: Invalid value: {"apiVersion":"v1","kind":"Event","name":"e","uid":"00000000-0000-4000-8000-000000000000"}: /v1, Kind=Event is disallowed from being an owner`)

	controls := true
	first := metav1.OwnerReference{APIVersion: "v1", Kind: "Secret", Name: "a", UID: nobody, Controller: &controls}
	second := metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "b", UID: nobody, Controller: &controls}
	both := named("one")
	both.OwnerReferences = []metav1.OwnerReference{first, second}
	_, err = w.secrets.Create(w.ctx, both, metav1.CreateOptions{})
	refused(t, err, "422 Invalid Secret/one", `Secret "one" is invalid: metadata.ownerReferences: Invalid value: [{"apiVersion":"v1","kind":"Secret","name":"a","uid":"00000000-0000-4000-8000-000000000000","controller":true},{"apiVersion":"v1","kind":"ConfigMap","name":"b","uid":"00000000-0000-4000-8000-000000000000","controller":true}]: Only one reference can have Controller set to true. Found "true" in references for Secret/a and ConfigMap/b`,
		`FieldValueInvalid metadata.ownerReferences: Invalid value: [{"apiVersion":"v1","kind":"Secret","name":"a","uid":"00000000-0000-4000-8000-000000000000","controller":true},{"apiVersion":"v1","kind":"ConfigMap","name":"b","uid":"00000000-0000-4000-8000-000000000000","controller":true}]: Only one reference can have Controller set to true. Found "true" in references for Secret/a and ConfigMap/b`)
}

func TestWhatIsOwnedGoesAfterItsOwnerInTheBackground(t *testing.T) {
	w := start(t)
	owner := w.secret(t, named("owner"))
	middle := w.owned(t, "middle", ownedBy(owner))
	w.owned(t, "last", ownedBy(middle))
	w.delete(t, "owner", metav1.DeletePropagationBackground)
	if !w.isGone(t, "owner") {
		t.Fatal("the owner waits for what it owns")
	}
	eventually(t, "what is owned is gone", func() bool { return w.isGone(t, "middle") && w.isGone(t, "last") })
}

func TestWhatHasAnotherOwnerLosesOnlyTheReference(t *testing.T) {
	w := start(t)
	first, second := w.secret(t, named("first")), w.secret(t, named("second"))
	w.owned(t, "owned", ownedBy(first), ownedBy(second))
	w.delete(t, "first", metav1.DeletePropagationBackground)
	eventually(t, "one reference is left", func() bool { return len(w.read(t, "owned").OwnerReferences) == 1 })
	equal(t, w.read(t, "owned").OwnerReferences, []metav1.OwnerReference{ownedBy(second)})
}

func TestAnOwnerWaitsInTheForegroundForWhatBlocksIt(t *testing.T) {
	w := start(t)
	owner := w.secret(t, named("owner"))
	blocks := true
	blocking := ownedBy(owner)
	blocking.BlockOwnerDeletion = &blocks
	held := named("held")
	held.OwnerReferences, held.Finalizers = []metav1.OwnerReference{blocking}, []string{"example.com/hold"}
	w.secret(t, held)
	w.owned(t, "free", ownedBy(owner))
	w.delete(t, "owner", metav1.DeletePropagationForeground)
	waiting := w.read(t, "owner")
	if waiting.DeletionTimestamp == nil {
		t.Fatal("it isn't marked")
	}
	equal(t, waiting.Finalizers, []string{"foregroundDeletion"})
	eventually(t, "what is owned is marked", func() bool { return w.read(t, "held").DeletionTimestamp != nil })
	eventually(t, "what is held by nothing is gone", func() bool { return w.isGone(t, "free") })
	if w.isGone(t, "owner") {
		t.Fatal("the owner didn't wait for what blocks it")
	}
	_, err := w.merge("held", `{"metadata":{"finalizers":null}}`)
	must(t, err)
	eventually(t, "both are gone", func() bool { return w.isGone(t, "held") && w.isGone(t, "owner") })
}

func TestWhatDoesNotBlockItsOwnerIsNotWaitedFor(t *testing.T) {
	w := start(t)
	owner := w.secret(t, named("owner"))
	held := named("held")
	held.OwnerReferences, held.Finalizers = []metav1.OwnerReference{ownedBy(owner)}, []string{"example.com/hold"}
	w.secret(t, held)
	w.delete(t, "owner", metav1.DeletePropagationForeground)
	eventually(t, "the owner is gone", func() bool { return w.isGone(t, "owner") })
	eventually(t, "what is owned is marked", func() bool { return w.read(t, "held").DeletionTimestamp != nil })
	_, err := w.merge("held", `{"metadata":{"finalizers":null}}`)
	must(t, err)
}

func TestOrphansLoseTheReferenceBeforeTheirOwnerGoes(t *testing.T) {
	w := start(t)
	owner := w.secret(t, named("owner"))
	other := w.secret(t, named("other"))
	w.owned(t, "owned", ownedBy(owner))
	w.owned(t, "shared", ownedBy(owner), ownedBy(other))
	watch := w.watch(t, metav1.ListOptions{ResourceVersion: other.ResourceVersion, FieldSelector: "metadata.name!=other"})
	w.delete(t, "owner", metav1.DeletePropagationOrphan)
	eventually(t, "the owner is gone", func() bool { return w.isGone(t, "owner") })
	equal(t, w.read(t, "owned").OwnerReferences, nil)
	equal(t, w.read(t, "shared").OwnerReferences, []metav1.OwnerReference{ownedBy(other)})
	var told []string
	for len(told) == 0 || told[len(told)-1] != "DELETED owner" {
		event := watch.next(t)
		told = append(told, string(event.Type)+" "+event.Object.(*corev1.Secret).Name)
	}
	equal(t, told[:3], []string{"ADDED owned", "ADDED shared", "MODIFIED owner"})
	equal(t, len(told), 6)
}

func TestAnOwnerIsLookedForByKindNameAndUidInTheSameNamespace(t *testing.T) {
	w := start(t)
	owner := w.secret(t, named("owner"))
	elsewhere, err := w.client.CoreV1().Secrets(w.newNamespace(t)).Create(w.ctx, named("owner"), metav1.CreateOptions{})
	must(t, err)
	w.owned(t, "across", ownedBy(elsewhere))
	again := ownedBy(owner)
	again.UID = nobody
	w.owned(t, "of-an-earlier-one", again)
	another := ownedBy(owner)
	another.Name = "renamed"
	w.owned(t, "of-another-name", another)
	kind := ownedBy(owner)
	kind.Kind = "ConfigMap"
	w.owned(t, "of-another-kind", kind)
	w.owned(t, "right", ownedBy(owner))
	for _, name := range []string{"across", "of-an-earlier-one", "of-another-name", "of-another-kind"} {
		eventually(t, name+" is gone", func() bool { return w.isGone(t, name) })
	}
	if w.isGone(t, "right") {
		t.Fatal("it has its owner")
	}
}

func TestAnOwnerOfAKindThatNobodyServesIsNotMissed(t *testing.T) {
	w := start(t)
	unknown := metav1.OwnerReference{APIVersion: "example.com/v1", Kind: "Nothing", Name: "n", UID: nobody}
	w.owned(t, "kept", unknown)
	w.owned(t, "collected", metav1.OwnerReference{APIVersion: "v1", Kind: "Secret", Name: "n", UID: nobody})
	eventually(t, "what lost its owner is gone", func() bool { return w.isGone(t, "collected") })
	equal(t, w.read(t, "kept").OwnerReferences, []metav1.OwnerReference{unknown})
}

func TestASecretGoesWithTheSecretSyncThatOwnsIt(t *testing.T) {
	w := start(t)
	w.define(t, "secretsyncs.yaml")
	for _, policy := range []metav1.DeletionPropagation{
		metav1.DeletePropagationBackground, metav1.DeletePropagationForeground, metav1.DeletePropagationOrphan,
	} {
		sync, err := w.syncs().Create(w.ctx, newSync("sync"), metav1.CreateOptions{})
		must(t, err)
		blocks := true
		reference := metav1.OwnerReference{
			APIVersion: sync.GetAPIVersion(), Kind: sync.GetKind(), Name: sync.GetName(), UID: sync.GetUID(),
			Controller: &blocks, BlockOwnerDeletion: &blocks,
		}
		w.owned(t, "sync", reference)
		must(t, w.syncs().Delete(w.ctx, "sync", metav1.DeleteOptions{PropagationPolicy: &policy}))
		eventually(t, "the SecretSync is gone", func() bool { return w.noSync(t, "sync") })
		if policy == metav1.DeletePropagationOrphan {
			equal(t, w.read(t, "sync").OwnerReferences, nil)
			return
		}
		eventually(t, "the Secret is gone", func() bool { return w.isGone(t, "sync") })
	}
}

func TestAFinalizerOfDeletionByHandIsHeeded(t *testing.T) {
	w := start(t)
	owner := named("owner")
	owner.Finalizers = []string{"orphan"}
	created := w.secret(t, owner)
	w.owned(t, "owned", ownedBy(created))
	must(t, w.secrets.Delete(w.ctx, "owner", metav1.DeleteOptions{}))
	eventually(t, "the owner is gone", func() bool { return w.isGone(t, "owner") })
	equal(t, w.read(t, "owned").OwnerReferences, nil)

	both := `{"metadata":{"finalizers":["orphan","foregroundDeletion"]}}`
	_, err := w.secrets.Patch(w.ctx, "owned", types.MergePatchType, []byte(both), metav1.PatchOptions{})
	refused(t, err, "422 Invalid Secret/owned", `Secret "owned" is invalid: metadata.finalizers: Invalid value: ["orphan","foregroundDeletion"]: finalizer orphan and foregroundDeletion cannot be both set`,
		`FieldValueInvalid metadata.finalizers: Invalid value: ["orphan","foregroundDeletion"]: finalizer orphan and foregroundDeletion cannot be both set`)
}
