// Watches: their events, resumed and too old.
package clientgo

import (
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

// watching is an open watch of Secrets.
type watching struct{ watch.Interface }

func (w *world) watch(t *testing.T, options metav1.ListOptions) watching {
	t.Helper()
	opened, err := w.secrets.Watch(w.ctx, options)
	must(t, err)
	t.Cleanup(opened.Stop)
	return watching{opened}
}

// next is the next event.
func (w watching) next(t *testing.T) watch.Event {
	t.Helper()
	select {
	case event, open := <-w.ResultChan():
		if !open {
			t.Fatal("the watch has ended")
		}
		return event
	case <-time.After(patience):
		t.Fatal("there is no event")
		panic("unreachable")
	}
}

// told are the next events, each as `TYPE NAME`.
func (w watching) told(t *testing.T, count int) []string {
	t.Helper()
	told := []string{}
	for range count {
		event := w.next(t)
		told = append(told, fmt.Sprintf("%s %s", event.Type, event.Object.(metav1.Object).GetName()))
	}
	return told
}

func TestAWatchTellsEveryChangeInItsOrder(t *testing.T) {
	w := start(t)
	w.secret(t, named("before"))
	list, err := w.secrets.List(w.ctx, metav1.ListOptions{})
	must(t, err)
	watched := w.watch(t, metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	created := w.secret(t, named("s"))
	changed := w.patch(t, "s", types.MergePatchType, `{"data":{"key":"dHdv"}}`)
	must(t, w.secrets.Delete(w.ctx, "s", metav1.DeleteOptions{}))
	added, modified, deleted := watched.next(t), watched.next(t), watched.next(t)
	equal(t, []any{added.Type, modified.Type, deleted.Type}, []string{"ADDED", "MODIFIED", "DELETED"})
	equal(t, added.Object, created)
	equal(t, modified.Object, changed)
	last := deleted.Object.(*corev1.Secret)
	if last.ResourceVersion == changed.ResourceVersion {
		t.Fatal("a deletion is a change of its own")
	}
	equal(t, last.Data, changed.Data)
}

func TestAWatchIsResumedWhereItEnded(t *testing.T) {
	w := start(t)
	first := w.secret(t, named("one"))
	w.secret(t, named("two"))
	must(t, w.secrets.Delete(w.ctx, "one", metav1.DeleteOptions{}))
	resumed := w.watch(t, metav1.ListOptions{ResourceVersion: first.ResourceVersion})
	equal(t, resumed.told(t, 2), []string{"ADDED two", "DELETED one"})
	// Without a revision it begins with what is there.
	fresh := w.watch(t, metav1.ListOptions{})
	equal(t, fresh.told(t, 1), []string{"ADDED two"})
}

func TestAWatchFromTooLongAgoIsTold410(t *testing.T) {
	w := start(t)
	// Of what is younger than the cluster, revision 1 is too old even where nothing has been compacted yet.
	w.define(t, "secretsyncs.yaml")
	opened, err := w.syncs().Watch(w.ctx, metav1.ListOptions{ResourceVersion: "1"})
	must(t, err)
	defer opened.Stop()
	event := watching{opened}.next(t)
	equal(t, event.Type, watch.Error)
	refused(t, apierrors.FromObject(event.Object), "410 Expired", "too old resource version: 1 (…)")
}

func TestAWatchTellsWhatEntersAndLeavesItsSelection(t *testing.T) {
	w := start(t)
	outside := w.secret(t, named("s"))
	watched := w.watch(t, metav1.ListOptions{ResourceVersion: outside.ResourceVersion, LabelSelector: "app=x"})
	w.patch(t, "s", types.MergePatchType, `{"metadata":{"labels":{"app":"x"}}}`)
	left := w.patch(t, "s", types.MergePatchType, `{"metadata":{"labels":{"app":"y"}}}`)
	entered, gone := watched.next(t), watched.next(t)
	equal(t, []any{entered.Type, gone.Type}, []string{"ADDED", "DELETED"})
	// As it was last seen, at the revision of its leaving.
	last := gone.Object.(*corev1.Secret)
	equal(t, last.Labels, map[string]string{"app": "x"})
	equal(t, last.ResourceVersion, left.ResourceVersion)
	other := w.watch(t, metav1.ListOptions{ResourceVersion: left.ResourceVersion, FieldSelector: "metadata.name=other"})
	w.secret(t, named("other"))
	w.patch(t, "s", types.MergePatchType, `{"data":null}`)
	w.patch(t, "other", types.MergePatchType, `{"data":null}`)
	equal(t, other.told(t, 2), []string{"ADDED other", "MODIFIED other"})
}

func TestABookmarkMarksTheEndOfTheInitialEvents(t *testing.T) {
	w := start(t)
	w.secret(t, named("one"))
	w.secret(t, named("two"))
	initial := true
	options := metav1.ListOptions{
		AllowWatchBookmarks: true, SendInitialEvents: &initial, ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
	}
	watched := w.watch(t, options)
	told := watched.told(t, 2)
	slices.Sort(told)
	equal(t, told, []string{"ADDED one", "ADDED two"})
	bookmark := watched.next(t)
	equal(t, bookmark.Type, "BOOKMARK")
	equal(t, bookmark.Object.(metav1.Object).GetAnnotations(), map[string]string{metav1.InitialEventsAnnotationKey: "true"})
	options.ResourceVersionMatch = ""
	_, err := w.secrets.Watch(w.ctx, options)
	const rule = "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
	refused(t, err, "422 Invalid ListOptions.meta.k8s.io/", `ListOptions.meta.k8s.io "" is invalid: `+rule, "FieldValueForbidden "+rule)
}

func TestAWatchEndsWhenItsTimeIsUp(t *testing.T) {
	w := start(t)
	second := int64(1)
	watched := w.watch(t, metav1.ListOptions{TimeoutSeconds: &second})
	select {
	case event, open := <-watched.ResultChan():
		if open {
			t.Fatalf("an event: %v", event)
		}
	case <-time.After(patience):
		t.Fatal("it goes on")
	}
}

func TestAnInformerHoldsWhatTheServerHolds(t *testing.T) {
	w := start(t)
	w.secret(t, named("before"))
	factory := informers.NewSharedInformerFactoryWithOptions(w.client, 0, informers.WithNamespace(w.namespace))
	lister := factory.Core().V1().Secrets().Lister().Secrets(w.namespace)
	informer := factory.Core().V1().Secrets().Informer()
	factory.Start(w.ctx.Done())
	if !cache.WaitForCacheSync(w.ctx.Done(), informer.HasSynced) {
		t.Fatal("it never synced")
	}
	for number := range 20 {
		w.secret(t, named(fmt.Sprintf("s%d", number)))
	}
	for number := range 10 {
		must(t, w.secrets.Delete(w.ctx, fmt.Sprintf("s%d", number), metav1.DeleteOptions{}))
	}
	last := w.patch(t, "before", types.MergePatchType, `{"metadata":{"labels":{"app":"x"}}}`)
	eventually(t, "the informer is up to date", func() bool {
		found, err := lister.Get("before")
		must(t, err)
		return found.ResourceVersion == last.ResourceVersion
	})
	equal(t, len(informer.GetStore().List()), 11)
}
