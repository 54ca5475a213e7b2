// This file holds that a body comes back as it was, and that a damaged one is never taken for another.

package row

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/afterchat/afterchat/internal/chat"
)

func newCodec(tb testing.TB) Codec {
	tb.Helper()
	c, err := NewCodec()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.Close)
	return c
}

func packBody(tb testing.TB, c Codec, sent []byte, conv chat.Conversation) []byte {
	tb.Helper()
	packed, content, err := c.PackBody(sent, &conv)
	if err != nil {
		tb.Fatal(err)
	}
	if want := conv.Fingerprint(); content != want {
		tb.Errorf("the fingerprint is %x, want %x", content, want)
	}
	return packed
}

func TestBodyComesBack(t *testing.T) {
	t.Parallel()
	c := newCodec(t)
	conv := chat.Conversation{
		ID: "c1", Revision: 2, Source: "shop", Brand: "acme", Platform: "smartsupp", Question: strings.Repeat("where is it? ", 50),
		ReceivedAt: time.Date(2026, 3, 1, 12, 0, 0, 5000, time.UTC), Warnings: []string{"odd"},
	}
	for _, sent := range []string{"", "x", `{"question":"` + conv.Question + `"}`, strings.Repeat("ab", 1<<20)} {
		packed := packBody(t, c, []byte(sent), conv)
		if got, err := c.UnpackSent(packed); err != nil || string(got) != sent {
			t.Errorf("%d bytes were sent, %d come back, %v", len(sent), len(got), err)
		}
		got, err := c.UnpackConversation(packed, "c1", 2)
		if err != nil || !cmp.Equal(got, conv) {
			t.Errorf("%v, %s", err, cmp.Diff(conv, got))
		}
		if n := c.Size(packed[:min(len(packed), PackedHead)]); n != len(sent) {
			t.Errorf("%d bytes are told to be %d", len(sent), n)
		}
	}
}

// TestBodyOfVersion1 reads what was packed as a frame of its own.
func TestBodyOfVersion1(t *testing.T) {
	t.Parallel()
	c := newCodec(t)
	if got, err := c.UnpackSent(c.Pack([]byte("sent"))); err != nil || string(got) != "sent" {
		t.Errorf("%q, %v", got, err)
	}
	got, err := c.UnpackConversation(c.Pack([]byte(`{"question":"where?","source":"shop"}`)), "c1", 1)
	if want := (chat.Conversation{ID: "c1", Revision: 1, Source: "shop", Question: "where?"}); err != nil || !cmp.Equal(got, want) {
		t.Errorf("%v, %s", err, cmp.Diff(want, got))
	}
}

// TestBodyDamaged flips each bit and cuts at each place: what comes back is what was stored, or an error.
func TestBodyDamaged(t *testing.T) {
	t.Parallel()
	c := newCodec(t)
	conv := chat.Conversation{ID: "c1", Revision: 1, Source: "shop", Question: "where is it, and when does it come?"}
	sent := []byte(`{"question":"where is it, and when does it come?","more":[1,2,3,4,5,6,7,8,9]}`)
	packed := packBody(t, c, sent, conv)
	half := 0
	look := func(what string, at int, damaged []byte) {
		got, sentErr := c.UnpackSent(damaged)
		if sentErr == nil && !bytes.Equal(got, sent) {
			t.Errorf("%s %d: %q", what, at, got)
		}
		back, err := c.UnpackConversation(damaged, "c1", 1)
		if err == nil && !cmp.Equal(back, conv) {
			t.Errorf("%s %d: %s", what, at, cmp.Diff(conv, back))
		}
		if sentErr == nil && err != nil {
			half++
		}
	}
	for bit := range 8 * len(packed) {
		damaged := bytes.Clone(packed)
		damaged[bit/8] ^= 1 << (bit % 8)
		look("bit", bit, damaged)
	}
	for n := range packed {
		look("cut at", n, packed[:n])
	}
	if half == 0 {
		t.Error("damage of what was decoded always costs what was sent")
	}
}

func BenchmarkPackBody(b *testing.B) {
	c := newCodec(b)
	conv := chat.Conversation{Question: "where?"}
	var text strings.Builder
	for i := 0; text.Len() < 4000; i++ {
		_, _ = text.WriteString(`{"from":"visitor","content":"` + strings.Repeat(string(rune('a'+i%26)), 5) + time.Unix(int64(i)*7919, 0).UTC().String() + `"}`)
	}
	sent := []byte(text.String())
	conv.Question = text.String()
	b.ReportAllocs()
	var n int
	for b.Loop() {
		packed, _, err := c.PackBody(sent, &conv)
		if err != nil {
			b.Fatal(err)
		}
		n = len(packed)
	}
	b.ReportMetric(float64(n), "packed-bytes")
}
