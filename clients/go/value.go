package secrets

import (
	"fmt"
	"io"
	"log/slog"
)

// hidden is what a value shows of itself.
const hidden = "[hidden]"

// Value is a secret value on its way to the vault. Nothing that prints, logs or encodes it shows it, also within other
// structs; [Value.Reveal] alone does.
type Value struct {
	// A function, because reflection can't look into one: fmt and dumpers show fields that have no methods to call.
	reveal func() string
}

// NewValue holds a text.
func NewValue(text string) Value { return Value{func() string { return text }} }

// ReadValue holds all that r has, without the line end that an editor or echo left, for example of a file or of
// standard input. What is longer than a vault takes is an error.
func ReadValue(r io.Reader) (Value, error) {
	const longest = 25_600
	text, err := io.ReadAll(io.LimitReader(r, longest+2))
	if err != nil {
		return Value{}, fmt.Errorf("secrets: reading a value: %w", err)
	}
	if n := len(text); n > 0 && text[n-1] == '\n' {
		text = text[:n-1]
		if n > 1 && text[n-2] == '\r' {
			text = text[:n-2]
		}
	}
	if len(text) > longest {
		return Value{}, fmt.Errorf("secrets: a value has at most %d bytes", longest)
	}
	return NewValue(string(text)), nil
}

// Reveal is the text.
func (v Value) Reveal() string {
	if v.reveal == nil {
		return ""
	}
	return v.reveal()
}

// String hides the value.
func (Value) String() string { return hidden }

// GoString hides the value.
func (Value) GoString() string { return hidden }

// Format hides the value, whatever the verb.
func (Value) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// MarshalText hides the value, in text, XML, and as a key.
func (Value) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// MarshalJSON hides the value.
func (Value) MarshalJSON() ([]byte, error) { return []byte(`"` + hidden + `"`), nil }

// LogValue hides the value.
func (Value) LogValue() slog.Value { return slog.StringValue(hidden) }
