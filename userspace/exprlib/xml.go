package exprlib

import (
	"gabion/userspace/expr"
	"gabion/userspace/xmlpath"
)

func xmlFunctions() []expr.Function {
	return []expr.Function{
		sure2("XMLGetNodeValue", func(text, path string) string {
			if e := xmlpath.Find(text, path); e != nil {
				return e.Text()
			}
			return ""
		}),
		sure3("XMLGetAttributeValue", func(text, path, attr string) string {
			if e := xmlpath.Find(text, path); e != nil {
				value, _ := e.Attr(attr)
				return value
			}
			return ""
		}),
	}
}
