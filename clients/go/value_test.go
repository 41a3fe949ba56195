package secrets_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	secrets "github.com/iotoperations/secret-service/clients/go"
)

func TestNothingThatPrintsOrEncodesShowsAValue(t *testing.T) {
	const canary = "canary-5e1d"
	value := secrets.NewValue(canary)
	request := secrets.CreateRequest{ID: "a", References: []secrets.Reference{secrets.CreateNew("k", "vaultSecrets/v", value)}}
	type unexported struct{ value secrets.Value }

	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
		for _, thing := range []any{value, &value, request, &request, request.References[0].Create, unexported{value}, &unexported{value}} {
			fmt.Fprintf(&out, verb+"\n", thing)
		}
	}
	for _, thing := range []any{value, request} {
		text, err := json.Marshal(thing)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(text)
	}
	logger := slog.New(slog.NewJSONHandler(&out, nil))
	logger.Info("made", "value", value, "request", request)
	slog.New(slog.NewTextHandler(&out, nil)).Info("made", "value", value, "request", request)

	hex := fmt.Sprintf("%x", canary)
	if text := out.String(); strings.Contains(text, canary) || strings.Contains(strings.ToLower(text), hex) {
		t.Error(text)
	}
	if !strings.Contains(out.String(), "[hidden]") || value.Reveal() != canary {
		t.Error("it is not a value any more")
	}
}

func TestAValueIsReadWithoutItsLineEndAndNotTooLong(t *testing.T) {
	for text, wanted := range map[string]string{"a\n": "a", "a\r\n": "a", "a\n\n": "a\n", "a": "a", "": "", "\n": "", " a ": " a "} {
		value, err := secrets.ReadValue(strings.NewReader(text))
		if err != nil || value.Reveal() != wanted {
			t.Errorf("%q is read as %q, %v", text, value.Reveal(), err)
		}
	}
	longest := strings.Repeat("x", 25_600)
	for _, end := range []string{"", "\n", "\r\n"} {
		if value, err := secrets.ReadValue(strings.NewReader(longest + end)); err != nil || value.Reveal() != longest {
			t.Errorf("the longest value with %q: %v", end, err)
		}
	}
	for _, long := range []string{longest + "x", longest + "x\n", longest + "xyz"} {
		if _, err := secrets.ReadValue(strings.NewReader(long)); err == nil {
			t.Errorf("%d bytes are read", len(long))
		}
	}
}
