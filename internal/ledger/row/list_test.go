// This file tests cursors and phrases.

package row

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/afterchat/afterchat/internal/ledger"
)

func TestCursor(t *testing.T) {
	t.Parallel()
	for _, c := range []Cursor{{}, {1, ""}, {1 << 62, "help desk"}, {-5, "ů"}} {
		if got, ok, err := UnpackCursor('d', c.Pack('d')); !ok || err != nil || got != c {
			t.Errorf("%+v comes back as %+v, %v, %v", c, got, ok, err)
		}
		if _, _, err := UnpackCursor('c', c.Pack('d')); !errors.Is(err, ledger.ErrCursor) {
			t.Errorf("a cursor of another list: %v", err)
		}
	}
	if _, ok, err := UnpackCursor('d', ""); ok || err != nil {
		t.Errorf("no cursor: %v, %v", ok, err)
	}
}

func FuzzCursor(f *testing.F) {
	for _, s := range []string{"", "x", "ZDEg", "ZDEgaGVscA", "ZCsxIA", "=", "ZDEgaGVscA=="} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, ok, err := UnpackCursor('d', text)
		switch {
		case err != nil:
			if !errors.Is(err, ledger.ErrCursor) || ok {
				t.Errorf("%q: %v, %v", text, ok, err)
			}
		case ok && c.Pack('d') != text, !ok && text != "":
			t.Errorf("%q comes back as %q", text, c.Pack('d'))
		}
	})
}

func TestPhrases(t *testing.T) {
	t.Parallel()
	got := Phrases([]string{"Refund policy", "né", "?!", "", "ann@example.com", "of"})
	want := []Phrase{
		{[]string{"refund", "policy"}, true}, {[]string{"ne"}, false}, {[]string{"ann", "example", "com"}, true}, {[]string{"of"}, false},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSize(t *testing.T) {
	t.Parallel()
	codec := newCodec(t)
	for _, n := range []int{0, 1, 255, 256, 5000, 70000, 1 << 20} {
		packed := codec.Pack(bytes.Repeat([]byte("ab"), n)[:n])
		if got := codec.Size(packed[:min(len(packed), PackedHead)]); got != n {
			t.Errorf("%d bytes are told to be %d", n, got)
		}
	}
}
