package exprlib

import (
	"gabion/userspace/expr"
	"gabion/userspace/xmlpath"
)

func xmlFunctions() []expr.Function {
	finder := xmlpath.NewFinder()
	return []expr.Function{
		sure2("XMLGetNodeValue", func(text, path string) string {
			if e := finder.Find(text, path); e != nil {
				return e.Text()
			}
			return ""
		}),
		sure3("XMLGetAttributeValue", func(text, path, attr string) string {
			if e := finder.Find(text, path); e != nil {
				value, _ := e.Attr(attr)
				return value
			}
			return ""
		}),
	}
}
