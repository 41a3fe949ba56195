// Get and list: selectors, pages, exact revisions.
package clientgo

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/metadata"
)

func names(list *corev1.SecretList) []string {
	names := []string{}
	for _, secret := range list.Items {
		names = append(names, secret.Name)
	}
	return names
}

func TestASecretIsReadAsItWasWritten(t *testing.T) {
	w := start(t)
	secret := named("one", "app", "x")
	secret.StringData = map[string]string{"text": "two"}
	secret.Annotations = map[string]string{"note": "n"}
	created := w.secret(t, secret)
	equal(t, w.read(t, "one"), created)
	equal(t, values(created), map[string]string{"key": "one", "text": "two"})
	equal(t, created.Type, corev1.SecretTypeOpaque)
	equal(t, managers(created), []string{
		`client-go Update {"f:data":{".":{},"f:key":{},"f:text":{}},"f:metadata":{"f:annotations":{".":{},"f:note":{}},"f:labels":{".":{},"f:app":{}}},"f:type":{}}`,
	})
	generated := w.secret(t, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{GenerateName: "made-"}})
	equal(t, len(generated.Name), len("made-")+5)
	partial, err := metadata.NewForConfigOrDie(w.config).Resource(corev1.SchemeGroupVersion.WithResource("secrets")).
		Namespace(w.namespace).Get(w.ctx, "one", metav1.GetOptions{})
	must(t, err)
	equal(t, partial, metav1.PartialObjectMetadata{
		ObjectMeta: created.ObjectMeta,
	})
	_, err = w.secrets.Get(w.ctx, "none", metav1.GetOptions{})
	refused(t, err, "404 NotFound secrets/none", `secrets "none" not found`)
}

func TestListsAreSelectedByLabelsAndFields(t *testing.T) {
	w := start(t)
	w.secret(t, named("one", "app", "x", "tier", "db"))
	w.secret(t, named("two", "app", "x"))
	w.secret(t, named("three", "app", "y", "number", "5"))
	typed := named("typed")
	typed.Type = "example.com/typed"
	w.secret(t, typed)
	for selector, wanted := range map[string][]string{
		"app=x": {"one", "two"}, "app==x": {"one", "two"}, "app!=x": {"three", "typed"},
		"app in (x,y),tier": {"one"}, "app notin (x)": {"three", "typed"}, "!app": {"typed"}, "app,!tier": {"three", "two"},
		"number>4": {"three"}, "number<5": {}, "app=": {}, "": {"one", "three", "two", "typed"},
	} {
		list, err := w.secrets.List(w.ctx, metav1.ListOptions{LabelSelector: selector})
		must(t, err)
		t.Run("labels "+selector, func(t *testing.T) { equal(t, names(list), wanted) })
	}
	for selector, wanted := range map[string][]string{
		"metadata.name=two": {"two"}, "metadata.name!=two": {"one", "three", "typed"}, "type=example.com/typed": {"typed"},
		"type!=Opaque,metadata.name=typed": {"typed"}, "metadata.namespace=elsewhere": {},
	} {
		list, err := w.secrets.List(w.ctx, metav1.ListOptions{FieldSelector: selector})
		must(t, err)
		t.Run("fields "+selector, func(t *testing.T) { equal(t, names(list), wanted) })
	}
	both := metav1.ListOptions{LabelSelector: "app=x", FieldSelector: "metadata.name=two"}
	list, err := w.secrets.List(w.ctx, both)
	must(t, err)
	equal(t, list.Items, []*corev1.Secret{w.read(t, "two")})
}

func TestSelectorsThatMeanNothingAreRefused(t *testing.T) {
	w := start(t)
	for selector, message := range map[string]string{
		"a=b=c":     "found '=', expected: ',' or 'end of string'",
		"app in x":  "unable to parse requirement: found 'x' expected: '('",
		"-x":        `unable to parse requirement: <nil>: Invalid value: "-x": name part must consist of…`,
		"app=x y":   "found 'y', expected: ',' or 'end of string'",
		"app=-":     `unable to parse requirement: values[0][app]: Invalid value: "-": a valid label must…`,
		"number>x":  `unable to parse requirement: values[0]: Invalid value: "x": for 'Gt', 'Lt' operators, the value must be an integer`,
		"app in (x": "unable to parse requirement: found '', expected: ',' or ')'",
		"app=x,,y":  "found ',', expected: identifier after ','",
		"=x":        "found '=', expected: !, identifier, or 'end of string'",
		"!app=x":    "found '=', expected: ',' or 'end of string'",
	} {
		_, err := w.secrets.List(w.ctx, metav1.ListOptions{LabelSelector: selector})
		t.Run("labels "+selector, func(t *testing.T) { refused(t, err, "400 BadRequest", message) })
	}
	for selector, message := range map[string]string{
		"metadata.uid=1": "field label not supported: metadata.uid",
		"data.key=b25l":  "field label not supported: data.key",
		"metadata.name":  "invalid selector: 'metadata.name'; can't understand 'metadata.name'",
	} {
		_, err := w.secrets.List(w.ctx, metav1.ListOptions{FieldSelector: selector})
		t.Run("fields "+selector, func(t *testing.T) { refused(t, err, "400 BadRequest", message) })
	}
}

