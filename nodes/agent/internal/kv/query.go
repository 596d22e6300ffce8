package kv

import "strings"

// Kind is what a Query asks for.
type Kind uint8

const (
	Get  Kind = 1 // one key
	List Kind = 2 // every key that begins with Key, with values
	Keys Kind = 3 // their names alone, up to and with the first Separator after Key
)

// Query is a read.
type Query struct {
	Kind      Kind
	Key       string
	Separator string
}

// View is an answer, and how to learn that it may have changed.
type View struct {
	Entries []Entry
	Names   []string // for Keys
	// Index is not below that of the last change of what was asked for. It grows when
	// that changes, and may grow without: then a blocking query returns early, as Consul's do.
	Index uint64

	Changed   <-chan struct{}
	Abandoned <-chan struct{} // like Changed: the whole store was replaced
}

// Query reads the current state.
func (s *Store) Query(q Query) View {
	now := s.current.Load()
	if q.Kind == Get {
		return now.get(q.Key)
	}
	return now.list(q)
}

func (s *state) get(key string) View {
	changed, e, found := s.tree.Root().GetWatch([]byte(key))
	view := View{Index: s.index, Changed: changed, Abandoned: s.abandoned}
	if found {
		view.Entries, view.Index = []Entry{e}, e.ModifyIndex
	}
	return view
}

func (s *state) list(q Query) View {
	it := s.tree.Root().Iterator()
	view := View{Changed: it.SeekPrefixWatch([]byte(q.Key)), Abandoned: s.abandoned}
	for _, e, ok := it.Next(); ok; _, e, ok = it.Next() {
		view.Index = max(view.Index, e.ModifyIndex)
		if q.Kind == List {
			view.Entries = append(view.Entries, e)
			continue
		}
		if name := e.Key; len(view.Names) == 0 || view.Names[len(view.Names)-1] != fold(name, q) {
			view.Names = append(view.Names, fold(name, q))
		}
	}
	if view.Index == 0 {
		view.Index = s.index
	}
	// Which prefix a deleted key belonged to is forgotten, so any deletion counts.
	view.Index = max(view.Index, s.deleted)
	return view
}

// fold cuts a name after the first separator that follows the prefix.
func fold(name string, q Query) string {
	if q.Separator == "" {
		return name
	}
	i := strings.Index(name[len(q.Key):], q.Separator)
	if i < 0 {
		return name
	}
	return name[:len(q.Key)+i+len(q.Separator)]
}
