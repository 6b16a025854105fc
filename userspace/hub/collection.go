package hub

import (
	"errors"
	"fmt"
	"path"

	"gabion/userspace/yamlpos"
)

// Collection returns the items of the collections and of those inside them, each once, in the order
// of Items, without the collections themselves. The error names every item that is missing with the
// place that asks for it, as yamlpos.Errors; the items that are there are returned with it.
func (h *Hub) Collection(names ...string) ([]Item, error) {
	c := collector{hub: h, chosen: map[id]bool{}}
	for _, name := range names {
		c.add(Collection, yamlpos.Text{Text: name, Pos: yamlpos.Position{File: h.name}})
	}
	var out []Item
	for _, item := range h.items {
		if item.Kind != Collection && c.chosen[id{item.Kind, item.Name}] {
			out = append(out, item)
		}
	}
	return out, c.errs.Err()
}

// collector gathers what collections hold. Collections may hold each other: chosen ends that.
type collector struct {
	hub    *Hub
	chosen map[id]bool
	errs   yamlpos.Errors
}

func (c *collector) add(kind Kind, name yamlpos.Text) {
	key := id{kind, name.Text}
	if c.chosen[key] {
		return
	}
	item, ok := c.hub.Find(kind, name.Text)
	if !ok {
		c.errs.Add(name.Pos, errors.New(c.hub.missing(kind, name.Text)))
		return
	}
	c.chosen[key] = true
	if kind == Collection {
		c.members(item)
	}
}

// members adds what a collection names. Other keys than the lists of items, and an item without a
// name, say nothing here.
func (c *collector) members(item Item) {
	file := path.Join(c.hub.name, item.Path)
	data, err := c.hub.Read(item)
	if err != nil {
		c.errs.Add(yamlpos.Position{File: file}, fmt.Errorf("read collection: %w", err))
		return
	}
	docs, err := yamlpos.Parse(file, data)
	c.errs.Add(yamlpos.Position{File: file}, err)
	for _, doc := range docs {
		var keys map[string]*yamlpos.Document
		c.errs.Add(doc.Pos(), doc.Decode(&keys))
		for _, kind := range kinds {
			list, ok := keys[string(kind)]
			if !ok {
				continue
			}
			var names []yamlpos.Text
			c.errs.Add(list.Pos(), list.Decode(&names))
			for _, name := range names {
				if name.Text != "" {
					c.add(kind, name)
				}
			}
		}
	}
}

// missing says that there is no item of a name, and which may be meant.
func (h *Hub) missing(kind Kind, name string) string {
	text := fmt.Sprintf("there is no %q in %s", name, path.Join(h.name, string(kind)))
	if near := h.Nearest(kind, name); near != "" {
		text += fmt.Sprintf(": did you mean %q?", near)
	}
	return text
}