func TestPagesShowOneRevision(t *testing.T) {
	w := start(t)
	for number := range 7 {
		w.secret(t, named(fmt.Sprintf("s%d", number), "half", fmt.Sprint(number%2)))
	}
	first, err := w.secrets.List(w.ctx, metav1.ListOptions{Limit: 3})
	must(t, err)
	equal(t, *first.RemainingItemCount, 4)
	// What is written between two pages isn't in them.
	w.secret(t, named("s31"))
	must(t, w.secrets.Delete(w.ctx, "s4", metav1.DeleteOptions{}))
	all := names(first)
	for page := first; page.Continue != ""; {
		page, err = w.secrets.List(w.ctx, metav1.ListOptions{Limit: 3, Continue: page.Continue})
		must(t, err)
		equal(t, page.ResourceVersion, first.ResourceVersion)
		all = append(all, names(page)...)
	}
	whole := []string{"s0", "s1", "s2", "s3", "s4", "s5", "s6"}
	equal(t, all, whole)
	selected, err := w.secrets.List(w.ctx, metav1.ListOptions{Limit: 2, LabelSelector: "half=0"})
	must(t, err)
	equal(t, names(selected), []string{"s0", "s2"})
	equal(t, selected.RemainingItemCount, nil)
	at := metav1.ListOptions{ResourceVersion: first.ResourceVersion, ResourceVersionMatch: metav1.ResourceVersionMatchExact}
	exact, err := w.secrets.List(w.ctx, at)
	must(t, err)
	equal(t, names(exact), whole)
	at.ResourceVersionMatch = metav1.ResourceVersionMatchNotOlderThan
	late, err := w.secrets.List(w.ctx, at)
	must(t, err)
	equal(t, names(late), []string{"s0", "s1", "s2", "s3", "s31", "s5", "s6"})
}

func TestListOptionsThatMeanNothingAreRefused(t *testing.T) {
	w := start(t)
	w.secret(t, named("one"))
	w.secret(t, named("two"))
	page, err := w.secrets.List(w.ctx, metav1.ListOptions{Limit: 1})
	must(t, err)
	const invalid = "422 Invalid ListOptions.meta.k8s.io/"
	const matched = metav1.ResourceVersionMatchExact
	for _, one := range []struct {
		options       metav1.ListOptions
		what, message string
	}{
		{metav1.ListOptions{Continue: "nonsense"}, "400 BadRequest", "invalid continue token: continue key is not valid: …"},
		{metav1.ListOptions{Continue: page.Continue, ResourceVersion: page.ResourceVersion}, "400 BadRequest",
			"specifying resource version is not allowed when using continue"},
		{metav1.ListOptions{ResourceVersionMatch: matched}, invalid,
			"resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided"},
		{metav1.ListOptions{ResourceVersion: "1", ResourceVersionMatch: "Nearly"}, invalid,
			`resourceVersionMatch: Unsupported value: "Nearly": supported values: "Exact", "NotOlderThan", ""`},
		{metav1.ListOptions{ResourceVersion: "0", ResourceVersionMatch: matched}, invalid,
			`resourceVersionMatch: Forbidden: resourceVersionMatch "exact" is forbidden for resourceVersion "0"`},
		{metav1.ListOptions{ResourceVersion: "latest"}, "400 BadRequest",
			`invalid resource version: resourceVersion: Invalid value: "latest": strconv.ParseUint: parsing "latest": invalid syntax`},
		{metav1.ListOptions{SendInitialEvents: new(bool)}, invalid,
			"sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list"},
	} {
		_, err := w.secrets.List(w.ctx, one.options)
		t.Run(text(t, one.options), func(t *testing.T) {
			if one.what == invalid {
				refused(t, err, one.what, `ListOptions.meta.k8s.io "" is invalid: `+one.message, "…"+one.message[strings.Index(one.message, ": "):])
				return
			}
			refused(t, err, one.what, one.message)
		})
	}
}

func TestARevisionThatIsNotReachedIsWaitedForInVain(t *testing.T) {
	w := start(t)
	w.secret(t, named("one"))
	// The client would come back when it is told to.
	list := w.client.CoreV1().RESTClient().Get().Namespace(w.namespace).Resource("secrets").MaxRetries(0)
	err := list.Param("resourceVersion", "999999999").Do(w.ctx).Error()
	refused(t, err, "504 Timeout", "Timeout: Too large resource version: 999999999, current: …", "ResourceVersionTooLarge : Too large resource version")
}
