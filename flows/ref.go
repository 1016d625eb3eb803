package flows

import (
	"fmt"
	"unique"
)

// Ref stands for a value that many paths share, in the room of one pointer. Two are equal
// when their values are. The zero Ref stands for the zero value. It may be used
// concurrently.
type Ref[T comparable] struct{ handle unique.Handle[T] }

// RefTo returns the Ref that stands for v.
func RefTo[T comparable](v T) Ref[T] {
	var zero T
	if v == zero {
		return Ref[T]{}
	}
	return Ref[T]{unique.Make(v)}
}

// IsZero reports whether r stands for the zero value.
func (r Ref[T]) IsZero() bool { return r == Ref[T]{} }

// String returns the value as fmt prints it.
func (r Ref[T]) String() string { return fmt.Sprint(r.Value()) }

// Value returns what r stands for.
func (r Ref[T]) Value() (v T) {
	if r.IsZero() {
		return v
	}
	return r.handle.Value()
}
