package bucket

import (
	"encoding/binary"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
)

// Bounds of Names; what does not fit is written out in the record.
const (
	maxNames  = 1024 // metadata keys
	maxValues = 32   // values of one key: of a key with many values the first that came
	maxWord   = 64   // bytes of a key or a value
)

// Names numbers metadata keys and the values that they have again and again, such as the log's type
// or the machine's name, so that records need not repeat them. All tables of an engine share it, and
// any goroutine may use it. It only grows, and is bounded.
type Names struct {
	mu   sync.Mutex // guards adding
	keys atomic.Pointer[keyList]
}

// keyList is the keys known at one time. It is immutable.
type keyList struct {
	byText map[string]uint64
	list   []*word
}

// word is a key with its numbered values.
type word struct {
	text   string
	values atomic.Pointer[valueList]
}

// valueList is the values of a key known at one time. It is immutable.
type valueList struct {
	byText map[string]uint64
	list   []string
}

// How a value is written: as text, as a reference to text that the record holds already, or as
// a number of its key.
const (
	valueText      = uint64(0)
	valueTimestamp = uint64(1)
	valueSource    = uint64(2)                             // and the following, by index of sourceMeta
	valueNumber    = valueSource + uint64(len(sourceMeta)) // and the following
)

// NewNames returns an empty set of names.
func NewNames() *Names {
	n := &Names{}
	n.keys.Store(&keyList{})
	return n
}

// appendKey appends a key. It returns the key's word, nil for one that is not numbered.
func (n *Names) appendKey(b []byte, key string) ([]byte, *word) {
	keys := n.keys.Load()
	id, ok := keys.byText[key]
	if !ok {
		if len(keys.list) >= maxNames || len(key) > maxWord {
			return appendText(append(b, 0), key), nil
		}
		id, keys = n.add(key)
	}
	return binary.AppendUvarint(b, id+1), keys.list[id]
}

// add numbers a key. At worst that makes one key more than maxNames for every goroutine.
func (n *Names) add(key string) (uint64, *keyList) {
	n.mu.Lock()
	defer n.mu.Unlock()
	old := n.keys.Load()
	if id, ok := old.byText[key]; ok {
		return id, old
	}
	w := &word{text: strings.Clone(key)}
	w.values.Store(&valueList{})
	id := uint64(len(old.list))
	next := &keyList{byText: make(map[string]uint64, id+1), list: append(old.list[:id:id], w)}
	maps.Copy(next.byText, old.byText)
	next.byText[w.text] = id
	n.keys.Store(next)
	return id, next
}

// appendValue appends a value of a key; w is nil when the key is not numbered.
func (n *Names) appendValue(b []byte, w *word, value string) []byte {
	if w == nil || len(value) > maxWord {
		return appendText(append(b, byte(valueText)), value)
	}
	values := w.values.Load()
	id, ok := values.byText[value]
	if !ok {
		if len(values.list) >= maxValues {
			return appendText(append(b, byte(valueText)), value)
		}
		id = n.addValue(w, value)
	}
	return binary.AppendUvarint(b, valueNumber+id)
}

func (n *Names) addValue(w *word, value string) uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	old := w.values.Load()
	if id, ok := old.byText[value]; ok {
		return id
	}
	value = strings.Clone(value)
	id := uint64(len(old.list))
	next := &valueList{byText: make(map[string]uint64, id+1), list: append(old.list[:id:id], value)}
	maps.Copy(next.byText, old.byText)
	next.byText[value] = id
	w.values.Store(next)
	return id
}
