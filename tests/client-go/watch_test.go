// Watches: their events, resumed and too old.
package clientgo

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
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
