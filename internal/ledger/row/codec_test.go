// This file fuzzes what is read back from a ledger.

package row

import (
	"testing"

	"github.com/afterchat/afterchat/internal/chat"
)

func FuzzStored(f *testing.F) {
	c, err := NewCodec()
	if err != nil {
		f.Fatal(err)
	}
	conv := chat.Conversation{ID: "c1", Question: "where is it?"}
	content, err := conv.Content()
	if err != nil {
		f.Fatal(err)
	}
	good, _, err := c.PackBody([]byte("where is it?"), &conv)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, "", "[]")
	f.Add(c.Pack(content), "", "[]") // as version 1 keeps it
	f.Add([]byte("{"), `{"id":"1"}`, `["a"]`)
	f.Fuzz(func(t *testing.T, blob []byte, receipt, routes string) {
		if conv, err := c.UnpackConversation(blob, "c1", 3); err == nil && (conv.ID != "c1" || conv.Revision != 3) {
			t.Fatalf("unpacked %+v", conv)
		}
		_, _ = c.UnpackSent(blob)
		if n := c.Size(blob[:min(len(blob), PackedHead)]); n < 0 || n > maxInflated {
			t.Fatalf("a body of %d bytes", n)
		}
		if _, ok := Prints(blob).Find([16]byte{1}); ok && len(blob) < printSize {
			t.Fatal("found a fingerprint in less than one")
		}
		if chain := UnpackChain(blob); len(chain) != len(blob)/8 {
			t.Fatalf("%d digests from %d bytes", len(chain), len(blob))
		}
		r, err := UnpackReceipt(receipt)
		if err == nil {
			if _, err := PackReceipt(mergeReceipt(r, r)); err != nil {
				t.Fatal(err)
			}
		}
		if list, err := UnpackRoutes(routes); err == nil {
			if _, err := PackRoutes(list); err != nil {
				t.Fatal(err)
			}
		}
	})
}
