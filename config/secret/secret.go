// Package secret holds text that never prints.
package secret

import (
	"log/slog"
)

// Mask is what a set secret shows as, everywhere.
const Mask = "***"

// String is a secret. Every way of printing it shows Mask, or nothing when it is empty; only Reveal gives the text.
// The text sits behind a pointer, so that even a %+v of a struct with an unexported String field prints an address.
// The zero value is the empty secret.
type String struct{ text *string }

// New makes a secret of text.
func New(text string) String {
	if text == "" {
		return String{}
	}
	return String{text: &text}
}

// Reveal returns the text, for the one place that needs it.
func (s String) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsZero tells whether the secret is empty.
func (s String) IsZero() bool { return s.text == nil }

// String returns Mask, or "" for the empty secret.
func (s String) String() string {
	if s.text == nil {
		return ""
	}
	return Mask
}

// GoString is String.
func (s String) GoString() string { return s.String() }

// LogValue is String.
func (s String) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText is String: a secret cannot be written out.
func (s String) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText sets the secret.
func (s *String) UnmarshalText(text []byte) error {
	*s = New(string(text))
	return nil
}
