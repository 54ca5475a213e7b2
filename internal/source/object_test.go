// This file holds objects against maps.

package source

import (
	"maps"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestObjectIsAMap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		o, want := &Object{}, map[string]any{}
		for i := range rapid.IntRange(0, 300).Draw(t, "steps") {
			key := strconv.Itoa(rapid.IntRange(0, 80).Draw(t, "key"))
			if rapid.IntRange(0, 3).Draw(t, "delete") == 0 {
				o.Delete(key)
				delete(want, key)
			} else {
				o.Set(key, i)
				want[key] = i
			}
			got, ok := o.Lookup(key)
			if v, in := want[key]; got != v || ok != in || o.Len() != len(want) {
				t.Fatalf("%q is %v, %t among %d, want %v, %t among %d", key, got, ok, o.Len(), v, in, len(want))
			}
		}
		if diff := cmp.Diff(want, o.Map()); diff != "" {
			t.Fatalf("-want +got:\n%s", diff)
		}
		if got := slices.Sorted(o.Keys()); !slices.Equal(got, slices.Sorted(maps.Keys(want))) {
			t.Fatalf("keys %q", got)
		}
	})
}

func TestNoObjectHasNoFields(t *testing.T) {
	t.Parallel()
	var o *Object
	o.Delete("a")
	if _, ok := o.Lookup("a"); ok || o.Len() != 0 || len(slices.Collect(o.Keys())) != 0 || len(o.Map()) != 0 {
		t.Error("it has some")
	}
}

func TestPlainReachesEverything(t *testing.T) {
	t.Parallel()
	var notes notes
	v, err := parseJSON(`{"a":[{"b":[[{}]]},{"c":{"d":null}}]}`, &notes)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"a": []any{
		map[string]any{"b": []any{[]any{map[string]any{}}}},
		map[string]any{"c": map[string]any{"d": nil}},
	}}
	if diff := cmp.Diff(any(want), Plain(v)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestManyFieldsStayCheap would take minutes if each field were looked for among all.
func TestManyFieldsStayCheap(t *testing.T) {
	t.Parallel()
	const n = 400_000
	o := &Object{}
	for i := range n {
		o.Set(strconv.Itoa(i), i)
	}
	for i := range n {
		if i%2 == 0 {
			o.Delete(strconv.Itoa(i))
		}
	}
	if o.Len() != n/2 || o.Get("399999") != 399_999 {
		t.Errorf("%d fields, the last is %v", o.Len(), o.Get("399999"))
	}
}
