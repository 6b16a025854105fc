package hub

import (
	"gabion/userspace/ruledoc"
	"gabion/userspace/yamlpos"
)

// DataFiles returns the data files that the documents of an item's file declare. What is wrong with
// the file says whoever compiles it.
func DataFiles(text []byte) (out []ruledoc.DataFile) {
	docs, _ := yamlpos.Parse("", text)
	for _, doc := range docs {
		var keys map[string]*yamlpos.Document
		_ = doc.Decode(&keys)
		if keys["data"] != nil {
			var files []ruledoc.DataFile
			_ = keys["data"].Decode(&files)
			out = append(out, files...)
		}
	}
	return out
}
