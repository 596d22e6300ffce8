package workloads

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"

	"faultline/checker"
	"faultline/nodes"
	"faultline/workloads/history"
)

const (
	defaultLists      = 4
	defaultListLength = 100
	appendReads       = 0.4 // part of the operations that only read
)

// Append is the workload append.
func Append() Workload {
	return Workload{
		Name:     "append",
		Doc:      "unique elements that are appended to lists by reading them and by compare-and-set, or by the system itself if it can",
		Ops:      []history.Op{history.OpRead, history.OpCAS},
		New:      NewAppend,
		Checkers: []checker.Checker{checker.Append(), checker.Copies()},
	}
}

// appends has clients append integers to lists, each of which is replaced when it is long. An element
// is never appended twice, and who appends starts from the newest state of a list that any client
// was told of. So a list shows what became of each append: doubled, lost, moved.
type appends struct {
	mode    history.Mode
	byValue bool // answers have no index: the longest state of a list is the newest
	most    int  // elements of a list
	reads   float64
	asked   float64 // part of the appends that the system is asked for, which need not know the list

	mu     sync.Mutex
	random *rand.Rand
	named  int
	last   int64 // element that was given out
	active []*list
	used   []*list // by age, the newest last
}

// list is a key and its newest state that is known.
type list struct {
	name  string
	value []int64 // empty while the key is not known to be there
	index uint64  // 0 if the system tells none
}

// NewAppend makes the Generator of the workload append. OpsPerKey is the length at which a list is
// replaced; CASShare has no meaning, and AppendShare is that of the appends which are no compare-and-set.
func NewAppend(o Options) (Generator, error) {
	o.Mode = cmp.Or(o.Mode, history.ModeDefault)
	o.Keys = cmp.Or(o.Keys, defaultLists)
	o.OpsPerKey = cmp.Or(o.OpsPerKey, defaultListLength)
	reads := max(0, cmp.Or(o.ReadShare, appendReads))
	switch {
	case o.Keys < 1:
		return nil, fmt.Errorf("append: %d lists in use at a time; at least 1 is needed", o.Keys)
	case o.OpsPerKey < 1:
		return nil, fmt.Errorf("append: lists of %d elements; at least 1 is needed", o.OpsPerKey)
	case !(reads <= 1): // not a number is refused as well
		return nil, fmt.Errorf("append: reads (%v) are more than all operations", reads)
	case !(o.AppendShare <= 1):
		return nil, fmt.Errorf("append: %v of the appends are more than all of them", o.AppendShare)
	}
	g := &appends{mode: o.Mode, byValue: o.ByValue, most: o.OpsPerKey, reads: reads, asked: max(0, o.AppendShare), last: o.After, random: rand.New(rand.NewPCG(o.Seed, 2))}
	for range o.Keys {
		g.active = append(g.active, g.newList())
	}
	return g, nil
}

func (g *appends) newList() *list {
	l := &list{name: "list" + strconv.Itoa(g.named)}
	g.named++
	g.used = remember(g.used, l)
	return l
}

// Next implements Generator.
func (g *appends) Next() Op {
	g.mu.Lock()
	defer g.mu.Unlock()
	at := g.random.IntN(len(g.active))
	if len(g.active[at].value) >= g.most {
		g.active[at] = g.newList()
	}
	if l := g.active[at]; g.random.Float64() < g.reads {
		return g.read(l)
	} else {
		return g.append(l)
	}
}

// Read implements Generator.
func (g *appends) Read() Op {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.read(g.active[g.random.IntN(len(g.active))])
}

// Finals implements Generator.
func (g *appends) Finals(most int) (ops []Op) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, l := range slices.Backward(g.used) {
		if len(ops) < most {
			ops = append(ops, g.read(l))
		}
	}
	return ops
}

func (g *appends) read(l *list) Op {
	return Op{Op: nodes.Op{F: history.OpRead, Key: l.name, Mode: g.mode}, Record: recordList, Own: l}
}

func (g *appends) append(l *list) Op {
	g.last++
	if g.asked > 0 && g.random.Float64() < g.asked {
		element := strconv.FormatInt(g.last, 10)
		return Op{Op: nodes.Op{F: history.OpAppend, Key: l.name, Value: element}, Argument: json.RawMessage(element), Own: l}
	}
	set := encodeList(append(slices.Clip(l.value), g.last))
	old, recorded := "", "null"
	if l.index != 0 || len(l.value) > 0 {
		old = encodeList(l.value)
		recorded = old
	}
	return Op{Op: nodes.Op{F: history.OpCAS, Key: l.name, Value: set, Index: l.index, Old: old},
		Argument: json.RawMessage("[" + recorded + "," + set + "]"), Record: recordList, Own: l}
}

func encodeList(list []int64) string {
	text := []byte{'['}
	for i, e := range list {
		if i > 0 {
			text = append(text, ',')
		}
		text = strconv.AppendInt(text, e, 10)
	}
	return string(append(text, ']'))
}

// recordList is the recorded form of what a store holds for a list; of what no client of this
// workload can have written, false.
func recordList(found nodes.Answer) (json.RawMessage, bool) {
	var list []int64
	if err := json.Unmarshal([]byte(found.Value), &list); err != nil || encodeList(list) != found.Value {
		return nil, false
	}
	return json.RawMessage(found.Value), true
}

// Learn implements Generator. What is older than what is known, as a stale read may bring it, is ignored.
func (g *appends) Learn(op Op, o Outcome) {
	value := op.Value
	switch {
	case o.Type == history.OK && op.F == history.OpRead, o.Answer.HasCurrent:
		value = o.Answer.Value
	case o.Type != history.OK, op.F == history.OpAppend:
		return
	}
	var read []int64
	if err := json.Unmarshal([]byte(value), &read); err != nil {
		return // it is absent, or somebody else's
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if l := op.Own.(*list); o.Answer.Index > l.index || g.byValue && len(read) > len(l.value) {
		l.index, l.value = o.Answer.Index, read
	}
}
