package file

import "sync"

// claims say which source reads a file, so that two whose patterns overlap do not both count its
// lines. The same file may be read as two types: then different parsers read it.
type claims struct {
	mu     sync.Mutex
	owners map[entryKey]*Source
}

// take makes a source the reader of a file, and returns the one that is.
func (c *claims) take(k entryKey, s *Source) (owner *Source) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if owner, ok := c.owners[k]; ok {
		return owner
	}
	if c.owners == nil {
		c.owners = map[entryKey]*Source{}
	}
	c.owners[k] = s
	return s
}

// taken reports whether another source reads a file.
func (c *claims) taken(k entryKey, s *Source) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	owner, ok := c.owners[k]
	return ok && owner != s
}

// release lets others have a file; the caller is its owner.
func (c *claims) release(k entryKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.owners, k)
}
