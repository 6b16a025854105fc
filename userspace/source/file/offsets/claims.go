package offsets

import (
	"fmt"
	"sync"
)

// Claims say which source reads a file, so that two whose patterns overlap do not both count its
// lines. The same file may be read as two types: then different parsers read it.
type Claims struct {
	mu     sync.Mutex
	owners map[Key]fmt.Stringer
}

// Take makes a source the reader of a file, and returns the one that is.
func (c *Claims) Take(k Key, s fmt.Stringer) (owner fmt.Stringer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if owner, ok := c.owners[k]; ok {
		return owner
	}
	if c.owners == nil {
		c.owners = map[Key]fmt.Stringer{}
	}
	c.owners[k] = s
	return s
}

// Taken reports whether another reader has a file.
func (c *Claims) Taken(k Key, s fmt.Stringer) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	owner, ok := c.owners[k]
	return ok && owner != s
}

// Release lets others have a file; the caller is its owner.
func (c *Claims) Release(k Key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.owners, k)
}
